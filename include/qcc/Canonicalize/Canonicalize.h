// imported -> canonical: types and dimensions of every value.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "qcc/Canonicalize/Dimensions.h"

namespace qcc {

/// Reports, in one error, every operator of the module that has no lowering: its type, how many nodes, their names, and
/// what to do.
mlir::LogicalResult checkOperators(mlir::ModuleOp module);

/// Gives every value of `main` its type, with symbolic dimensions; computations on shapes vanish. Dimension symbols
/// stand in the module afterwards.
mlir::LogicalResult inferShapes(mlir::ModuleOp module);

/// Reports the first value of `main` that is no tensor of known rank, or whose dimensions are none of the program's.
mlir::LogicalResult checkTypes(mlir::ModuleOp module);

} // namespace qcc
