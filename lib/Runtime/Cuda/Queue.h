// A session's stream on a CUDA device and the memory it uses there.
#ifndef QCC_LIB_RUNTIME_CUDA_QUEUE_H
#define QCC_LIB_RUNTIME_CUDA_QUEUE_H

#include "Program.h"

#include <map>
#include <mutex>
#include <optional>

namespace qcc::cuda {

class Queue : public qcc::Queue {
public:
  // `program` is used by `launch`, and lives as long as that is called; the rest lives as long as a tensor.
  static std::shared_ptr<Queue> open(const Program &program, Error &error);
  ~Queue() override;

  uint8_t *allocate(size_t bytes) override;
  void release(uint8_t *data, size_t bytes) override;
  uint8_t *nothing() override { return reinterpret_cast<uint8_t *>(cell); }
  bool clear(uint8_t *data, size_t bytes) override;
  bool copyRows(Copy kind, void *to, int64_t toStride, const void *from, int64_t fromStride, int64_t rows,
                int64_t bytes) override;
  bool wait() override;
  void settle() override;
  DLDevice device() const override;
  bool holds(const void *data) const override;
  bool refuse(Error &error, const std::string &what) const override;

  void enter() override;
  void leave() override;
  bool begin(qcc_frame &frame) override;
  bool launch(int64_t kernel, int64_t blocks, void **arguments) noexcept override;
  bool read(const void *from, void *to, int64_t bytes) noexcept override;
  bool encode(void *map, const qcc_tensor_map &description) noexcept override;
  bool beginRecording() override;
  bool endRecording(size_t slot, bool keep) override;
  bool replay(size_t slot) override;
  bool end(int64_t &reported) override;

private:
  explicit Queue(const Program &program) : context(program.sharedContext()), program(program) {}
  const Driver &driver() const { return context->driver(); }
  // Returns whether the result is success; keeps it, and what was being done, for `refuse`.
  bool check(Result result, const char *doing, const std::string &object = {});

  std::shared_ptr<Context> context;
  const Program &program;
  Stream stream = nullptr;
  Address cell = 0; // of what kernels report, and what empty tensors point to
  int64_t *reported = nullptr;

  // What was released and fits later; by size. All uses are in the stream's order, so it can be used again at once.
  std::mutex mutex;
  std::multimap<size_t, Address> idle;
  std::map<Address, size_t> sizes; // of what is in use
  size_t idleBytes = 0;
  void trim();

  std::vector<GraphExec> recorded; // by slot
  std::optional<Current> entered;
  Result failed = success;
  std::string failure; // what was being done
  std::string shortage;
};

} // namespace qcc::cuda

#endif // QCC_LIB_RUNTIME_CUDA_QUEUE_H
