// RUN: qcc-opt %s --split-input-file --fold-batch-normalization | FileCheck %s

// Weights are multiplied by scale / sqrt(variance + epsilon), and the rest is the bias: constant folding computes both.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<1x3x8x8xf32>)
func.func @main(%x: tensor<1x3x8x8xf32>) -> tensor<1x2x8x8xf32> {
  // CHECK-DAG: %[[W:.*]] = onnx.weight "w"
  %w = onnx.weight "w" dense<1> : tensor<24xi8> : tensor<2x3x1x1xf32>
  // CHECK-DAG: %[[SCALE:.*]] = onnx.weight "scale"
  %scale = onnx.weight "scale" dense<2> : tensor<8xi8> : tensor<2xf32>
  // CHECK-DAG: %[[BIAS:.*]] = onnx.weight "bias"
  %bias = onnx.weight "bias" dense<3> : tensor<8xi8> : tensor<2xf32>
  // CHECK-DAG: %[[MEAN:.*]] = onnx.weight "mean"
  %mean = onnx.weight "mean" dense<4> : tensor<8xi8> : tensor<2xf32>
  // CHECK-DAG: %[[VARIANCE:.*]] = onnx.weight "variance"
  %variance = onnx.weight "variance" dense<5> : tensor<8xi8> : tensor<2xf32>
  // CHECK: %[[SUM:.*]] = onnx.node "Add" version 14(%[[VARIANCE]], %{{.*}})
  // CHECK: %[[ROOT:.*]] = onnx.node "Sqrt" version 13(%[[SUM]])
  // CHECK: %[[FACTOR:.*]] = onnx.node "Div" version 14(%[[SCALE]], %[[ROOT]])
  // CHECK: %[[MOVED:.*]] = onnx.node "Mul" version 14(%[[MEAN]], %[[FACTOR]])
  // CHECK: %[[SHIFT:.*]] = onnx.node "Sub" version 14(%[[BIAS]], %[[MOVED]])
  // CHECK: %[[WIDE:.*]] = onnx.node "Reshape" version 14(%[[FACTOR]], %{{.*}}) {} : {{.*}} -> tensor<2x1x1x1xf32>
  // CHECK: %[[SCALED:.*]] = onnx.node "Mul" version 14(%[[W]], %[[WIDE]])
  %y = onnx.node "Conv" version 11(%x, %w) {kernel_shape = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<2x3x1x1xf32>) -> tensor<1x2x8x8xf32>
  // CHECK: onnx.node "Conv" version 11(%[[X]], %[[SCALED]], %[[SHIFT]]) {kernel_shape = array<i64: 1, 1>}
  // CHECK-NOT: BatchNormalization
  %z = onnx.node "BatchNormalization" version 15(%y, %scale, %bias, %mean, %variance) {} : (tensor<1x2x8x8xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x8x8xf32>
  return %z : tensor<1x2x8x8xf32>
}

// -----

// What something else reads too, or is computed while the program runs, stays.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x3x8x8xf32>, %mean: tensor<2xf32>) -> (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>) {
  %w = onnx.weight "w" dense<1> : tensor<24xi8> : tensor<2x3x1x1xf32>
  %c = onnx.weight "c" dense<2> : tensor<8xi8> : tensor<2xf32>
  %y = onnx.node "Conv" version 11(%x, %w) {} : (tensor<1x3x8x8xf32>, tensor<2x3x1x1xf32>) -> tensor<1x2x8x8xf32>
  %v = onnx.node "Conv" version 11(%x, %w) {strides = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<2x3x1x1xf32>) -> tensor<1x2x8x8xf32>
  // CHECK-COUNT-2: onnx.node "BatchNormalization"
  %z = onnx.node "BatchNormalization" version 15(%y, %c, %c, %c, %c) {} : (tensor<1x2x8x8xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x8x8xf32>
  %u = onnx.node "BatchNormalization" version 15(%v, %c, %c, %mean, %c) {} : (tensor<1x2x8x8xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x8x8xf32>
  return %y, %z, %u : tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>
}
