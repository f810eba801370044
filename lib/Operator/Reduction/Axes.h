// Which axes of a tensor are reduced, and how elements are reached.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// A tensor's elements as `kept` × `reduced` positions. Coordinate i of an element is kept[i] + reduced[i]; one of the
/// two lengths is 1, though which one may be known only while the program runs. Axes that are treated alike and stand
/// side by side are one where the elements can be reached by their number.
struct Axes {
  Axes(Lowering &lowering, mlir::Value tensor, llvm::ArrayRef<Dim> isReduced);
  /// One axis, whose number `axis` may be known only while the program runs.
  Axes(Lowering &lowering, mlir::Value tensor, Dim axis);

  mlir::Value tensor;
  llvm::SmallVector<Dim> dims, kept, reduced;
  /// Whether the last axis is known to be kept, so that neighbours belong to different results.
  bool lastIsKept() const;
  mlir::Value load(Kernel &k, llvm::ArrayRef<mlir::Value> keptAt, llvm::ArrayRef<mlir::Value> reducedAt) const;
  /// The element's number.
  mlir::Value number(Kernel &k, llvm::ArrayRef<mlir::Value> keptAt, llvm::ArrayRef<mlir::Value> reducedAt) const;
  /// The axis that is reduced, where no more than one is.
  size_t reducedAxis() const;

private:
  llvm::SmallVector<Dim> shape;
  bool byNumber;
};

/// isReduced for one axis, or several that follow each other, of a tensor of rank `rank`.
llvm::SmallVector<Dim> oneAxis(const Dimensions &dims, int64_t rank, int64_t axis, int64_t count = 1);

} // namespace qcc
