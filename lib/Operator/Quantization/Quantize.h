// Numbers as codes: rounding to the codes of a type.
#pragma once

#include "qcc/Tile/Real.h"

namespace qcc {

/// saturate(round(x) + zero) as a compute value of the integer type `to`: halves round to even, NaN becomes the
/// smallest code. `zero` is null where it is 0.
mlir::Value integerCode(mlir::ImplicitLocOpBuilder &b, const Real &x, mlir::Value zero, mlir::Type to);

/// A compute value as it is after storage in the float type `type`.
mlir::Value roundedTo(mlir::ImplicitLocOpBuilder &b, mlir::Value value, mlir::Type type, bool saturate = true);

} // namespace qcc
