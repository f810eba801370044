// RUN: qcc-opt %s --split-input-file --raise-code-conv | FileCheck %s

// A convolution of unsigned codes and constant signed ones multiplies bytes; the zero's share of a sum, 10 times the sum of
// the weights (-6 and -6), is taken off. Inputs stand behind the taps, in fours.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<1x2x4x4xui8>)
func.func @main(%x: tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xf32> {
  %zero = onnx.weight "zero" dense<10> : tensor<1xi8> : tensor<ui8>
  %one = onnx.weight "one" dense<[0, 0, -128, 63]> : tensor<4xi8> : tensor<f32>
  %w = onnx.weight "w" dense<-3> : tensor<4xi8> : tensor<2x2x1x1xi8>
  // CHECK-DAG: %[[W:.*]] = onnx.weight "codes" dense<[-3, -3, 0, 0, -3, -3, 0, 0]> : tensor<8xi8> : tensor<2x1x1x4xi8>
  // CHECK-DAG: %[[OFFSETS:.*]] = onnx.weight "offsets" dense<[-60, -1, -1, -1, -60, -1, -1, -1]> : tensor<8xi8> : tensor<2xi32>
  %none = onnx.absent
  // CHECK-NOT: "Conv"
  // CHECK: %[[Y:.*]] = onnx.node "CodeConv" in "qcc" version 1(%[[X]], %[[W]], %[[OFFSETS]]) {kernel_shape = array<i64: 1, 1>, zero = 10 : i64}
  %dx = onnx.node "DequantizeLinear" version 21(%x, %one, %zero) {} : (tensor<1x2x4x4xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4x4xf32>
  %dw = onnx.node "DequantizeLinear" version 21(%w, %one, %none) {axis = 0 : i64} : (tensor<2x2x1x1xi8>, tensor<f32>, none) -> tensor<2x2x1x1xf32>
  %y = onnx.node "Conv" version 11(%dx, %dw) {group = 1 : i64} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x4x4xf32>
  // CHECK: return %[[Y]]
  return %y : tensor<1x2x4x4xf32>
}

// -----

// Weights 1 to 8 of one output, inputs before taps; in fours, the taps come first.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x2x9xui8>) -> tensor<1x1x6xf32> {
  %one = onnx.weight "one" dense<[0, 0, -128, 63]> : tensor<4xi8> : tensor<f32>
  %w = onnx.weight "w" dense<[1, 2, 3, 4, 5, 6, 7, 8]> : tensor<8xi8> : tensor<1x2x4xi8>
  // CHECK: onnx.weight "codes" dense<[1, 5, 0, 0, 2, 6, 0, 0, 3, 7, 0, 0, 4, 8, 0, 0]> : tensor<16xi8> : tensor<1x4x4xi8>
  %none = onnx.absent
  // CHECK: "CodeConv" in "qcc" version 1{{.*}} {kernel_shape = array<i64: 4>, zero = 0 : i64}
  %dx = onnx.node "DequantizeLinear" version 21(%x, %one, %none) {} : (tensor<1x2x9xui8>, tensor<f32>, none) -> tensor<1x2x9xf32>
  %dw = onnx.node "DequantizeLinear" version 21(%w, %one, %none) {} : (tensor<1x2x4xi8>, tensor<f32>, none) -> tensor<1x2x4xf32>
  %y = onnx.node "Conv" version 11(%dx, %dw) {} : (tensor<1x2x9xf32>, tensor<1x2x4xf32>) -> tensor<1x1x6xf32>
  return %y : tensor<1x1x6xf32>
}

// -----

// Channel by channel, the taps of a row stand in fours.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x2x4x4xui8>) -> tensor<1x2x3x2xf32> {
  %one = onnx.weight "one" dense<[0, 0, -128, 63]> : tensor<4xi8> : tensor<f32>
  %w = onnx.weight "w" dense<[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]> : tensor<12xi8> : tensor<2x1x2x3xi8>
  // CHECK: onnx.weight "codes" dense<[1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 10, 11, 12, 0]> : tensor<16xi8> : tensor<2x2x4xi8>
  %none = onnx.absent
  // CHECK: "CodeConv" in "qcc" version 1{{.*}} {depthwise = 1 : i64, kernel_shape = array<i64: 2, 3>, zero = 0 : i64}
  %dx = onnx.node "DequantizeLinear" version 21(%x, %one, %none) {} : (tensor<1x2x4x4xui8>, tensor<f32>, none) -> tensor<1x2x4x4xf32>
  %dw = onnx.node "DequantizeLinear" version 21(%w, %one, %none) {} : (tensor<2x1x2x3xi8>, tensor<f32>, none) -> tensor<2x1x2x3xf32>
  %y = onnx.node "Conv" version 11(%dx, %dw) {group = 2 : i64} : (tensor<1x2x4x4xf32>, tensor<2x1x2x3xf32>) -> tensor<1x2x3x2xf32>
  return %y : tensor<1x2x3x2xf32>
}

// -----

// Groups of several channels, and scales that are not 1, stay convolutions of numbers.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x4x4x4xui8>, %z: tensor<1x1x4x4xui8>) -> (tensor<1x2x4x4xf32>, tensor<1x1x4x4xf32>) {
  %one = onnx.weight "one" dense<[0, 0, -128, 63]> : tensor<4xi8> : tensor<f32>
  %two = onnx.weight "two" dense<[0, 0, 0, 64]> : tensor<4xi8> : tensor<f32>
  %w = onnx.weight "w" dense<1> : tensor<4xi8> : tensor<2x2x1x1xi8>
  %v = onnx.weight "v" dense<1> : tensor<1xi8> : tensor<1x1x1x1xi8>
  %none = onnx.absent
  // CHECK-NOT: "CodeConv"
  %dx = onnx.node "DequantizeLinear" version 21(%x, %one, %none) {} : (tensor<1x4x4x4xui8>, tensor<f32>, none) -> tensor<1x4x4x4xf32>
  %dw = onnx.node "DequantizeLinear" version 21(%w, %one, %none) {} : (tensor<2x2x1x1xi8>, tensor<f32>, none) -> tensor<2x2x1x1xf32>
  %y = onnx.node "Conv" version 11(%dx, %dw) {group = 2 : i64} : (tensor<1x4x4x4xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %dz = onnx.node "DequantizeLinear" version 21(%z, %two, %none) {} : (tensor<1x1x4x4xui8>, tensor<f32>, none) -> tensor<1x1x4x4xf32>
  %dv = onnx.node "DequantizeLinear" version 21(%v, %one, %none) {} : (tensor<1x1x1x1xi8>, tensor<f32>, none) -> tensor<1x1x1x1xf32>
  %u = onnx.node "Conv" version 11(%dz, %dv) {} : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x4x4xf32>
  return %y, %u : tensor<1x2x4x4xf32>, tensor<1x1x4x4xf32>
}
