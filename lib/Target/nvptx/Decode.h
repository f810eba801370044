// Codes of a packed weight to numbers of one thread.
#pragma once

#include "ThreadBlock.h"
#include "qcc/Pack/PackedLayout.h"

namespace qcc {

/// The decode of one format. A thread reads the 32-bit lane of one row in a chunk.
class ThreadDecoder {
public:
  ThreadDecoder(ThreadBlock &block, const Format &format, const PackedLayout &layout)
      : t(block), b(block.b), format(format), layout(layout) {}

  /// The lanes, one of each plane, of a chunk of the row whose codes of a block begin at `address`.
  llvm::SmallVector<mlir::Value> load(mlir::Value address, mlir::Value chunk);
  /// The chunk's columns as floats, scales and zeros left out.
  llvm::SmallVector<mlir::Value> floats(llvm::ArrayRef<mlir::Value> lanes);
  /// The chunk's columns as int8 numbers, four in each i32; as u8 where they are unsigned.
  llvm::SmallVector<mlir::Value> integers(llvm::ArrayRef<mlir::Value> lanes);
  /// The chunk's columns as e4m3 numbers, four in each i32, where they all are such.
  llvm::SmallVector<mlir::Value> fp8(mlir::Value lane);
  /// Whether `integers` gives numbers without a sign, which are too large by `bias()`.
  bool isUnsigned() const { return isAffine(); }
  int bias() const { return isAffine() ? layout.bias : 0; }

  /// The row's scale in a block; times what an integer view's numbers are too large by, where `integer`.
  mlir::Value scale(mlir::Value address, bool integer);
  /// The row's zero in a block.
  mlir::Value zero(mlir::Value address);

private:
  bool isAffine() const { return layout.codeBits <= 4 && (layout.bias || layout.hasZero); }
  mlir::Value lookupBytes(llvm::ArrayRef<int8_t> table, mlir::Value indices);

  ThreadBlock &t;
  mlir::ImplicitLocOpBuilder &b;
  const Format &format;
  const PackedLayout &layout;
};

} // namespace qcc
