#include "qcc/Pipeline/HostRun.h"
#include "qcc/Operator/Node.h"
#include "qcc/Runtime/Abi.h"
#include "qcc/Tile/Numbers.h"
#include "llvm/ADT/ScopeExit.h"
#include <csetjmp>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
using namespace qcc;

namespace {
/// What the callbacks of a run reach through `qcc_frame::runtime`.
struct HostState {
  std::vector<HostTensor> outputs;
  std::vector<void *> pointers;
  std::vector<int64_t> elementBytes;
  std::vector<std::unique_ptr<char[]>> scratch;
  std::jmp_buf end;
};

char *aligned(std::vector<std::unique_ptr<char[]>> &owner, size_t bytes) {
  owner.push_back(std::make_unique<char[]>(bytes + 64));
  return reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(owner.back().get()) + 63) & ~uintptr_t(63));
}
} // namespace

llvm::Expected<std::vector<HostTensor>> qcc::runOnHost(const Compilation &compilation, ArrayRef<Type> outputTypes) {
  const auto &object = compilation.code.front().object;
  int fd = memfd_create("qcc-host-run", MFD_CLOEXEC);
  if (fd < 0)
    return llvm::createStringError("cannot make an anonymous file for generated code");
  llvm::scope_exit closeFile([&] { ::close(fd); });
  for (size_t done = 0; done < object.size();) {
    ssize_t n = ::write(fd, object.data() + done, object.size() - done);
    if (n <= 0)
      return llvm::createStringError("cannot write generated code into memory");
    done += n;
  }
  void *library = dlopen(("/proc/self/fd/" + std::to_string(fd)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return llvm::createStringError(std::string("cannot load generated code: ") + dlerror());
  llvm::scope_exit closeLibrary([&] { dlclose(library); });
  auto *program = static_cast<const qcc_program *>(dlsym(library, QCC_PROGRAM_SYMBOL));

  HostState state;
  for (Type type : outputTypes)
    state.elementBytes.push_back(storageBytes(cast<RankedTensorType>(type).getElementType()));
  state.outputs.resize(outputTypes.size());
  for (auto [i, type] : llvm::enumerate(outputTypes))
    state.outputs[i].dims.resize(cast<RankedTensorType>(type).getRank());
  state.pointers.resize(outputTypes.size());
  std::vector<int64_t> table(program->table_length);
  if (program->plan(nullptr, nullptr, table.data()) != 0)
    return llvm::createStringError("a constant is too large to compute");
  char *weights = aligned(state.scratch, compilation.weights.totalBytes());
  for (auto [i, value] : llvm::enumerate(compilation.weightOrder)) {
    auto tensor = constantOf(value);
    memcpy(weights + compilation.manifest.tensors[i].offset, tensor->bytes.data(), tensor->bytes.size());
  }
  qcc_frame frame = {};
  frame.table = table.data();
  frame.outputs = state.pointers.data();
  frame.weights = reinterpret_cast<const uint8_t *>(weights);
  frame.arena = reinterpret_cast<uint8_t *>(aligned(state.scratch, table[0]));
  frame.threads = 1;
  frame.barrier = [](qcc_frame *, int64_t) {};
  frame.output = [](qcc_frame *f, int64_t index, const int64_t *dims) -> void * {
    auto &s = *static_cast<HostState *>(f->runtime);
    HostTensor &tensor = s.outputs[index];
    int64_t count = 1;
    for (int64_t &dim : tensor.dims)
      count *= dim = *dims++;
    tensor.bytes.resize(std::max<int64_t>(count, 1) * s.elementBytes[index]);
    return s.pointers[index] = tensor.bytes.data();
  };
  frame.allocate = [](qcc_frame *f, int64_t bytes) -> void * {
    auto &s = *static_cast<HostState *>(f->runtime);
    if (bytes < 0) // a program that must not go on asks for it
      std::longjmp(s.end, 1);
    return aligned(s.scratch, bytes);
  };
  frame.runtime = &state;
  if (setjmp(state.end) == 0)
    program->run(&frame, 0);
  if (frame.error)
    return llvm::createStringError("node '" + compilation.code.front().nodes[frame.error - 1] +
                                   "' gets values or dimensions that the operator does not allow");
  return std::move(state.outputs);
}
