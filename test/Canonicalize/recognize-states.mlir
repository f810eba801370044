// RUN: qcc-opt %s --split-input-file --recognize-states | FileCheck %s

// CHECK: module attributes {onnx.symbols = [{kind = "input", name = "past"}, {kind = "input", name = "new"}, {kind = "input", name = "k.capacity"}, {kind = "input", name = "v.capacity"}]}
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[K:[a-z0-9]*]]: tensor<1x2x?x16xf32, {{.*}}> {onnx.name = "k", {{[^}]*}}qnt.state = 0 : i64
// CHECK-SAME: %[[V:[a-z0-9]*]]: tensor<1x2x?x16xf32, {{.*}}> {onnx.name = "v", {{[^}]*}}qnt.state = 1 : i64
// CHECK-SAME: -> ({{.*}}, {{.*}} {onnx.name = "k.new", qnt.state = 0 : i64}, {{.*}} {onnx.name = "v.new", qnt.state = 1 : i64})
#past = affine_map<()[s0] -> (1, 2, s0, 16)>
#new = affine_map<()[s0, s1] -> (1, 2, s1, 16)>
#query = affine_map<()[s0, s1] -> (1, 4, s1, 16)>
#all = affine_map<()[s0, s1] -> (1, 2, s0 + s1, 16)>
module attributes {onnx.symbols = [{kind = "input", name = "past"}, {kind = "input", name = "new"}]} {
  func.func @main(%k: tensor<1x2x?x16xf32, #past> {onnx.name = "k"}, %v: tensor<1x2x?x16xf32, #past> {onnx.name = "v"}, %q: tensor<1x4x?x16xf32, #query> {onnx.name = "q"},
                  %nk: tensor<1x2x?x16xf32, #new> {onnx.name = "nk"}, %nv: tensor<1x2x?x16xf32, #new> {onnx.name = "nv"})
      -> (tensor<1x4x?x16xf32, #query> {onnx.name = "y"}, tensor<1x2x?x16xf32, #all> {onnx.name = "k.new"}, tensor<1x2x?x16xf32, #all> {onnx.name = "v.new"}) {
    // CHECK: %[[KEYS:.*]] = onnx.node "Append" in "qcc" version 1(%[[K]], %{{.*}}) {}
    %keys = onnx.node "Concat" version 13(%k, %nk) {axis = 2 : i64} : (tensor<1x2x?x16xf32, #past>, tensor<1x2x?x16xf32, #new>) -> tensor<1x2x?x16xf32, #all>
    // CHECK: %[[VALUES:.*]] = onnx.node "Append" in "qcc" version 1(%[[V]], %{{.*}}) {}
    %values = onnx.node "Concat" version 13(%v, %nv) {axis = -2 : i64} : (tensor<1x2x?x16xf32, #past>, tensor<1x2x?x16xf32, #new>) -> tensor<1x2x?x16xf32, #all>
    // CHECK: onnx.node "Attention" version 23(%{{.*}}, %[[KEYS]], %[[VALUES]])
    %y = onnx.node "Attention" version 23(%q, %keys, %values) {} : (tensor<1x4x?x16xf32, #query>, tensor<1x2x?x16xf32, #all>, tensor<1x2x?x16xf32, #all>) -> tensor<1x4x?x16xf32, #query>
    return %y, %keys, %values : tensor<1x4x?x16xf32, #query>, tensor<1x2x?x16xf32, #all>, tensor<1x2x?x16xf32, #all>
  }
}

// -----

// Keys that something else reads, or that are concatenated along another axis, are no state.
// CHECK-LABEL: func.func @main
// CHECK-NOT: qnt.state
// CHECK-NOT: "Append"
#past = affine_map<()[s0] -> (1, 2, s0, 16)>
#new = affine_map<()[s0, s1] -> (1, 2, s1, 16)>
#query = affine_map<()[s0, s1] -> (1, 4, s1, 16)>
#all = affine_map<()[s0, s1] -> (1, 2, s0 + s1, 16)>
#heads = affine_map<()[s0] -> (1, 4, s0, 16)>
module attributes {onnx.symbols = [{kind = "input", name = "past"}, {kind = "input", name = "new"}]} {
  func.func @main(%k: tensor<1x2x?x16xf32, #past> {onnx.name = "k"}, %v: tensor<1x2x?x16xf32, #past> {onnx.name = "v"}, %nk: tensor<1x2x?x16xf32, #new> {onnx.name = "nk"})
      -> (tensor<1x2x?x16xf32, #all> {onnx.name = "k.new"}, tensor<1x2x?x16xf32, #all> {onnx.name = "e"}, tensor<1x4x?x16xf32, #heads> {onnx.name = "h"}) {
    %keys = onnx.node "Concat" version 13(%k, %nk) {axis = 2 : i64} : (tensor<1x2x?x16xf32, #past>, tensor<1x2x?x16xf32, #new>) -> tensor<1x2x?x16xf32, #all>
    %e = onnx.node "Exp" version 13(%keys) {} : (tensor<1x2x?x16xf32, #all>) -> tensor<1x2x?x16xf32, #all>
    %h = onnx.node "Concat" version 13(%v, %v) {axis = 1 : i64} : (tensor<1x2x?x16xf32, #past>, tensor<1x2x?x16xf32, #past>) -> tensor<1x4x?x16xf32, #heads>
    return %keys, %e, %h : tensor<1x2x?x16xf32, #all>, tensor<1x2x?x16xf32, #all>, tensor<1x4x?x16xf32, #heads>
  }
}
