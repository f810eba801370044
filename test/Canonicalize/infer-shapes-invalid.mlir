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

// -----

// What ONNX's schema of an operator demands of its nodes.

func.func @main(%x: tensor<2x2xf32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{MatMul has 1 inputs, but the operator has 2}}
  %y = onnx.node "MatMul" version 13(%x) {} : (tensor<2x2xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// -----

func.func @main(%x: tensor<2x2xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  // expected-error @below {{Relu has 2 outputs, but the operator has 1}}
  %y:2 = onnx.node "Relu" version 14(%x) {} : (tensor<2x2xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y#0, %y#1 : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// -----

func.func @main(%x: tensor<2x2xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.absent
  // expected-error @below {{MatMul lacks its input 1}}
  %y = onnx.node "MatMul" version 13(%x, %none) {} : (tensor<2x2xf32>, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// -----

func.func @main(%x: tensor<2x2xf32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{Concat lacks the attribute 'axis'}}
  %y = onnx.node "Concat" version 13(%x, %x) {} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// -----

func.func @main(%x: tensor<2x2xf32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{Concat has an attribute 'axis' that is not an integer}}
  %y = onnx.node "Concat" version 13(%x, %x) {axis = 1.0 : f32} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// -----

func.func @main(%x: tensor<2x2xi32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{Sin has an input 0 of i32, which the operator does not take there}}
  %y = onnx.node "Sin" version 7(%x) {} : (tensor<2x2xi32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// -----

func.func @main(%x: tensor<2x2xi32>, %y: tensor<2x2xf32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{Add has an input 0 of i32 and an input 1 of f32, which must be the same}}
  %z = onnx.node "Add" version 14(%x, %y) {} : (tensor<2x2xi32>, tensor<2x2xf32>) -> tensor<*x!onnx.unknown>
  return %z : tensor<*x!onnx.unknown>
}

// -----

func.func @main(%x: tensor<1099511627776x1xf32>, %y: tensor<1x1099511627776xf32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{Add has a result that no memory can hold}}
  %z = onnx.node "Add" version 14(%x, %y) {} : (tensor<1099511627776x1xf32>, tensor<1x1099511627776xf32>) -> tensor<*x!onnx.unknown>
  return %z : tensor<*x!onnx.unknown>
}

// -----

func.func @main(%x: tensor<1x2x4x4xf32>, %w: tensor<2x1x1x4xi8>, %o: tensor<2xi32>) -> tensor<1x2x4x4xf32> {
  // expected-error @below {{CodeConv takes unsigned 8-bit codes with such a zero, signed 8-bit weights and 32-bit offsets}}
  %y = onnx.node "CodeConv" in "qcc" version 1(%x, %w, %o) {kernel_shape = array<i64: 1, 1>, zero = 3 : i64} : (tensor<1x2x4x4xf32>, tensor<2x1x1x4xi8>, tensor<2xi32>) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}

// -----

func.func @main(%x: tensor<1x2x4x4xui8>, %w: tensor<2x1x1x4xi8>, %o: tensor<2xi32>) -> tensor<1x2x4x4xf32> {
  // expected-error @below {{CodeConv takes unsigned 8-bit codes with such a zero, signed 8-bit weights and 32-bit offsets}}
  %y = onnx.node "CodeConv" in "qcc" version 1(%x, %w, %o) {kernel_shape = array<i64: 1, 1>, zero = 256 : i64} : (tensor<1x2x4x4xui8>, tensor<2x1x1x4xi8>, tensor<2xi32>) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}

// -----

func.func @main(%x: tensor<1x5x4x4xui8>, %w: tensor<2x1x1x4xi8>, %o: tensor<2xi32>) -> tensor<1x2x4x4xf32> {
  // expected-error @below {{CodeConv has weights or offsets that do not fit its inputs and outputs}}
  %y = onnx.node "CodeConv" in "qcc" version 1(%x, %w, %o) {kernel_shape = array<i64: 1, 1>, zero = 3 : i64} : (tensor<1x5x4x4xui8>, tensor<2x1x1x4xi8>, tensor<2xi32>) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}

// -----

func.func @main(%x: tensor<1x3x4x4xui8>, %w: tensor<2x1x4xi8>, %o: tensor<2xi32>) -> tensor<1x2x4x4xf32> {
  // expected-error @below {{CodeConv has weights or offsets that do not fit its inputs and outputs}}
  %y = onnx.node "CodeConv" in "qcc" version 1(%x, %w, %o) {depthwise = 1 : i64, kernel_shape = array<i64: 1, 1>, zero = 3 : i64} : (tensor<1x3x4x4xui8>, tensor<2x1x4xi8>, tensor<2xi32>) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}
