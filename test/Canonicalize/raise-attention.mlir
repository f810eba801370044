// RUN: qcc-opt %s --split-input-file --raise-attention | FileCheck %s

// softmax(q·kᵀ·scale + mask)·v with the scale as a factor of the product. The bytes of 0.25 in float32 are [0, 0, 128, 62].
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[Q:.*]]: tensor<1x4x3x16xf32>, %[[K:.*]]: tensor<1x4x5x16xf32>, %[[V:.*]]: tensor<1x4x5x16xf32>, %[[MASK:.*]]: tensor<3x5xf32>)
func.func @main(%q: tensor<1x4x3x16xf32>, %k: tensor<1x4x5x16xf32>, %v: tensor<1x4x5x16xf32>, %mask: tensor<3x5xf32>) -> tensor<1x4x3x16xf32> {
  %scale = onnx.weight "scale" dense<[0, 0, 128, 62]> : tensor<4xi8> : tensor<f32>
  %kt = onnx.node "Transpose" version 13(%k) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x5x16xf32>) -> tensor<1x4x16x5xf32>
  %product = onnx.node "MatMul" version 13(%q, %kt) {} : (tensor<1x4x3x16xf32>, tensor<1x4x16x5xf32>) -> tensor<1x4x3x5xf32>
  %scaled = onnx.node "Mul" version 14(%product, %scale) {} : (tensor<1x4x3x5xf32>, tensor<f32>) -> tensor<1x4x3x5xf32>
  %scores = onnx.node "Add" version 14(%scaled, %mask) {} : (tensor<1x4x3x5xf32>, tensor<3x5xf32>) -> tensor<1x4x3x5xf32>
  %weights = onnx.node "Softmax" version 13(%scores) {axis = -1 : i64} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  // CHECK-NOT: Softmax
  // CHECK: onnx.node "Attention" version 23(%[[Q]], %[[K]], %[[V]], %[[MASK]]) {scale = 2.500000e-01 : f32}
  // CHECK-NEXT: return
  %y = onnx.node "MatMul" version 13(%weights, %v) {} : (tensor<1x4x3x5xf32>, tensor<1x4x5x16xf32>) -> tensor<1x4x3x16xf32>
  return %y : tensor<1x4x3x16xf32>
}

// -----

// Grouped queries: keys and values are repeated for the heads of a group. Query and key carry a factor each, as exporters with scale ½ on both sides
// write it; 0.25 · 0.25.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[Q:.*]]: tensor<1x4x3x16xf32>, %[[K:.*]]: tensor<1x2x5x16xf32>, %[[V:.*]]: tensor<1x2x5x16xf32>)
func.func @main(%q: tensor<1x4x3x16xf32>, %k: tensor<1x2x5x16xf32>, %v: tensor<1x2x5x16xf32>) -> tensor<1x4x3x16xf32> {
  %scale = onnx.weight "scale" dense<[0, 0, 128, 62]> : tensor<4xi8> : tensor<f32>
  %none = onnx.absent
  %k5 = onnx.node "Unsqueeze" version 13(%k, %none) {} resolved {axes = affine_map<() -> (2)>} : (tensor<1x2x5x16xf32>, none) -> tensor<1x2x1x5x16xf32>
  %kw = onnx.node "Expand" version 13(%k5, %none) {} : (tensor<1x2x1x5x16xf32>, none) -> tensor<1x2x2x5x16xf32>
  %kr = onnx.node "Reshape" version 14(%kw, %none) {} : (tensor<1x2x2x5x16xf32>, none) -> tensor<1x4x5x16xf32>
  %v5 = onnx.node "Unsqueeze" version 13(%v, %none) {} resolved {axes = affine_map<() -> (2)>} : (tensor<1x2x5x16xf32>, none) -> tensor<1x2x1x5x16xf32>
  %vw = onnx.node "Expand" version 13(%v5, %none) {} : (tensor<1x2x1x5x16xf32>, none) -> tensor<1x2x2x5x16xf32>
  %vr = onnx.node "Reshape" version 14(%vw, %none) {} : (tensor<1x2x2x5x16xf32>, none) -> tensor<1x4x5x16xf32>
  %qs = onnx.node "Mul" version 14(%q, %scale) {} : (tensor<1x4x3x16xf32>, tensor<f32>) -> tensor<1x4x3x16xf32>
  %kt = onnx.node "Transpose" version 13(%kr) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x5x16xf32>) -> tensor<1x4x16x5xf32>
  %ks = onnx.node "Mul" version 14(%kt, %scale) {} : (tensor<1x4x16x5xf32>, tensor<f32>) -> tensor<1x4x16x5xf32>
  %scores = onnx.node "MatMul" version 13(%qs, %ks) {} : (tensor<1x4x3x16xf32>, tensor<1x4x16x5xf32>) -> tensor<1x4x3x5xf32>
  %weights = onnx.node "Softmax" version 13(%scores) {axis = 3 : i64} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  // CHECK: %[[NONE:.*]] = onnx.absent
  // CHECK: onnx.node "Attention" version 23(%[[Q]], %[[K]], %[[V]], %{{.*}}) {scale = 6.250000e-02 : f32}
  // CHECK-NEXT: return
  %y = onnx.node "MatMul" version 13(%weights, %vr) {} : (tensor<1x4x3x5xf32>, tensor<1x4x5x16xf32>) -> tensor<1x4x3x16xf32>
  return %y : tensor<1x4x3x16xf32>
}

