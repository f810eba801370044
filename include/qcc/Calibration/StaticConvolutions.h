// Convolutions of int8 codes with static scales.
#pragma once

#include "dialects/onnx/Onnx.h"
#include "mlir/IR/BuiltinOps.h"
#include "qcc/Calibration/Methods.h"

namespace qcc {

/// Of a convolution: the compute type that was chosen for it, where it is not float32.
inline constexpr llvm::StringLiteral actAttr = "qnt.act";
/// Of a convolution to be quantized with its bias corrected: the mean of each input channel.
inline constexpr llvm::StringLiteral meansAttr = "qnt.means";

/// What is multiplied as codes whose scales are known before the program runs.
inline constexpr llvm::StringLiteral staticInt8 = "int8-static", staticFp8 = "fp8-static";

/// The convolutions of `main` in float32 whose weights and bias are constants, in program order.
llvm::SmallVector<onnx::NodeOp> constantConvolutions(mlir::ModuleOp module);

/// Puts QuantizeLinear and DequantizeLinear around what the convolutions marked `int8-static` read: codes of uint8 with
/// one scale and zero, from the range that the value carries, int8 weights with a scale for each output channel, biases
/// of int32. What else reads such a value reads the codes too, save outputs of the program and what multiplies in float
/// or in codes of its own. A channel of weights that are all 0 has the scale that its bias needs.
mlir::FailureOr<std::vector<WeightQuality>> quantizeConvolutions(mlir::ModuleOp module);

} // namespace qcc
