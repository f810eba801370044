// Rows of a cache that is kept in a format: how kernels write and read them.
#pragma once

#include "qcc/Format/RowLayout.h"
#include "qcc/Tile/Kernel.h"

namespace qcc {

/// The number that a stored IEEE half float (i16) is, by one instruction where the target has it.
mlir::Value halfToFloat(Kernel &k, mlir::Value stored);

/// Reads and writes rows at byte offsets of storage; elements are float32.
class RowCodec {
public:
  RowCodec(Kernel &kernel, const RowLayout &layout) : k(kernel), layout(layout) {}

  /// Element `i` of the row at `start`.
  mlir::Value element(mlir::Value data, mlir::Value start, mlir::Value i);
  /// numbers[to + i] = element i, for all elements of the row at `start`.
  void read(mlir::Value data, mlir::Value start, mlir::Value numbers, mlir::Value to);
  /// Writes the elements numbers[i] as the row at `start`.
  void write(mlir::Value data, mlir::Value start, mlir::Value numbers);
  /// Writes one block of a row whose blocks are all whole; numbers[0] is its first element.
  void writeBlock(mlir::Value data, mlir::Value start, mlir::Value block, mlir::Value numbers);
  /// Makes all elements of the row at `start` zero.
  void clear(mlir::Value data, mlir::Value start);

private:
  /// The scale and the negated zero of a block.
  std::pair<mlir::Value, mlir::Value> scaleOf(mlir::Value data, mlir::Value start, mlir::Value block);
  void readBlock(mlir::Value data, mlir::Value start, mlir::Value block, int64_t width, mlir::Value numbers,
                 mlir::Value to);
  void writeBlock(mlir::Value data, mlir::Value start, mlir::Value block, int64_t width, mlir::Value numbers,
                  mlir::Value from);
  mlir::Value codesOf(mlir::Value start, mlir::Value block);

  Kernel &k;
  const RowLayout &layout;
};

} // namespace qcc
