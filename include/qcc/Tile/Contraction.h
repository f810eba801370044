// Matrix products of any element types, for operands that are given as functions of an index.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// a * b and a + b of compute values. A float product that feeds a sum may be fused with it.
mlir::Value multiply(Kernel &kernel, mlir::Value a, mlir::Value b);
mlir::Value plus(Kernel &kernel, mlir::Value a, mlir::Value b);

/// The element type in which products of `element` are summed: f64 for f64, f32 for all narrower floats, the type
/// itself for integers.
mlir::Type accumulatorOf(mlir::Type element);

/// sum(batch, row, column) = sum over `depth` of left(batch, row, k) * right(batch, k, column)
///
/// `batch` is the coordinates in `batches`. `left` and `right` give compute values of `accumulator`; indices are within
/// their lengths. `store` takes each finished sum once.
struct Contraction {
  llvm::SmallVector<Dim> batches;
  Dim rows, columns, depth;
  mlir::Type accumulator;
  /// Whether consecutive columns of the right operand are consecutive in memory and need no conversion; otherwise its
  /// tiles are copied to thread storage.
  bool rightIsContiguous = false;
  /// Whether consecutive steps of depth of the left operand are consecutive in memory and need no conversion.
  bool leftIsContiguous = false;
  /// Whether the copy walks `depth` innermost (the right operand is stored transposed).
  bool rightIsTransposed = false;
  std::function<mlir::Value(Kernel &, llvm::ArrayRef<mlir::Value> batch, mlir::Value row, mlir::Value k)> left;
  std::function<mlir::Value(Kernel &, llvm::ArrayRef<mlir::Value> batch, mlir::Value k, mlir::Value column)> right;
  std::function<void(Kernel &, llvm::ArrayRef<mlir::Value> batch, mlir::Value row, mlir::Value column, mlir::Value sum)>
      store;
};

/// Emits and launches a kernel that computes the contraction in tiles.
void emitContraction(Lowering &lowering, llvm::StringRef name, const Contraction &contraction);

} // namespace qcc
