// What the opaque handles of qcc.h point to.
#ifndef QCC_LIB_RUNTIME_MODEL_H
#define QCC_LIB_RUNTIME_MODEL_H

#include "Buffer.h"
#include "CodeObject.h"
#include "Error.h"
#include "qcc/Artifact/Reader.h"

#include <memory>
#include <string>
#include <vector>

namespace qcc {

struct Model {
  // Takes the artifact and loads its code for this machine.
  static std::shared_ptr<Model> make(std::unique_ptr<ArtifactReader> artifact, const std::string &target, Error &error);

  const Manifest &manifest() const { return artifact->manifest(); }

  std::unique_ptr<ArtifactReader> artifact;
  std::unique_ptr<CodeObject> code;
  std::string manifestText;
  // The data section; a copy only when an artifact in memory does not align it.
  const uint8_t *weights = nullptr;
  Buffer weightCopy;

  // A value as the C interface shows it.
  struct Shown {
    const char *name;
    DataType type;
    std::vector<int64_t> dims;
    std::vector<const char *> symbols;
  };
  std::vector<Shown> inputs, outputs, states;
};

} // namespace qcc

struct qcc1_model {
  std::shared_ptr<qcc::Model> model;
};

#endif // QCC_LIB_RUNTIME_MODEL_H
