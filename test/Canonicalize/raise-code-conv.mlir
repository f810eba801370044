// RUN: qcc-opt %s --split-input-file --raise-code-conv | FileCheck %s

// A 1 x 1 convolution of unsigned codes and constant signed ones multiplies bytes; the zero's share of a sum, 10 times the
// sum of the weights (-6 and -6), is taken off.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<1x2x4x4xui8>)
func.func @main(%x: tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xf32> {
  %zero = onnx.weight "zero" dense<10> : tensor<1xi8> : tensor<ui8>
  %one = onnx.weight "one" dense<[0, 0, -128, 63]> : tensor<4xi8> : tensor<f32>
  // CHECK-DAG: %[[W:.*]] = onnx.weight "w"
  %w = onnx.weight "w" dense<-3> : tensor<4xi8> : tensor<2x2x1x1xi8>
  // CHECK-DAG: %[[OFFSETS:.*]] = onnx.weight "offsets" dense<[-60, -1, -1, -1, -60, -1, -1, -1]> : tensor<8xi8> : tensor<2xi32>
  %none = onnx.absent
  // CHECK-NOT: "Conv"
  // CHECK: %[[MATRIX:.*]] = onnx.node "Reshape" version 14(%[[W]], %{{.*}}) {} : {{.*}} -> tensor<2x2xi8>
  // CHECK: %[[Y:.*]] = onnx.node "CodeConv" in "qcc" version 1(%[[X]], %[[MATRIX]], %[[OFFSETS]]) {zero = 10 : i64}
  %dx = onnx.node "DequantizeLinear" version 21(%x, %one, %zero) {} : (tensor<1x2x4x4xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4x4xf32>
  %dw = onnx.node "DequantizeLinear" version 21(%w, %one, %none) {axis = 0 : i64} : (tensor<2x2x1x1xi8>, tensor<f32>, none) -> tensor<2x2x1x1xf32>
  %y = onnx.node "Conv" version 11(%dx, %dw) {group = 1 : i64} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x4x4xf32>
  // CHECK: return %[[Y]]
  return %y : tensor<1x2x4x4xf32>
}
