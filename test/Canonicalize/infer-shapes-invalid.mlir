// RUN: qcc-opt %s --split-input-file --verify-diagnostics --infer-shapes

func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @below {{Strange has no lowering}}
  %y = onnx.node "Strange" version 1(%x) {} : (tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @main(%x: tensor<*xf32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{Relu reads an operand whose rank is not known}}
  %y = onnx.node "Relu" version 14(%x) {} : (tensor<*xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// -----

// expected-error @below {{output "y" is no tensor of known rank}}
func.func @main(%x: tensor<*xf32>) -> (tensor<*xf32> {onnx.name = "y"}) {
  return %x : tensor<*xf32>
}

// -----

// expected-error @below {{attribute 'onnx.symbols' has an entry that is no dimension symbol: {kind = "guess"}}}
module attributes {onnx.symbols = [{kind = "guess"}]} {
  func.func @main() {
    return
  }
}

// -----

func.func @main(%x: tensor<2x3xf32>, %w: tensor<4x2xf32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{MatMul}}
  %y = onnx.node "MatMul" version 13(%x, %w) {} : (tensor<2x3xf32>, tensor<4x2xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
