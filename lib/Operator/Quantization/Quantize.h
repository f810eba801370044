// Numbers as codes: rounding to the codes of a type.
#pragma once

#include "qcc/Tile/Kernel.h"
#include "qcc/Tile/Real.h"
#include "qcc/Tile/Team.h"

namespace qcc {

/// saturate(round(x) + zero) as a compute value of the integer type `to`: halves round to even, NaN becomes the
/// smallest code. `zero` is null where it is 0.
mlir::Value integerCode(mlir::ImplicitLocOpBuilder &b, const Real &x, mlir::Value zero, mlir::Type to);

/// A compute value as it is after storage in the float type `type`.
mlir::Value roundedTo(mlir::ImplicitLocOpBuilder &b, mlir::Value value, mlir::Type type, bool saturate = true);

/// The smallest and largest of what is `known` (of 0 where nothing is) and the pairs value(i) for i in [from, to), in
/// float32. The threads of a team share the pairs out.
llvm::SmallVector<mlir::Value> rangeOf(Kernel &k, mlir::Value from, mlir::Value to, mlir::ValueRange known,
                                       llvm::function_ref<std::pair<mlir::Value, mlir::Value>(mlir::Value)> value,
                                       const Team *team = nullptr);
/// The scale with which codes of uint8 cover such a range, and the code of 0.
std::pair<Real, mlir::Value> scaleOfRange(Kernel &k, mlir::ValueRange range);

} // namespace qcc
