// Folding many elements into one: sums, products and extrema in kernels.
#pragma once

#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/Team.h"

namespace qcc {

enum class Fold { Sum, Product, Largest, Smallest };

/// fold(a, b) of compute values of `element`. Floats are summed and multiplied in an order of the compiler's choice,
/// extrema of floats are NaN when an operand is.
mlir::Value combine(Kernel &k, Fold fold, mlir::Type element, mlir::Value a, mlir::Value b);
/// What a fold of nothing is.
mlir::Value identity(Kernel &k, Fold fold, mlir::Type element);

/// In what a fold of many values of `element` is kept: f64 for f32, where rounding errors would add up.
mlir::Type wideType(Fold fold, mlir::Type element);

/// The fold, in `wideType`, of term(i) for i in [0, length), where consecutive terms are best read together: floats in
/// many partial results side by side, which are brought together in the wide type at times. A team of
/// several threads shares the terms out; each of its threads gets the fold.
mlir::Value foldRow(Kernel &k, Fold fold, mlir::Type element, Dim length,
                    llvm::function_ref<mlir::Value(mlir::Value)> term, mlir::Value start = {},
                    const Team *team = nullptr);

} // namespace qcc
