// How a kernel holds and converts numbers: storage types, compute types, and ONNX's casts.
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace qcc {

/// The type in which a kernel computes with elements of `element`: f32 for every float narrower than it, i1 for
/// booleans, signless integers of at least 8 bits otherwise.
mlir::Type computeType(mlir::Type element);
/// The type of one element in memory; 4- and 2-bit elements take a byte each there.
mlir::Type storageType(mlir::Type element);
/// Bytes of one element in memory.
int64_t storageBytes(mlir::Type element);
/// The type whose bits an element codec of that name stores as they are: of float32, float16, bfloat16; null for
/// others.
mlir::Type plainType(llvm::StringRef codec, mlir::MLIRContext *context);
bool isUnsigned(mlir::Type element);
bool isFloat(mlir::Type element);

/// Storage bits to compute value and back; narrowing rounds to nearest even. Finite numbers too large for a float of 8
/// bits become the largest one when `saturate`; infinities stay what they are where the format has them.
mlir::Value fromStorage(mlir::ImplicitLocOpBuilder &b, mlir::Value stored, mlir::Type element);
mlir::Value toStorage(mlir::ImplicitLocOpBuilder &b, mlir::Value value, mlir::Type element, bool saturate = true);

/// ONNX Cast of a compute value: floats to integers towards zero, anything to bool by != 0.
mlir::Value castNumber(mlir::ImplicitLocOpBuilder &b, mlir::Value value, mlir::Type from, mlir::Type to);

/// A constant of the compute type of `element`.
mlir::Value numberConstant(mlir::ImplicitLocOpBuilder &b, mlir::Type element, double value);

/// The smallest and largest value that an element can have (infinities for floats), as compute constants.
mlir::Value lowestNumber(mlir::ImplicitLocOpBuilder &b, mlir::Type element);
mlir::Value highestNumber(mlir::ImplicitLocOpBuilder &b, mlir::Type element);

} // namespace qcc
