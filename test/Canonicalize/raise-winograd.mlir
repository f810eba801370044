// RUN: qcc-opt %s --split-input-file --raise-winograd | FileCheck %s

// A 3 x 3 convolution of 16 channels or more multiplies transformed tiles; the weights are transformed by a product of
// constants.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<1x16x10x12xf32>)
func.func @main(%x: tensor<1x16x10x12xf32>) -> tensor<1x16x10x12xf32> {
  // CHECK-DAG: %[[W:.*]] = onnx.weight "w"
  %w = onnx.weight "w" dense<0> : tensor<9216xi8> : tensor<16x16x3x3xf32>
  // CHECK-DAG: %[[B:.*]] = onnx.weight "b"
  %b = onnx.weight "b" dense<0> : tensor<64xi8> : tensor<16xf32>
  // CHECK-DAG: %[[G:.*]] = onnx.weight "winograd"{{.*}} : tensor<9x16xf32>
  // CHECK: %[[TAPS:.*]] = onnx.node "Reshape" version 14(%[[W]], %{{.*}}) {} : {{.*}} -> tensor<256x9xf32>
  // CHECK: %[[TILES:.*]] = onnx.node "MatMul" version 13(%[[TAPS]], %[[G]]) {} : {{.*}} -> tensor<256x16xf32>
  // CHECK: %[[ELEMENTS:.*]] = onnx.node "Transpose" version 21(%[[TILES]])
  // CHECK: %[[U:.*]] = onnx.node "Reshape" version 14(%[[ELEMENTS]], %{{.*}}) {} : {{.*}} -> tensor<16x16x16xf32>
  // CHECK: %[[Y:.*]] = onnx.node "Winograd" in "qcc" version 1(%[[X]], %[[U]], %[[B]]) {pads = array<i64: 1, 1, 1, 1>}
  %y = onnx.node "Conv" version 11(%x, %w, %b) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x16x10x12xf32>, tensor<16x16x3x3xf32>, tensor<16xf32>) -> tensor<1x16x10x12xf32>
  // CHECK: return %[[Y]]
  return %y : tensor<1x16x10x12xf32>
}

// -----

// With strides, few channels or short rows the windows themselves take less time.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x16x10x12xf32>, %s: tensor<1x16x4x4xf32>) -> (tensor<1x16x5x6xf32>, tensor<1x4x10x12xf32>, tensor<1x16x4x4xf32>) {
  %w = onnx.weight "w" dense<0> : tensor<9216xi8> : tensor<16x16x3x3xf32>
  %few = onnx.weight "few" dense<0> : tensor<2304xi8> : tensor<4x16x3x3xf32>
  // CHECK-NOT: Winograd
  // CHECK: return
  %strided = onnx.node "Conv" version 11(%x, %w) {pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : (tensor<1x16x10x12xf32>, tensor<16x16x3x3xf32>) -> tensor<1x16x5x6xf32>
  %narrow = onnx.node "Conv" version 11(%x, %few) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x16x10x12xf32>, tensor<4x16x3x3xf32>) -> tensor<1x4x10x12xf32>
  %short = onnx.node "Conv" version 11(%s, %w) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x16x4x4xf32>, tensor<16x16x3x3xf32>) -> tensor<1x16x4x4xf32>
  return %strided, %narrow, %short : tensor<1x16x5x6xf32>, tensor<1x4x10x12xf32>, tensor<1x16x4x4xf32>
}
