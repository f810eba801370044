// The threads that compute one unit of a kernel.
#pragma once

#include "qcc/Tile/Kernel.h"
#include <memory>

namespace qcc {

class ThreadBlock;

/// Threads that share out the elements of a row: a warp or more on a device whose rows are long enough, otherwise one
/// thread, for which all of this is nothing but the loops. All of them execute the kernel's body.
class Team {
public:
  /// Of a kernel each of whose units is a row of `length` elements.
  Team(Kernel &kernel, Dim length);
  /// Of one thread.
  explicit Team(Kernel &kernel);
  Team(Team &&);
  ~Team();

  bool isOne() const { return !threads; }
  /// Of more than one thread.
  ThreadBlock &block() const { return *threads; }
  /// body(i) for i in [from, to), each by one of the threads: by the same one in every such loop.
  void each(mlir::Value from, mlir::Value to, llvm::function_ref<void(mlir::Value)> body) const;
  /// The same with values that each thread carries.
  llvm::SmallVector<mlir::Value>
  each(mlir::Value from, mlir::Value to, mlir::ValueRange init,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)> body) const;
  /// What `combine` makes of all threads' values, on each of them; all threads get here.
  mlir::Value across(mlir::Value mine, llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine) const;
  /// body() by one of the threads.
  void once(llvm::function_ref<void()> body) const;
  /// Each thread sees what the others have written.
  void barrier() const;
  /// `bytes` bytes that the threads share; as thread scratch where there is one.
  mlir::Value scratch(int64_t bytes) const;

private:
  Kernel &k;
  std::unique_ptr<ThreadBlock> threads; // null where there is one
};

} // namespace qcc
