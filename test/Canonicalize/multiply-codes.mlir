// RUN: qcc-opt %s --split-input-file --multiply-codes | FileCheck %s

// A convolution of dequantized operands multiplies codes without zeros (their scale is 1), then multiplies each channel by
// its scales. The bias, whose scale is that of the sums, goes along.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<1x2x4x4xui8>)
func.func @main(%x: tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xf32> {
  // CHECK-DAG: %[[ZERO:.*]] = onnx.weight "zero"
  %zero = onnx.weight "zero" dense<10> : tensor<1xi8> : tensor<ui8>
  // CHECK-DAG: %[[HALF:.*]] = onnx.weight "half"
  %half = onnx.weight "half" dense<[0, 0, 0, 63]> : tensor<4xi8> : tensor<f32>
  // CHECK-DAG: %[[SCALES:.*]] = onnx.weight "scales"
  %scales = onnx.weight "scales" dense<[0, 0, -128, 63, 0, 0, 0, 64]> : tensor<8xi8> : tensor<2xf32>
  // CHECK-DAG: %[[W:.*]] = onnx.weight "w"
  %w = onnx.weight "w" dense<-3> : tensor<4xi8> : tensor<2x2x1x1xi8>
  // CHECK-DAG: %[[B:.*]] = onnx.weight "b"
  %b = onnx.weight "b" dense<[7, 0, 0, 0, -1, -1, -1, -1]> : tensor<8xi8> : tensor<2xi32>
  %biasscales = onnx.weight "biasscales" dense<[0, 0, 0, 63, 0, 0, -128, 63]> : tensor<8xi8> : tensor<2xf32>
  // CHECK-DAG: %[[ONE:.*]] = onnx.weight "scale" dense<[0, 0, -128, 63]> : tensor<4xi8> : tensor<f32>
  // CHECK-DAG: %[[LEFT:.*]] = onnx.node "DequantizeLinear" version 21(%[[X]], %[[ONE]], %[[ZERO]])
  // CHECK-DAG: %[[RIGHT:.*]] = onnx.node "DequantizeLinear" version 21(%[[W]], %[[ONE]], %{{.*}})
  // CHECK-DAG: %[[BIAS:.*]] = onnx.node "DequantizeLinear" version 21(%[[B]], %[[ONE]], %{{.*}})
  %none = onnx.absent
  %dx = onnx.node "DequantizeLinear" version 13(%x, %half, %zero) {} : (tensor<1x2x4x4xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4x4xf32>
  %dw = onnx.node "DequantizeLinear" version 13(%w, %scales, %none) {axis = 0 : i64} : (tensor<2x2x1x1xi8>, tensor<2xf32>, none) -> tensor<2x2x1x1xf32>
  %db = onnx.node "DequantizeLinear" version 13(%b, %biasscales, %none) {axis = 0 : i64} : (tensor<2xi32>, tensor<2xf32>, none) -> tensor<2xf32>
  // CHECK: %[[SUMS:.*]] = onnx.node "Conv" version 11(%[[LEFT]], %[[RIGHT]], %[[BIAS]]) {group = 1 : i64}
  // CHECK: %[[WIDE:.*]] = onnx.node "Reshape" version 14(%[[SCALES]], %{{.*}}) {} : {{.*}} -> tensor<2x1x1xf32>
  // CHECK: %[[BOTH:.*]] = onnx.node "Mul" version 14(%[[WIDE]], %[[HALF]])
  // CHECK: %[[Y:.*]] = onnx.node "Mul" version 14(%[[SUMS]], %[[BOTH]])
  %y = onnx.node "Conv" version 11(%dx, %dw, %db) {group = 1 : i64} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  // CHECK: return %[[Y]]
  return %y : tensor<1x2x4x4xf32>
}

// -----

// A bias in another scale is added behind.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<3x4xi8>) -> tensor<3x2xf32> {
  %scale = onnx.weight "two" dense<[0, 0, 0, 64]> : tensor<4xi8> : tensor<f32>
  %w = onnx.weight "w" dense<5> : tensor<8xi8> : tensor<4x2xi8>
  // CHECK-DAG: %[[B:.*]] = onnx.weight "b"
  %b = onnx.weight "b" dense<[0, 0, 0, 63, 0, 0, -128, 63]> : tensor<8xi8> : tensor<2xf32>
  %none = onnx.absent
  %dx = onnx.node "DequantizeLinear" version 13(%x, %scale, %none) {} : (tensor<3x4xi8>, tensor<f32>, none) -> tensor<3x4xf32>
  %dw = onnx.node "DequantizeLinear" version 13(%w, %scale, %none) {} : (tensor<4x2xi8>, tensor<f32>, none) -> tensor<4x2xf32>
  // CHECK: %[[SUMS:.*]] = onnx.node "Gemm" version 13(%{{.*}}, %{{.*}}) {}
  // CHECK: %[[SCALED:.*]] = onnx.node "Mul" version 14(%[[SUMS]], %{{.*}})
  // CHECK: onnx.node "Add" version 14(%[[SCALED]], %[[B]])
  %y = onnx.node "Gemm" version 13(%dx, %dw, %b) {} : (tensor<3x4xf32>, tensor<4x2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  return %y : tensor<3x2xf32>
}

// -----

// Sums that may reach 2^24, here 65800 * 255, are left alone; so are weights that the program computes.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x65800xui8>, %v: tensor<65800x1xi8>) -> (tensor<1x1xf32>, tensor<1x1xf32>) {
  %scale = onnx.weight "two" dense<[0, 0, 0, 64]> : tensor<4xi8> : tensor<f32>
  %w = onnx.weight "w" dense<1> : tensor<65800xi8> : tensor<65800x1xi8>
  %none = onnx.absent
  %dx = onnx.node "DequantizeLinear" version 13(%x, %scale, %none) {} : (tensor<1x65800xui8>, tensor<f32>, none) -> tensor<1x65800xf32>
  %dw = onnx.node "DequantizeLinear" version 13(%w, %scale, %none) {} : (tensor<65800x1xi8>, tensor<f32>, none) -> tensor<65800x1xf32>
  %dv = onnx.node "DequantizeLinear" version 13(%v, %scale, %none) {} : (tensor<65800x1xi8>, tensor<f32>, none) -> tensor<65800x1xf32>
  // CHECK-NOT: "Mul"
  %y = onnx.node "MatMul" version 13(%dx, %dw) {} : (tensor<1x65800xf32>, tensor<65800x1xf32>) -> tensor<1x1xf32>
  %z = onnx.node "MatMul" version 13(%dx, %dv) {} : (tensor<1x65800xf32>, tensor<65800x1xf32>) -> tensor<1x1xf32>
  return %y, %z : tensor<1x1xf32>, tensor<1x1xf32>
}
