// Rotary position embedding of one element.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// The first `width` elements of a head of `size` are pairs that turn by an angle of their own: neighbours when
/// `interleaved`, otherwise elements that are half of `width` apart.
struct Rotation {
  Dim size, width;
  bool interleaved = false;

  /// Element `i` after the rotation; `x` gives the elements before it, `cosine` and `sine` those of pair j's angle.
  mlir::Value element(Kernel &k, mlir::Value i, llvm::function_ref<mlir::Value(mlir::Value)> x,
                      llvm::function_ref<mlir::Value(mlir::Value)> cosine,
                      llvm::function_ref<mlir::Value(mlir::Value)> sine) const;
};

/// A position as an index into a table of `length` rows; the node fails when it is none.
mlir::Value checkedPosition(Kernel &k, mlir::Value position, Dim length);

} // namespace qcc
