// RUN: qcc-opt %s --split-input-file --remove-identities | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<2x3xf32>)
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return %[[X]]
  %a = onnx.node "Identity" version 16(%x) {} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %b = onnx.node "Cast" version 13(%a) {to = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %c = onnx.node "Transpose" version 13(%b) {perm = array<i64: 0, 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %d, %mask = onnx.node "Dropout" version 13(%c) {} : (tensor<2x3xf32>) -> (tensor<2x3xf32>, none)
  return %d : tensor<2x3xf32>
}

// -----

// A square's transposition has the type of its operand and is something all the same.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<2x2xf16>, tensor<2x2xf32>) {
  // CHECK: onnx.node "Transpose"
  %a = onnx.node "Transpose" version 13(%x) {} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  // CHECK: onnx.node "Cast"
  %b = onnx.node "Cast" version 13(%x) {to = 10 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf16>
  // An operator of another domain may share a name and nothing else.
  // CHECK: onnx.node "Identity" in "vendor"
  %c = onnx.node "Identity" in "vendor" version 1(%x) {} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  return %a, %b, %c : tensor<2x2xf32>, tensor<2x2xf16>, tensor<2x2xf32>
}

// -----

// Dropout whose mask is read stays.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xi1>) {
  // CHECK: onnx.node "Dropout"
  %y, %mask = onnx.node "Dropout" version 13(%x) {} : (tensor<2xf32>) -> (tensor<2xf32>, tensor<2xi1>)
  return %y, %mask : tensor<2xf32>, tensor<2xi1>
}
