#ifndef QCC_LIB_RUNTIME_SESSION_H
#define QCC_LIB_RUNTIME_SESSION_H

#include "Buffer.h"
#include "Error.h"
#include "Model.h"
#include "Recordings.h"
#include "State.h"
#include "ThreadPool.h"
#include "qcc/Runtime/Abi.h"

#include <memory>
#include <string>
#include <vector>

namespace qcc {

class Session {
public:
  struct Options {
    int threads = 1;              // on the processor
    bool outputsOnDevice = false; // they stay where they are computed
    bool graphs = false;          // runs are recorded where the program allows it, and replayed
  };
  // Null when the device refuses.
  static std::unique_ptr<Session> open(std::shared_ptr<Model> model, std::shared_ptr<const Placement> placement,
                                       const Options &options, Error &error);

  bool run(const qcc1_input *inputs, size_t inputCount, qcc1_output *outputs, size_t outputCount, Error &error);
  void reset();
  void truncate(int64_t length);
  int64_t threads() const { return pool.size(); }
  const std::vector<State> &allStates() const { return states; }

private:
  struct Output {
    Buffer storage;
    std::vector<int64_t> dims = {};
    int64_t bytes = 0;
    bool made = false;
  };
  // An input as the program sees it.
  struct Input {
    Buffer copy; // where the caller's tensor is elsewhere, or not contiguous and aligned
    const DLTensor *tensor = nullptr;
    const void *data = nullptr;
    Buffer staging = Buffer(); // where it is not contiguous and goes to a device
  };

  Session(std::shared_ptr<Model> model, std::shared_ptr<const Placement> placement, std::shared_ptr<Queue> queue,
          const Options &options);

  bool takeInputs(const qcc1_input *inputs, size_t count, Error &error);
  bool takeInput(const std::string &name, DataType type, const std::vector<Manifest::Dim> &dims, Input &input,
                 Error &error);
  bool bindStates(Error &error);
  bool bindState(size_t index, Error &error);
  bool loadStates(Error &error);
  bool plan(Error &error);
  std::string describePlanError(int64_t position) const;
  bool execute(Error &error);
  void bindDevice(qcc_frame &frame);
  [[noreturn]] void abandonDevice();
  void describeRefusal() noexcept;
  bool runUntilFailure(qcc_frame &frame);
  bool runOnDevice(qcc_frame &frame);
  bool canRecord() const;
  bool runRecorded(qcc_frame &frame);
  std::vector<int64_t> dependencies(const qcc_frame &frame) const;
  bool giveOutputs(qcc1_output *outputs, size_t count, Error &error);
  bool findOutputs(const qcc1_output *outputs, size_t count, Error &error);
  bool makeOutput(int64_t index, const int64_t *dims) noexcept;
  void *allocate(int64_t bytes) noexcept;

  std::shared_ptr<Model> model;
  std::shared_ptr<const Placement> placement;
  std::shared_ptr<Queue> queue;   // null on the processor
  std::shared_ptr<Memory> memory; // of everything that the program sees
  const Options options;
  ThreadPool pool; // of one thread where the program runs on a device
  std::vector<State> states;
  Buffer arena;
  std::vector<int64_t> table;
  Recordings recordings;

  // Of the run in progress; kept to be used again.
  std::vector<Input> inputs, stateInputs;
  std::vector<int64_t> inputDims, stateDims;
  std::vector<Output> outputs;
  std::vector<size_t> asked; // per output asked for: its index, or the count of outputs + the state's index
  std::vector<Buffer> scratch;
  std::vector<void *> outputData;
  Error failure; // of a callback
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_SESSION_H
