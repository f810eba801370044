// RUN: qcc-opt %s --split-input-file --infer-shapes | FileCheck %s

// Dimensions are expressions of the program's symbols, and a result's type is known to the signature.
// CHECK: #[[IN:.*]] = affine_map<()[s0] -> (s0, 4)>
// CHECK: #[[OUT:.*]] = affine_map<()[s0] -> (s0, 2)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%{{.*}}: tensor<?x4xf32, #[[IN]]>) -> tensor<?x2xf32, #[[OUT]]>
module attributes {onnx.symbols = [{kind = "input", name = "batch"}]} {
  func.func @main(%x: tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>) -> tensor<*x!onnx.unknown> {
    %w = onnx.weight "w" dense<0> : tensor<32xi8> : tensor<4x2xf32>
    // CHECK: onnx.node "MatMul" version 13(%{{.*}}, %{{.*}}) {} : {{.*}} -> tensor<?x2xf32, #[[OUT]]>
    %y = onnx.node "MatMul" version 13(%x, %w) {} : (tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>, tensor<4x2xf32>) -> tensor<*x!onnx.unknown>
    // CHECK: onnx.node "Relu" version 14(%{{.*}}) {} : {{.*}} -> tensor<?x2xf32, #[[OUT]]>
    %z = onnx.node "Relu" version 14(%y) {} : (tensor<*x!onnx.unknown>) -> tensor<*x!onnx.unknown>
    return %z : tensor<*x!onnx.unknown>
  }
}

// -----

// Two lengths that may be 1 broadcast to a symbol of their own.
// CHECK: module attributes {onnx.symbols = [{kind = "input", name = "a"}, {kind = "input", name = "b"}, {kind = "ifequal", of = #{{.*}}}]}
// CHECK-LABEL: func.func @main
module attributes {onnx.symbols = [{kind = "input", name = "a"}, {kind = "input", name = "b"}]} {
  func.func @main(%x: tensor<?xf32, affine_map<()[s0] -> (s0)>>, %y: tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>) -> tensor<*x!onnx.unknown> {
    %z = onnx.node "Add" version 14(%x, %y) {} : (tensor<?xf32, affine_map<()[s0] -> (s0)>>, tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>) -> tensor<*x!onnx.unknown>
    return %z : tensor<*x!onnx.unknown>
  }
}

// -----

// What nobody reads goes.
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.node "Exp"
func.func @main(%x: tensor<2xf32>) -> tensor<*x!onnx.unknown> {
  %unused = onnx.node "Exp" version 13(%x) {} : (tensor<2xf32>) -> tensor<*x!onnx.unknown>
  %y = onnx.node "Relu" version 14(%x) {} : (tensor<2xf32>) -> tensor<*x!onnx.unknown>
  // CHECK: return %{{.*}} : tensor<2xf32>
  return %y : tensor<*x!onnx.unknown>
}
