// A program as an ONNX file.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace qcc {

/// Writes `main` of a module whose operators are ONNX's own, all with their types, as an ONNX model: values that shape
/// inference has resolved become constants again. What cannot be said in ONNX has been reported, by its node.
mlir::LogicalResult writeOnnx(mlir::ModuleOp module, llvm::raw_ostream &os);

/// Makes products with dequantized constants of linear operations, what they read quantized and dequantized where that
/// has a static scale. Formats and compute types that DequantizeLinear does not express have been reported.
mlir::LogicalResult linearsToNodes(mlir::ModuleOp module);

} // namespace qcc
