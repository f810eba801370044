// What the opaque handles of qcc.h point to.
#ifndef QCC_LIB_RUNTIME_MODEL_H
#define QCC_LIB_RUNTIME_MODEL_H

#include "Buffer.h"
#include "CodeObject.h"
#include "Device.h"
#include "Error.h"
#include "qcc/Artifact/Reader.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace qcc {

// A model's code and weights where sessions run.
struct Placement {
  std::unique_ptr<CodeObject> code;
  std::unique_ptr<DeviceProgram> program; // null on the processor
  const uint8_t *weights = nullptr;       // the data section
};

struct Model {
  // Takes the artifact and loads its code for a device, whose name may be empty: the processor if there is any code for
  // that, else the first device of the kind that the code is for.
  static std::shared_ptr<Model> make(std::unique_ptr<ArtifactReader> artifact, const std::string &target,
                                     const std::string &device, Error &error);
  // Loads the code for another device, once. Null when that fails.
  std::shared_ptr<const Placement> place(const std::string &device, Error &error);

  const Manifest &manifest() const { return artifact->manifest(); }

  std::unique_ptr<ArtifactReader> artifact;
  std::shared_ptr<const Placement> home; // where sessions run that do not say otherwise
  std::string manifestText;
  Buffer weightCopy; // where an artifact in memory does not align them

  // A value as the C interface shows it.
  struct Shown {
    const char *name;
    DataType type;
    std::vector<int64_t> dims;
    std::vector<const char *> symbols;
  };
  std::vector<Shown> inputs, outputs, states;

private:
  std::shared_ptr<const Placement> load(const DeviceName &device, Error &error);
  bool alignWeights(const uint8_t *&weights, Error &error);

  std::string target; // the name of the code to take; empty: any
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const Placement>> placements; // by the device's name
};

} // namespace qcc

struct qcc1_model {
  std::shared_ptr<qcc::Model> model;
};

#endif // QCC_LIB_RUNTIME_MODEL_H
