// RUN: qcc-opt %s --split-input-file --raise-activation | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %one = onnx.weight "one" dense<[0, 0, 128, 63]> : tensor<4xi8> : tensor<f32>
  %two = onnx.weight "two" dense<[0, 0, 0, 64]> : tensor<4xi8> : tensor<f32>
  // CHECK: %[[SWISH:.*]] = onnx.node "Swish" version 24(%[[X]]) {alpha = 1.000000e+00 : f32}
  %s = onnx.node "Sigmoid" version 13(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  %a = onnx.node "Mul" version 14(%s, %x) {} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %[[SCALED:.*]] = onnx.node "Swish" version 24(%[[X]]) {alpha = 2.000000e+00 : f32}
  %m = onnx.node "Mul" version 14(%x, %two) {} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %n = onnx.node "Neg" version 13(%m) {} : (tensor<4xf32>) -> tensor<4xf32>
  %e = onnx.node "Exp" version 13(%n) {} : (tensor<4xf32>) -> tensor<4xf32>
  %p = onnx.node "Add" version 14(%one, %e) {} : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %b = onnx.node "Div" version 14(%x, %p) {} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %[[MISH:.*]] = onnx.node "Mish" version 18(%[[X]])
  %q = onnx.node "Softplus" version 1(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  %t = onnx.node "Tanh" version 13(%q) {} : (tensor<4xf32>) -> tensor<4xf32>
  %c = onnx.node "Mul" version 14(%x, %t) {} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: return %[[SWISH]], %[[SCALED]], %[[MISH]]
  return %a, %b, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %one = onnx.weight "one" dense<[0, 0, 128, 63]> : tensor<4xi8> : tensor<f32>
  %half = onnx.weight "half" dense<[0, 0, 0, 63]> : tensor<4xi8> : tensor<f32>
  %root = onnx.weight "root" dense<[-13, 4, -75, 63]> : tensor<4xi8> : tensor<f32>
  // CHECK: %[[GELU:.*]] = onnx.node "Gelu" version 20(%[[X]]) {approximate = "none"}
  %d = onnx.node "Div" version 14(%x, %root) {} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %e = onnx.node "Erf" version 13(%d) {} : (tensor<4xf32>) -> tensor<4xf32>
  %s = onnx.node "Add" version 14(%e, %one) {} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %m = onnx.node "Mul" version 14(%x, %s) {} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y = onnx.node "Mul" version 14(%half, %m) {} : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: return %[[GELU]]
  return %y : tensor<4xf32>
}

// -----

// The sigmoid of another value, a product with a constant that is no multiple of it, and half of a Gelu are none.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xf32>, %z: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %one = onnx.weight "one" dense<[0, 0, 128, 63]> : tensor<4xi8> : tensor<f32>
  %root = onnx.weight "root" dense<[-13, 4, -75, 63]> : tensor<4xi8> : tensor<f32>
  // CHECK-NOT: Swish
  // CHECK-NOT: Gelu
  // CHECK: return
  %s = onnx.node "Sigmoid" version 13(%z) {} : (tensor<4xf32>) -> tensor<4xf32>
  %a = onnx.node "Mul" version 14(%s, %x) {} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %p = onnx.node "Add" version 14(%x, %one) {} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %q = onnx.node "Sigmoid" version 13(%p) {} : (tensor<4xf32>) -> tensor<4xf32>
  %b = onnx.node "Mul" version 14(%q, %x) {} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %d = onnx.node "Div" version 14(%x, %root) {} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %e = onnx.node "Erf" version 13(%d) {} : (tensor<4xf32>) -> tensor<4xf32>
  %t = onnx.node "Add" version 14(%e, %one) {} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %c = onnx.node "Mul" version 14(%x, %t) {} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %a, %b, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
