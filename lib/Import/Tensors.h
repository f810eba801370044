// ONNX element types and tensors as MLIR types and byte attributes.
#pragma once

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Location.h"
#include "onnx/onnx-ml.pb.h"
#include "qcc/Import/ModelFile.h"

namespace qcc {

/// What an error calls an ONNX element type.
std::string elementName(int32_t onnxType);

/// The tensor's bytes as raw_data has them, checked against its type and dimensions. Large data stays in its file.
/// Reports at `loc` and returns null when the tensor is malformed.
mlir::ElementsAttr tensorBytes(const ::onnx::TensorProto &tensor, ModelFile &file, mlir::Location loc);

/// The tensor's type; reports and returns null for element types without numbers, bad or too large dimensions.
mlir::RankedTensorType tensorType(const ::onnx::TensorProto &tensor, mlir::Location loc);

} // namespace qcc
