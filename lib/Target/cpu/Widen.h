// Code written for one element of a row, emitted for as many consecutive elements as a register holds.
#pragma once

#include "Simd.h"

namespace qcc {

/// Code of an element: `at` is its position in the row, `value` what was computed for it.
using ElementCode = llvm::function_ref<void(mlir::Value at, mlir::Value value)>;

/// Whether `emitWide` can emit the code: straight arithmetic on elements that are consecutive in memory or the same for
/// the whole row.
bool isWide(Simd &simd, ElementCode code);
/// Emits the code for elements at, at + 1, ... of the values in the lanes of `value`. Only the lanes set in `mask`
/// touch memory, where there is one. False, with nothing emitted, where that cannot be.
bool emitWide(Simd &simd, mlir::Value at, mlir::Value value, mlir::Value mask, ElementCode code);

} // namespace qcc
