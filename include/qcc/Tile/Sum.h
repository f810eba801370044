// Sums of many terms.
#pragma once

#include "qcc/Tile/Kernel.h"

namespace qcc {

/// The sum of term(i) for i in [from, to): floats are added in an order of the compiler's choice, in several partial
/// sums side by side, which is both faster and more accurate than one after another.
mlir::Value sumOf(Kernel &kernel, mlir::Value from, mlir::Value to, mlir::Type type,
                  llvm::function_ref<mlir::Value(mlir::Value)> term);
/// The same for several sums of the same range.
llvm::SmallVector<mlir::Value> sumsOf(Kernel &kernel, mlir::Value from, mlir::Value to,
                                      llvm::ArrayRef<mlir::Type> types,
                                      llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value)> terms);

} // namespace qcc
