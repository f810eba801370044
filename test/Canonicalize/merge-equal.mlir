// RUN: qcc-opt %s --split-input-file --merge-equal | FileCheck %s

// Equal constants become one, and then what is computed from them.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  // CHECK-COUNT-1: onnx.weight
  // CHECK-NOT: onnx.weight
  %a = onnx.weight "a" dense<[1, 2, 3, 4, 5, 6, 7, 8]> : tensor<8xi8> : tensor<2xf32>
  %b = onnx.weight "b" dense<[1, 2, 3, 4, 5, 6, 7, 8]> : tensor<8xi8> : tensor<2xf32>
  // CHECK: %[[SUM:.*]] = onnx.node "Add"
  %y = onnx.node "Add" version 14(%x, %a) {} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %z = onnx.node "Add" version 14(%x, %b) {} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  // CHECK: return %[[SUM]], %[[SUM]]
  return %y, %z : tensor<2xf32>, tensor<2xf32>
}

// -----

// Other bytes, another type, other attributes: three things. Random numbers are never the same.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xi32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  // CHECK-COUNT-2: onnx.weight
  %a = onnx.weight "a" dense<[1, 2, 3, 4, 5, 6, 7, 8]> : tensor<8xi8> : tensor<2xf32>
  %b = onnx.weight "b" dense<[1, 2, 3, 4, 5, 6, 7, 8]> : tensor<8xi8> : tensor<2xi32>
  // CHECK-COUNT-2: onnx.node "LeakyRelu"
  %c = onnx.node "LeakyRelu" version 6(%x) {alpha = 0.1 : f32} : (tensor<2xf32>) -> tensor<2xf32>
  %d = onnx.node "LeakyRelu" version 6(%x) {alpha = 0.2 : f32} : (tensor<2xf32>) -> tensor<2xf32>
  // CHECK-COUNT-2: onnx.node "RandomNormalLike"
  %e = onnx.node "RandomNormalLike" version 1(%x) {} : (tensor<2xf32>) -> tensor<2xf32>
  %f = onnx.node "RandomNormalLike" version 1(%x) {} : (tensor<2xf32>) -> tensor<2xf32>
  return %a, %b, %c, %d, %e, %f : tensor<2xf32>, tensor<2xi32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}
