// RUN: qcc-opt %s --split-input-file --move-transposes | FileCheck %s

// A cache that is kept in another order than attention reads it: transposed, extended, transposed back. What is kept is
// extended as it is; the new keys are brought into its order by one transpose.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[PAST:.*]]: tensor<1x2x6x16xf32>, %[[NEW:.*]]: tensor<1x3x2x16xf32>)
// CHECK-NEXT: %[[TURNED:.*]] = onnx.node "Transpose" version 13(%[[NEW]]) {perm = array<i64: 0, 2, 1, 3>}
// CHECK-NEXT: %[[ALL:.*]] = onnx.node "Concat" version 13(%[[PAST]], %[[TURNED]]) {axis = 2 : i64}
// CHECK-NEXT: %[[READ:.*]] = onnx.node "Transpose" version 13(%[[ALL]]) {perm = array<i64: 0, 1, 3, 2>}
// CHECK-NEXT: return %[[READ]], %[[ALL]]
func.func @main(%past: tensor<1x2x6x16xf32>, %new: tensor<1x3x2x16xf32>) -> (tensor<1x2x16x9xf32>, tensor<1x2x9x16xf32>) {
  %p = onnx.node "Transpose" version 13(%past) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x6x16xf32>) -> tensor<1x2x16x6xf32>
  %n = onnx.node "Transpose" version 13(%new) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x3x2x16xf32>) -> tensor<1x2x16x3xf32>
  %all = onnx.node "Concat" version 13(%p, %n) {axis = -1 : i64} : (tensor<1x2x16x6xf32>, tensor<1x2x16x3xf32>) -> tensor<1x2x16x9xf32>
  %back = onnx.node "Transpose" version 13(%all) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x16x9xf32>) -> tensor<1x2x9x16xf32>
  return %all, %back : tensor<1x2x16x9xf32>, tensor<1x2x9x16xf32>
}

// -----

// Two in a row are one, or none. A concatenation that nothing transposes back stays.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<2x3x4xf32>)
// CHECK-DAG: %[[B:.*]] = onnx.node "Transpose" version 13(%[[X]]) {perm = array<i64: 0, 2, 1>}
// CHECK-DAG: %[[A:.*]] = onnx.node "Transpose" version 13(%[[X]]) {perm = array<i64: 1, 2, 0>}
// CHECK: %[[C:.*]] = onnx.node "Concat" version 13(%[[A]], %[[A]])
// CHECK: return %[[X]], %[[B]], %[[C]]
func.func @main(%x: tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<2x4x3xf32>, tensor<6x4x2xf32>) {
  %a = onnx.node "Transpose" version 13(%x) {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %same = onnx.node "Transpose" version 13(%a) {perm = array<i64: 2, 0, 1>} : (tensor<3x4x2xf32>) -> tensor<2x3x4xf32>
  %b = onnx.node "Transpose" version 13(%a) {} : (tensor<3x4x2xf32>) -> tensor<2x4x3xf32>
  %c = onnx.node "Concat" version 13(%a, %a) {axis = 0 : i64} : (tensor<3x4x2xf32>, tensor<3x4x2xf32>) -> tensor<6x4x2xf32>
  return %same, %b, %c : tensor<2x3x4xf32>, tensor<2x4x3xf32>, tensor<6x4x2xf32>
}
