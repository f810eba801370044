// Functions that stand for an operator: the model's own and the bodies in ONNX's schemas.
#pragma once

#include "onnx/onnx-ml.pb.h"
#include "llvm/ADT/StringRef.h"
#include <optional>

namespace qcc {

/// The function body that ONNX's schema gives an operator at `version` of its domain, where it has one that does not
/// depend on types.
std::optional<::onnx::FunctionProto> schemaFunction(llvm::StringRef domain, llvm::StringRef type, int64_t version);

/// Puts a call's attributes into a node of a function body: attributes that refer to the function's take the call's
/// value, the default, or vanish. Subgraphs are followed.
void bindAttributes(::onnx::NodeProto &node, const ::onnx::NodeProto &call, const ::onnx::FunctionProto &function);

} // namespace qcc
