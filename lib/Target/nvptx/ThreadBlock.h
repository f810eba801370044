// The threads of a block that compute a unit together.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// Emits code for a block of `threads` threads, a multiple of 32. All of them execute the kernel's body; `Kernel::lo`
/// is the block's unit.
class ThreadBlock {
public:
  ThreadBlock(Kernel &kernel, int64_t threads);

  Kernel &k;
  mlir::ImplicitLocOpBuilder &b;
  const int64_t threads;
  mlir::Type i1, i8, i16, i32, i64, f32, ptr, sharedPtr;

  static constexpr int64_t warpThreads = 32;
  int64_t warps() const { return threads / warpThreads; }

  // Numbers of the executing thread, as i64: below `threads`, below 32, below `warps()`.
  mlir::Value thread() const { return threadNumber; }
  mlir::Value lane() const { return laneNumber; }
  mlir::Value warp() const { return warpNumber; }

  /// All threads have arrived, and see what the others have written.
  void barrier();
  /// The same for the threads of this warp.
  void warpBarrier();
  /// The value of the thread of this warp whose lane number differs in the bits of `mask`; of 32-bit types.
  mlir::Value shuffleXor(mlir::Value value, int mask);
  /// The sum of all lanes whose numbers agree but for the bits of `mask`, on each of them.
  mlir::Value sumOverLanes(mlir::Value value, int mask);

  /// `bytes` bytes of the block's shared memory at a multiple of `alignment`; each call gives another part.
  mlir::Value shared(int64_t bytes, int64_t alignment = 16);

  /// body(i) for i in [0, count), shared out among the threads: written out one after another.
  void share(int64_t count, llvm::function_ref<void(mlir::Value)> body);

  // Memory; offsets are in bytes.
  mlir::Value at(mlir::Value base, mlir::Value offset);
  mlir::Value at(mlir::Value base, int64_t offset);
  mlir::Value load(mlir::Type type, mlir::Value address, unsigned align);
  void store(mlir::Value value, mlir::Value address, unsigned align);

  mlir::Value integer(int64_t value); // i32
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value sum);
  mlir::Value intrinsic(mlir::Type type, llvm::StringRef name, mlir::ValueRange arguments);
  /// PTX that stays where it stands, with its results and operands as LLVM's constraints say.
  llvm::SmallVector<mlir::Value> assembly(llvm::StringRef text, llvm::StringRef constraints, mlir::ValueRange operands,
                                          llvm::ArrayRef<mlir::Type> results = {});

private:
  mlir::Value threadNumber, laneNumber, warpNumber, sharedBase;
  int64_t sharedBytes = 0;
};

} // namespace qcc
