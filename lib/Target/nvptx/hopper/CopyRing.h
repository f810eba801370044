// Shared memory that asynchronous copies fill while others read.
#pragma once

#include "../ThreadBlock.h"

namespace qcc {

/// A ring of stages. One warp of the block fills them with bulk copies, `readers` warps empty them; an mbarrier of
/// each stage says that it is full, another that it is empty.
class CopyRing {
public:
  CopyRing(ThreadBlock &block, int64_t stages, int64_t stageBytes, int64_t readers);

  /// Bytes of the block's shared memory that barriers take beside the stages.
  static constexpr int64_t barrierBytes = 16;
  static constexpr int64_t alignment = 1024;

  /// Where a reader or the writer stands: the stage (i64), and the parity of the times that it was full (i32).
  struct Turn {
    mlir::Value stage, parity;
  };
  Turn first();
  Turn next(Turn turn);

  /// Called by all threads; their next barrier makes the ring ready.
  void initialise();
  mlir::Value at(mlir::Value stage);

  // Of the warp that writes.
  /// Waits until the stage is empty, and says how many bytes all lanes will copy.
  void begin(Turn turn, int64_t bytes);
  /// `bytes` bytes of global memory to `to` in the stage, all three multiples of 16; of one lane.
  void copy(mlir::Value stage, mlir::Value to, mlir::Value from, mlir::Value bytes);

  // Of a warp that reads.
  void waitFull(Turn turn);
  void release(mlir::Value stage);

private:
  mlir::Value barrier(mlir::Value stage, bool isFull);
  void wait(mlir::Value barrier, mlir::Value parity);

  ThreadBlock &t;
  Kernel &k;
  mlir::ImplicitLocOpBuilder &b;
  const int64_t stages, stageBytes, readers;
  mlir::Value area, barriers;
};

} // namespace qcc
