// A model and a session of it, through the C interface, with NumPy arrays at the border.
#ifndef QCC_PROGRAM_PROGRAM_H
#define QCC_PROGRAM_PROGRAM_H

#include "qcc/Artifact/Manifest.h"
#include "qcc/Npz/Npz.h"
#include "qcc/Runtime/qcc.h"

#include <memory>
#include <string>
#include <vector>

namespace qcc {

struct TensorDeleter {
  void operator()(DLManagedTensor *tensor) const { tensor->deleter(tensor); }
};
using TensorHandle = std::unique_ptr<DLManagedTensor, TensorDeleter>;

class Program {
public:
  struct Options {
    int threads = 0;         // 0: as many as the process may use
    std::string device = {}; // as in qcc1_model_options; empty for the artifact's own
    bool graphs = false;     // as in qcc1_session_options
  };
  static std::unique_ptr<Program> open(const std::string &path, const Options &options, std::string &error);
  ~Program();

  const Manifest &manifest() const { return description; }
  std::string target() const { return qcc1_model_target(model); }
  int threads() const { return qcc1_session_threads(session); }
  // A part of the artifact; empty when there is none.
  std::vector<uint8_t> part(const std::string &name) const;
  void reset() { qcc1_session_reset(session); }
  // Positions that the session's states hold.
  int64_t length() const { return qcc1_session_length(session, 0); }

  // `results` gets a tensor per name in `outputs`.
  bool run(const std::vector<qcc1_input> &inputs, const std::vector<std::string> &outputs,
           std::vector<TensorHandle> &results, std::string &error);
  bool run(const std::vector<NpzArray> &inputs, const std::vector<std::string> &outputs, std::vector<NpzArray> &results,
           std::string &error);

private:
  Program() = default;
  qcc1_model *model = nullptr;
  qcc1_session *session = nullptr;
  Manifest description;
};

// Points to the array's elements.
DLTensor viewOf(const NpzArray &array);
// Copies the elements of a tensor that a run gave.
NpzArray arrayOf(const std::string &name, const DLTensor &tensor);

} // namespace qcc

#endif // QCC_PROGRAM_PROGRAM_H
