// RUN: qcc-opt %s --split-input-file --raise-normalization | FileCheck %s

// The bytes of 1e-5, 2 and 1 in float32 are [172, 197, 39, 55], [0, 0, 0, 64] and [0, 0, 128, 63].

// x / sqrt(mean(x²) + epsilon) * scale
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<2x4xf32>)
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %eps = onnx.weight "eps" dense<[172, 197, 39, 55]> : tensor<4xi8> : tensor<f32>
  %two = onnx.weight "two" dense<[0, 0, 0, 64]> : tensor<4xi8> : tensor<f32>
  // CHECK: %[[SCALE:.*]] = onnx.weight "scale"
  %scale = onnx.weight "scale" dense<1> : tensor<16xi8> : tensor<4xf32>
  %square = onnx.node "Pow" version 15(%x, %two) {} : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  %mean = onnx.node "ReduceMean" version 13(%square) {axes = array<i64: -1>} : (tensor<2x4xf32>) -> tensor<2x1xf32>
  %sum = onnx.node "Add" version 14(%mean, %eps) {} : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %root = onnx.node "Sqrt" version 13(%sum) {} : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %normal = onnx.node "Div" version 14(%x, %root) {} : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  // CHECK: %[[Y:.*]] = onnx.node "RMSNormalization" version 23(%[[X]], %[[SCALE]]) {axis = -1 : i64, epsilon = 9.99999974E-6 : f32}
  // CHECK-NEXT: return %[[Y]]
  %y = onnx.node "Mul" version 14(%scale, %normal) {} : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// The same as a product with the reciprocal, the square as x·x, and the mean of the last axis by its number.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %eps = onnx.weight "eps" dense<[172, 197, 39, 55]> : tensor<4xi8> : tensor<f32>
  %scale = onnx.weight "scale" dense<1> : tensor<16xi8> : tensor<4xf32>
  %none = onnx.absent
  %square = onnx.node "Mul" version 14(%x, %x) {} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %mean = onnx.node "ReduceMean" version 18(%square, %none) {} resolved {axes = affine_map<() -> (1)>} : (tensor<2x4xf32>, none) -> tensor<2x1xf32>
  %sum = onnx.node "Add" version 14(%eps, %mean) {} : (tensor<f32>, tensor<2x1xf32>) -> tensor<2x1xf32>
  %root = onnx.node "Sqrt" version 13(%sum) {} : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %inverse = onnx.node "Reciprocal" version 13(%root) {} : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %normal = onnx.node "Mul" version 14(%x, %inverse) {} : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  // CHECK: onnx.node "RMSNormalization"
  // CHECK-NOT: onnx.node
  %y = onnx.node "Mul" version 14(%normal, %scale) {} : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// Of x - mean(x), with the bias: layer normalization.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<2x4xf32>)
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %eps = onnx.weight "eps" dense<[172, 197, 39, 55]> : tensor<4xi8> : tensor<f32>
  %two = onnx.weight "two" dense<[0, 0, 0, 64]> : tensor<4xi8> : tensor<f32>
  // CHECK: %[[SCALE:.*]] = onnx.weight "scale"
  %scale = onnx.weight "scale" dense<1> : tensor<16xi8> : tensor<4xf32>
  // CHECK: %[[BIAS:.*]] = onnx.weight "bias"
  %bias = onnx.weight "bias" dense<2> : tensor<16xi8> : tensor<4xf32>
  %mean = onnx.node "ReduceMean" version 13(%x) {axes = array<i64: -1>} : (tensor<2x4xf32>) -> tensor<2x1xf32>
  %centered = onnx.node "Sub" version 14(%x, %mean) {} : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %square = onnx.node "Pow" version 15(%centered, %two) {} : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  %variance = onnx.node "ReduceMean" version 13(%square) {axes = array<i64: -1>} : (tensor<2x4xf32>) -> tensor<2x1xf32>
  %sum = onnx.node "Add" version 14(%variance, %eps) {} : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %root = onnx.node "Sqrt" version 13(%sum) {} : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %normal = onnx.node "Div" version 14(%centered, %root) {} : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %scaled = onnx.node "Mul" version 14(%normal, %scale) {} : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  // CHECK: onnx.node "LayerNormalization" version 17(%[[X]], %[[SCALE]], %[[BIAS]]) {axis = -1 : i64, epsilon = 9.99999974E-6 : f32}
  // CHECK-NOT: onnx.node
  %y = onnx.node "Add" version 14(%scaled, %bias) {} : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// The mean of another axis, of another value, or without keeping the axis is none.
// CHECK-LABEL: func.func @main
// CHECK-NOT: Normalization
func.func @main(%x: tensor<4x4xf32>, %other: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %scale = onnx.weight "scale" dense<1> : tensor<16xi8> : tensor<4xf32>
  %square = onnx.node "Mul" version 14(%x, %x) {} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %mean0 = onnx.node "ReduceMean" version 13(%square) {axes = array<i64: 0>} : (tensor<4x4xf32>) -> tensor<1x4xf32>
  %root0 = onnx.node "Sqrt" version 13(%mean0) {} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %normal0 = onnx.node "Div" version 14(%x, %root0) {} : (tensor<4x4xf32>, tensor<1x4xf32>) -> tensor<4x4xf32>
  %y0 = onnx.node "Mul" version 14(%normal0, %scale) {} : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %mean1 = onnx.node "ReduceMean" version 13(%square) {axes = array<i64: 1>} : (tensor<4x4xf32>) -> tensor<4x1xf32>
  %root1 = onnx.node "Sqrt" version 13(%mean1) {} : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %normal1 = onnx.node "Div" version 14(%other, %root1) {} : (tensor<4x4xf32>, tensor<4x1xf32>) -> tensor<4x4xf32>
  %y1 = onnx.node "Mul" version 14(%normal1, %scale) {} : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  return %y0, %y1 : tensor<4x4xf32>, tensor<4x4xf32>
}
