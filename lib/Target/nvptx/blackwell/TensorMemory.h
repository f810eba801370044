// The matrix unit whose sums are in tensor memory (tcgen05), as a block of four warps uses it.
#pragma once

#include "../ThreadBlock.h"
#include "qcc/Pack/PackedLayout.h"

namespace qcc {

/// Operands are tiles of lines in shared memory: 128 bytes of a row or token, the 16-byte pieces of line r exchanged by
/// XOR with r % 8. A tile begins at a multiple of `patternBytes`.
class TensorMemory {
public:
  /// `columns` of tensor memory: a power of two from 32 to 512. `barriers` count what is complete, one after another.
  TensorMemory(ThreadBlock &block, int64_t columns, int64_t barriers)
      : t(block), k(block.k), b(block.b), columns(columns), barriers(barriers) {}

  static constexpr int64_t threads = 128, rows = 128; // of weights, a lane of tensor memory for each
  static constexpr int64_t lineBytes = 128, patternBytes = 1024;

  /// Gives the block its memory; all threads call it, as they do `end`.
  void begin();
  void end();
  /// The number of the memory's first column.
  mlir::Value first() const { return memory; }

  /// Assembly that reads or writes memory of any kind.
  llvm::SmallVector<mlir::Value> run(const std::string &text, std::string constraints, mlir::ValueRange operands,
                                     llvm::ArrayRef<mlir::Type> results = {});
  mlir::Value narrow(mlir::Value wide);

  /// What this thread has written to shared memory is to be seen by the matrix unit.
  void show() { run("fence.proxy.async.shared::cta;", "", {}); }
  /// Orders this thread's accesses to tensor memory with those of others, before and behind a barrier.
  void before() { run("tcgen05.fence::before_thread_sync;", "", {}); }
  void behind() { run("tcgen05.fence::after_thread_sync;", "", {}); }
  /// One thread: after all products so far, its barrier of `number` is complete.
  void commit(mlir::Value number);
  /// Until it is.
  void wait(mlir::Value number);

  /// Where a piece of a line stands in a tile.
  mlir::Value pieceAt(mlir::Value tile, mlir::Value line, mlir::Value piece);
  /// A tile's descriptor; a step along the lines adds its bytes / 16.
  mlir::Value describeTile(mlir::Value tile) { return describe(tile, patternBytes, 2); }
  /// The descriptor of lines of 16 bytes.
  mlir::Value describeShortLines(mlir::Value place) { return describe(place, 128, 0); }
  /// The instruction descriptor's fields of a shape of 128 rows.
  static uint64_t shape(int64_t tokens) { return uint64_t(tokens / 8) << 17 | uint64_t(rows / 16) << 24; }

  /// Eight columns of this warp's lanes, from column `column` on, as values of 32 bits.
  llvm::SmallVector<mlir::Value> load(mlir::Value column, mlir::Type type);
  static constexpr int64_t loadColumns = 8;

  void copyPiece(mlir::Value from, mlir::Value to, int64_t bytes, mlir::Value present = {});
  /// The packed tile of 16 rows, the `tile`th of this block's; beyond the matrix the last one.
  mlir::Value tileBase(const PackedLayout &layout, mlir::Value packed, mlir::Value rowGroup, mlir::Value tile);
  /// Copies `count` chunks of all rows, from chunk `first` of the row on, `perPiece` of them to a piece. `isRest` says
  /// that there may be fewer; what is read in place of them has to meet activations that are 0.
  void copyWeights(const PackedLayout &layout, mlir::Value packed, mlir::Value rowGroup, mlir::Value first,
                   int64_t count, int64_t perPiece, bool isRest, mlir::Value to);

private:
  mlir::Value describe(mlir::Value place, int64_t eights, uint64_t pattern);
  mlir::Value address(mlir::Value place);
  mlir::Value barrierAt(mlir::Value number);

  ThreadBlock &t;
  Kernel &k;
  mlir::ImplicitLocOpBuilder &b;
  int64_t columns, barriers;
  mlir::Value memory, done;
};

} // namespace qcc
