// RUN: qcc-opt %s | qcc-opt | FileCheck %s

// CHECK-DAG: #[[$MAX:.*]] = affine_map<()[s0] -> (s0, 2)>
// CHECK-DAG: #[[$END:.*]] = affine_map<()[s0, s1] -> (s1)>
// CHECK: module attributes {onnx.symbols = [{kind = "input", name = "batch"}, {kind = "max", of = #[[$MAX]]}]}
module attributes {onnx.symbols = [{kind = "input", name = "batch"}, {kind = "max", of = affine_map<()[s0] -> (s0, 2)>}]} {
  // CHECK-LABEL: func.func @main
  func.func @main(%x: tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>> {onnx.name = "x"}) -> (tensor<?x2xf32, affine_map<()[s0] -> (s0, 2)>> {onnx.name = "y"}) {
    // CHECK: onnx.weight "w" dense<0> : tensor<32xi8> : tensor<4x2xf32>
    %w = onnx.weight "w" dense<0> : tensor<32xi8> : tensor<4x2xf32>
    // CHECK: onnx.weight "nibbles" dense<1> : tensor<2xi8> : tensor<3xi4>
    %n = onnx.weight "nibbles" dense<1> : tensor<2xi8> : tensor<3xi4>
    // CHECK: onnx.absent
    %none = onnx.absent
    // CHECK: onnx.node "MatMul" version 13(%{{.*}}, %{{.*}}) {}
    %y = onnx.node "MatMul" version 13(%x, %w) {} : (tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>, tensor<4x2xf32>) -> tensor<?x2xf32, affine_map<()[s0] -> (s0, 2)>>
    // CHECK: onnx.node "Clip" version 13(%{{.*}}, %{{.*}}) {}
    %c = onnx.node "Clip" version 13(%y, %none) {} : (tensor<?x2xf32, affine_map<()[s0] -> (s0, 2)>>, none) -> tensor<?x2xf32, affine_map<()[s0] -> (s0, 2)>>
    // CHECK: onnx.node "FastGelu" in "com.microsoft" version 1(%{{.*}}) {approximate = true}
    %g = onnx.node "FastGelu" in "com.microsoft" version 1(%c) {approximate = true} : (tensor<?x2xf32, affine_map<()[s0] -> (s0, 2)>>) -> tensor<?x2xf32, affine_map<()[s0] -> (s0, 2)>>
    return %g : tensor<?x2xf32, affine_map<()[s0] -> (s0, 2)>>
  }

  // CHECK-LABEL: func.func private @subgraphs
  func.func private @subgraphs(%condition: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
    // CHECK: onnx.node "If" version 11(%{{.*}}) {subgraphs = ["then_branch", "else_branch"]} {
    // CHECK:   onnx.yield %{{.*}} : tensor<2xf32>
    // CHECK: }, {
    // CHECK:   onnx.yield %{{.*}} : tensor<2xf32>
    // CHECK: } : (tensor<i1>) -> tensor<2xf32>
    %y = onnx.node "If" version 11(%condition) {subgraphs = ["then_branch", "else_branch"]} {
      onnx.yield %x : tensor<2xf32>
    }, {
      %z = onnx.node "Neg" version 13(%x) {} : (tensor<2xf32>) -> tensor<2xf32>
      onnx.yield %z : tensor<2xf32>
    } : (tensor<i1>) -> tensor<2xf32>
    return %y : tensor<2xf32>
  }

  // CHECK-LABEL: func.func private @inferred
  func.func private @inferred(%x: tensor<8xf32>, %n: tensor<1xi64>) -> tensor<?xf32, affine_map<()[s0, s1] -> (s1)>> {
    // CHECK: onnx.node "Slice" version 13(%{{.*}}, %{{.*}}) {} resolved {ends = #[[$END]]} defines [1, 1, 0]
    %y = onnx.node "Slice" version 13(%x, %n) {} resolved {ends = affine_map<()[s0, s1] -> (s1)>} defines [1, 1, 0] : (tensor<8xf32>, tensor<1xi64>) -> tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>
    return %y : tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>
  }

  // CHECK-LABEL: func.func private @unranked
  func.func private @unranked(%x: tensor<*xf32>) -> tensor<*x!onnx.unknown> {
    // CHECK: onnx.node "Relu" version 14(%{{.*}}) {} : (tensor<*xf32>) -> tensor<*x!onnx.unknown>
    %y = onnx.node "Relu" version 14(%x) {} : (tensor<*xf32>) -> tensor<*x!onnx.unknown>
    return %y : tensor<*x!onnx.unknown>
  }
}
