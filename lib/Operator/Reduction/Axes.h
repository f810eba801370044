// Which axes of a tensor are reduced, and how elements are reached.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// A tensor's elements as `kept` × `reduced` positions. Coordinate i of an element is kept[i] + reduced[i]; one of the
/// two lengths is 1, though which one may be known only while the program runs. Axes that are treated alike and stand
/// side by side are one where the elements can be reached by their number.
struct Axes {
  Axes(Lowering &lowering, mlir::Value tensor, llvm::ArrayRef<Dim> isReduced);

  mlir::Value tensor;
  llvm::SmallVector<Dim> dims, kept, reduced;
  /// Whether the last axis is known to be kept, so that neighbours belong to different results.
  bool lastIsKept() const;
  mlir::Value load(Kernel &k, llvm::ArrayRef<mlir::Value> keptAt, llvm::ArrayRef<mlir::Value> reducedAt) const;

private:
  llvm::SmallVector<Dim> shape;
  bool byNumber;
};

/// A tensor seen as outer × length × inner around one axis, reached by element numbers.
struct Line {
  Dim outer, length, inner;
  Line(Dimensions &dims, llvm::ArrayRef<Dim> shape, int64_t axis, int64_t axes = 1);
  mlir::Value number(Kernel &k, mlir::Value outerAt, mlir::Value at, mlir::Value innerAt) const;
};

} // namespace qcc