// -----

// Keys permuted from (batch, positions, heads, size) at once are permuted to heads first.
// CHECK-LABEL: func.func @main
func.func @main(%q: tensor<1x4x3x16xf32>, %k: tensor<1x5x4x16xf32>, %v: tensor<1x4x5x16xf32>) -> tensor<1x4x3x16xf32> {
  %kt = onnx.node "Transpose" version 13(%k) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x5x4x16xf32>) -> tensor<1x4x16x5xf32>
  %scores = onnx.node "MatMul" version 13(%q, %kt) {} : (tensor<1x4x3x16xf32>, tensor<1x4x16x5xf32>) -> tensor<1x4x3x5xf32>
  %weights = onnx.node "Softmax" version 13(%scores) {} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  // CHECK: %[[KEYS:.*]] = onnx.node "Transpose" version 13(%{{.*}}) {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x5x4x16xf32>) -> tensor<1x4x5x16xf32>
  // CHECK: onnx.node "Attention" version 23(%{{.*}}, %[[KEYS]], %{{.*}}, %{{.*}}) {scale = 1.000000e+00 : f32}
  %y = onnx.node "MatMul" version 13(%weights, %v) {} : (tensor<1x4x3x5xf32>, tensor<1x4x5x16xf32>) -> tensor<1x4x3x16xf32>
  return %y : tensor<1x4x3x16xf32>
}

// -----

// A softmax over another axis is something else; so are keys of another number of heads than the values.
// CHECK-LABEL: func.func @main
// CHECK-NOT: Attention
func.func @main(%q: tensor<1x4x3x16xf32>, %k: tensor<1x4x5x16xf32>, %v: tensor<1x4x5x16xf32>, %one: tensor<1x1x5x16xf32>) -> (tensor<1x4x3x16xf32>, tensor<1x4x3x16xf32>) {
  %kt = onnx.node "Transpose" version 13(%k) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x5x16xf32>) -> tensor<1x4x16x5xf32>
  %scores = onnx.node "MatMul" version 13(%q, %kt) {} : (tensor<1x4x3x16xf32>, tensor<1x4x16x5xf32>) -> tensor<1x4x3x5xf32>
  %other = onnx.node "Softmax" version 13(%scores) {axis = 1 : i64} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  %y = onnx.node "MatMul" version 13(%other, %v) {} : (tensor<1x4x3x5xf32>, tensor<1x4x5x16xf32>) -> tensor<1x4x3x16xf32>
  %last = onnx.node "Softmax" version 13(%scores) {} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  %z = onnx.node "MatMul" version 13(%last, %one) {} : (tensor<1x4x3x5xf32>, tensor<1x1x5x16xf32>) -> tensor<1x4x3x16xf32>
  return %y, %z : tensor<1x4x3x16xf32>, tensor<1x4x3x16xf32>
}

// -----

