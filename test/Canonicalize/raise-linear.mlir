// RUN: qcc-opt %s --split-input-file --raise-linear | FileCheck %s

// A product with a constant matrix; its outputs stand along the columns of the model's matrix.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<2x3x4xf32>)
func.func @main(%x: tensor<2x3x4xf32>) -> tensor<2x3x5xf32> {
  %w = onnx.weight "w" dense<0> : tensor<80xi8> : tensor<4x5xf32>
  // CHECK: %[[W:.*]] = qnt.weight "w" as "float32" in "columns" dense<0> : tensor<80xi8> : tensor<5x4xf32>
  // CHECK: qnt.linear %[[X]], %[[W]] act "f32" : (tensor<2x3x4xf32>, tensor<5x4xf32>) -> tensor<2x3x5xf32>
  // CHECK-NOT: onnx
  %y = onnx.node "MatMul" version 13(%x, %w) {} : (tensor<2x3x4xf32>, tensor<4x5xf32>) -> tensor<2x3x5xf32>
  return %y : tensor<2x3x5xf32>
}

// -----

// A transposed matrix has its outputs along its rows; so has a Gemm's with transB, whose operand C is added.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x4xf32>) -> (tensor<2x5xf32>, tensor<2x5xf32>) {
  %w = onnx.weight "w" dense<0> : tensor<80xi8> : tensor<5x4xf32>
  // CHECK: %[[C:.*]] = onnx.weight "c"
  %c = onnx.weight "c" dense<0> : tensor<20xi8> : tensor<5xf32>
  %t = onnx.node "Transpose" version 13(%w) {perm = array<i64: 1, 0>} : (tensor<5x4xf32>) -> tensor<4x5xf32>
  // CHECK: qnt.weight "w" as "float32" in "rows"
  // CHECK: qnt.linear
  %y = onnx.node "MatMul" version 13(%x, %t) {} : (tensor<2x4xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  // CHECK: qnt.weight "w" as "float32" in "rows"
  // CHECK: %[[PRODUCT:.*]] = qnt.linear
  // CHECK: onnx.node "Add" version 14(%[[PRODUCT]], %[[C]])
  %z = onnx.node "Gemm" version 13(%x, %w, %c) {transB = 1 : i64} : (tensor<2x4xf32>, tensor<5x4xf32>, tensor<5xf32>) -> tensor<2x5xf32>
  return %y, %z : tensor<2x5xf32>, tensor<2x5xf32>
}

// -----

// What is not constant, not float32 or scaled by the operator stays.
// CHECK-LABEL: func.func @main
// CHECK-NOT: qnt.linear
func.func @main(%x: tensor<2x4xf32>, %v: tensor<4x5xf32>, %i: tensor<2x4xi32>) -> (tensor<2x5xf32>, tensor<2x5xi32>, tensor<2x5xf32>) {
  %w = onnx.weight "w" dense<0> : tensor<80xi8> : tensor<4x5xf32>
  %iw = onnx.weight "iw" dense<0> : tensor<80xi8> : tensor<4x5xi32>
  %a = onnx.node "MatMul" version 13(%x, %v) {} : (tensor<2x4xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  %b = onnx.node "MatMul" version 13(%i, %iw) {} : (tensor<2x4xi32>, tensor<4x5xi32>) -> tensor<2x5xi32>
  %c = onnx.node "Gemm" version 13(%x, %w) {alpha = 2.0 : f32} : (tensor<2x4xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return %a, %b, %c : tensor<2x5xf32>, tensor<2x5xi32>, tensor<2x5xf32>
}
