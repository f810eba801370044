// RUN: qcc-opt %s --raise-lookup | FileCheck %s

// A table whose rows a linear operation multiplies with is read from the linear's weight.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: %[[W:.*]] = qnt.weight "table" as "int8-g32" in "rows" dense<1>
// CHECK-NOT: onnx.weight "table"
// CHECK: %[[ROWS:.*]] = qnt.lookup %[[W]][%arg0] : (tensor<8x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
// Other rows, and other axes of the same, stay as they are.
// CHECK: onnx.node "Gather"
// CHECK: onnx.node "Gather"
// CHECK: qnt.linear %[[ROWS]], %[[W]]
func.func @main(%ids: tensor<2x3xi64>) -> (tensor<2x3x8xf32>, tensor<2x3x4xf32>, tensor<2x3x8xf32>) {
  %table = onnx.weight "table" dense<1> : tensor<128xi8> : tensor<8x4xf32>
  %other = onnx.weight "other" dense<2> : tensor<128xi8> : tensor<8x4xf32>
  %flat = onnx.weight "flat" dense<1> : tensor<128xi8> : tensor<4x8xf32>
  %x = onnx.node "Gather" version 13(%table, %ids) {axis = 0 : i64} : (tensor<8x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
  %y = onnx.node "Gather" version 13(%other, %ids) {} : (tensor<8x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
  %z = onnx.node "Gather" version 13(%flat, %ids) {} : (tensor<4x8xf32>, tensor<2x3xi64>) -> tensor<2x3x8xf32>
  %w = qnt.weight "table" as "int8-g32" in "rows" dense<1> : tensor<128xi8> : tensor<8x4xf32>
  %logits = qnt.linear %x, %w act "f32" : (tensor<2x3x4xf32>, tensor<8x4xf32>) -> tensor<2x3x8xf32>
  return %logits, %y, %z : tensor<2x3x8xf32>, tensor<2x3x4xf32>, tensor<2x3x8xf32>
}