// Batch and heads in one axis, taken apart for the mask alone, whose Where replaces scores by a number that is no
// infinity: the operator keeps the number. 0.25 is [0, 0, 128, 62], -10000 is [0, 64, 28, 198].
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[Q:.*]]: tensor<2x4x3x16xf32>, %[[K:.*]]: tensor<2x4x5x16xf32>, %[[V:.*]]: tensor<2x4x5x16xf32>, %[[MASK:.*]]: tensor<2x1x3x5xi1>)
// CHECK: %[[Y:.*]] = onnx.node "Attention" version 23(%[[Q]], %[[K]], %[[V]], %[[MASK]]) {masked_score = -1.000000e+04 : f32, scale = 2.500000e-01 : f32}
// CHECK-NEXT: return %[[Y]]
func.func @main(%q: tensor<2x4x3x16xf32>, %k: tensor<2x4x5x16xf32>, %v: tensor<2x4x5x16xf32>, %mask: tensor<2x1x3x5xi1>) -> tensor<2x4x3x16xf32> {
  %scale = onnx.weight "scale" dense<[0, 0, 128, 62]> : tensor<4xi8> : tensor<f32>
  %filler = onnx.weight "filler" dense<[0, 64, 28, 198]> : tensor<4xi8> : tensor<f32>
  %none = onnx.absent
  %q3 = onnx.node "Reshape" version 14(%q, %none) {} : (tensor<2x4x3x16xf32>, none) -> tensor<8x3x16xf32>
  %k3 = onnx.node "Reshape" version 14(%k, %none) {} : (tensor<2x4x5x16xf32>, none) -> tensor<8x5x16xf32>
  %v3 = onnx.node "Reshape" version 14(%v, %none) {} : (tensor<2x4x5x16xf32>, none) -> tensor<8x5x16xf32>
  %kt = onnx.node "Transpose" version 13(%k3) {perm = array<i64: 0, 2, 1>} : (tensor<8x5x16xf32>) -> tensor<8x16x5xf32>
  %product = onnx.node "MatMul" version 13(%q3, %kt) {} : (tensor<8x3x16xf32>, tensor<8x16x5xf32>) -> tensor<8x3x5xf32>
  %scaled = onnx.node "Mul" version 14(%product, %scale) {} : (tensor<8x3x5xf32>, tensor<f32>) -> tensor<8x3x5xf32>
  %apart = onnx.node "Reshape" version 14(%scaled, %none) {} : (tensor<8x3x5xf32>, none) -> tensor<2x4x3x5xf32>
  %scores = onnx.node "Where" version 16(%mask, %apart, %filler) {} : (tensor<2x1x3x5xi1>, tensor<2x4x3x5xf32>, tensor<f32>) -> tensor<2x4x3x5xf32>
  %again = onnx.node "Reshape" version 14(%scores, %none) {} : (tensor<2x4x3x5xf32>, none) -> tensor<8x3x5xf32>
  %weights = onnx.node "Softmax" version 13(%again) {axis = -1 : i64} : (tensor<8x3x5xf32>) -> tensor<8x3x5xf32>
  %y3 = onnx.node "MatMul" version 13(%weights, %v3) {} : (tensor<8x3x5xf32>, tensor<8x5x16xf32>) -> tensor<8x3x16xf32>
  %y = onnx.node "Reshape" version 14(%y3, %none) {} : (tensor<8x3x16xf32>, none) -> tensor<2x4x3x16xf32>
  return %y : tensor<2x4x3x16xf32>
}

// -----

// A softcap: 2 · tanh(scores / 2). 2 is [0, 0, 0, 64].
// CHECK-LABEL: func.func @main
// CHECK: onnx.node "Attention" version 23({{.*}}) {scale = 1.000000e+00 : f32, softcap = 2.000000e+00 : f32}
func.func @main(%q: tensor<1x4x3x16xf32>, %k: tensor<1x4x5x16xf32>, %v: tensor<1x4x5x16xf32>) -> tensor<1x4x3x16xf32> {
  %cap = onnx.weight "cap" dense<[0, 0, 0, 64]> : tensor<4xi8> : tensor<f32>
  %kt = onnx.node "Transpose" version 13(%k) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x5x16xf32>) -> tensor<1x4x16x5xf32>
  %product = onnx.node "MatMul" version 13(%q, %kt) {} : (tensor<1x4x3x16xf32>, tensor<1x4x16x5xf32>) -> tensor<1x4x3x5xf32>
  %part = onnx.node "Div" version 14(%product, %cap) {} : (tensor<1x4x3x5xf32>, tensor<f32>) -> tensor<1x4x3x5xf32>
  %bounded = onnx.node "Tanh" version 13(%part) {} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  %scores = onnx.node "Mul" version 14(%bounded, %cap) {} : (tensor<1x4x3x5xf32>, tensor<f32>) -> tensor<1x4x3x5xf32>
  %weights = onnx.node "Softmax" version 13(%scores) {axis = -1 : i64} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  %y = onnx.node "MatMul" version 13(%weights, %v) {} : (tensor<1x4x3x5xf32>, tensor<1x4x5x16xf32>) -> tensor<1x4x3x16xf32>
  return %y : tensor<1x4x3x16xf32>
}
