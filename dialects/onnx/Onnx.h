// The onnx dialect: an imported ONNX graph. Operators are data (`onnx.node`), see RATIONALE.md.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/onnx/OnnxDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/onnx/OnnxTypes.h.inc"

#define GET_OP_CLASSES
#include "dialects/onnx/OnnxOps.h.inc"

namespace qcc::onnx {

/// Bytes that `count` elements of `element` take in ONNX's raw_data: 4-bit and 2-bit types are packed, booleans take a
/// byte each. Nothing for a type without a fixed size or when the number does not fit.
std::optional<int64_t> rawBytes(mlir::Type element, int64_t count);

/// The element type that ONNX's TensorProto.DataType numbers; null for strings, complex numbers and unknown ones.
mlir::Type elementType(int64_t dataType, mlir::MLIRContext *context);
/// The number of an element type; nothing for one that ONNX has not.
std::optional<int64_t> dataTypeOf(mlir::Type element);

} // namespace qcc::onnx
