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

// -----

// The cache of GroupQueryAttention. A length that stands in the states alone (s3) is told by no input: it becomes the
// operator's own. The total length is read while the program runs: the state grows by the new positions, and the program
// checks that the operator means the same.
// CHECK-DAG: #[[PAST:.*]] = affine_map<()[s0, s1, s2] -> (s0, 2, s2, 16)>
// CHECK-DAG: #[[ALL:.*]] = affine_map<()[s0, s1, s2] -> (s0, 2, s1 + s2, 16)>
// CHECK-DAG: #[[EQUAL:.*]] = affine_map<()[s0, s1, s2, s3, s4, s5] -> (16, 16, s5, s1 + s2)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<?x2x?x16xf32, #[[PAST]]> {onnx.name = "k", qnt.axis = 2 : i64, qnt.capacity = {{[^}]*}}qnt.state = 0 : i64}
// CHECK-SAME: tensor<?x2x?x16xf32, #[[PAST]]> {onnx.name = "v", qnt.axis = 2 : i64, qnt.capacity = {{[^}]*}}qnt.state = 1 : i64}
// CHECK-SAME: tensor<?x2x?x16xf32, #[[ALL]]> {onnx.name = "k.new", qnt.state = 0 : i64}, tensor<?x2x?x16xf32, #[[ALL]]> {onnx.name = "v.new", qnt.state = 1 : i64}
// CHECK: "GroupQueryAttention"{{.*}} resolved {equal = #[[EQUAL]],
#q = affine_map<()[s0, s1] -> (s0, s1, 64)>
#kv = affine_map<()[s0, s1] -> (s0, s1, 32)>
#past = affine_map<()[s0, s1, s2, s3] -> (s0, 2, s2, s3)>
#all = affine_map<()[s0, s1, s2, s3, s4, s5] -> (s0, 2, s5, 16)>
#ends = affine_map<()[s0] -> (s0)>
module attributes {onnx.symbols = [{kind = "input", name = "batch"}, {kind = "input", name = "new"}, {kind = "input", name = "past"}, {kind = "input", name = "size"},
                                   {kind = "runtime", name = "total"}, {kind = "max", of = affine_map<()[s0, s1, s2, s3, s4] -> (s2, s4)>}]} {
  func.func @main(%q: tensor<?x?x64xf32, #q> {onnx.name = "q"}, %k: tensor<?x?x32xf32, #kv> {onnx.name = "nk"}, %v: tensor<?x?x32xf32, #kv> {onnx.name = "nv"},
                  %pk: tensor<?x2x?x?xf32, #past> {onnx.name = "k"}, %pv: tensor<?x2x?x?xf32, #past> {onnx.name = "v"},
                  %ends: tensor<?xi32, #ends> {onnx.name = "ends"}, %total: tensor<i32> {onnx.name = "total"})
      -> (tensor<?x?x64xf32, #q> {onnx.name = "y"}, tensor<?x2x?x16xf32, #all> {onnx.name = "k.new"}, tensor<?x2x?x16xf32, #all> {onnx.name = "v.new"}) {
    onnx.node "Read" in "qcc" version 1(%total) {} defines [4, 0, 0] : (tensor<i32>) -> ()
    %none = onnx.absent
    %y, %keys, %values = onnx.node "GroupQueryAttention" in "com.microsoft" version 1(%q, %k, %v, %pk, %pv, %ends, %none) {kv_num_heads = 2 : i64, num_heads = 4 : i64}
        resolved {equal = affine_map<()[s0, s1, s2, s3] -> (s3, 16)>, total_sequence_length = affine_map<()[s0, s1, s2, s3, s4] -> (s4)>}
        : (tensor<?x?x64xf32, #q>, tensor<?x?x32xf32, #kv>, tensor<?x?x32xf32, #kv>, tensor<?x2x?x?xf32, #past>, tensor<?x2x?x?xf32, #past>, tensor<?xi32, #ends>, none)
        -> (tensor<?x?x64xf32, #q>, tensor<?x2x?x16xf32, #all>, tensor<?x2x?x16xf32, #all>)
    return %y, %keys, %values : tensor<?x?x64xf32, #q>, tensor<?x2x?x16xf32, #all>, tensor<?x2x?x16xf32, #all>
  }
}

// -----

// Keys and values in one tensor, as com.microsoft's Attention keeps them, are one state.
// CHECK-LABEL: func.func @main
// CHECK-SAME: {onnx.name = "past", qnt.axis = 3 : i64, {{[^}]*}}qnt.state = 0 : i64}
// CHECK-SAME: {onnx.name = "present", qnt.state = 0 : i64}
#x = affine_map<()[s0, s1] -> (s0, s1, 96)>
#y = affine_map<()[s0, s1] -> (s0, s1, 32)>
#past = affine_map<()[s0, s1, s2] -> (2, s0, 2, s2, 16)>
#all = affine_map<()[s0, s1, s2] -> (2, s0, 2, s1 + s2, 16)>
module attributes {onnx.symbols = [{kind = "input", name = "batch"}, {kind = "input", name = "new"}, {kind = "input", name = "past"}]} {
  func.func @main(%x: tensor<?x?x96xf32, #x> {onnx.name = "x"}, %past: tensor<2x?x2x?x16xf32, #past> {onnx.name = "past"})
      -> (tensor<?x?x32xf32, #y> {onnx.name = "y"}, tensor<2x?x2x?x16xf32, #all> {onnx.name = "present"}) {
    %none = onnx.absent
    %y, %present = onnx.node "Attention" in "com.microsoft" version 1(%x, %none, %none, %none, %past) {num_heads = 2 : i64, unidirectional = 1 : i64}
        : (tensor<?x?x96xf32, #x>, none, none, none, tensor<2x?x2x?x16xf32, #past>) -> (tensor<?x?x32xf32, #y>, tensor<2x?x2x?x16xf32, #all>)
    return %y, %present : tensor<?x?x32xf32, #y>, tensor<2x?x2x?x16xf32, #all>
  }
}

// -----

// Of ONNX's own Attention: keys that something else reads are no state, the values are one.
// CHECK-LABEL: func.func @main
// CHECK-NOT: {onnx.name = "k", qnt
// CHECK: {onnx.name = "v", qnt.axis = 2 : i64, {{[^}]*}}qnt.state = 0 : i64}
// CHECK-NOT: {onnx.name = "k.new", qnt
// CHECK: {onnx.name = "v.new", qnt.state = 0 : i64}
#past = affine_map<()[s0] -> (1, 2, s0, 16)>
#new = affine_map<()[s0, s1] -> (1, 2, s1, 16)>
#all = affine_map<()[s0, s1] -> (1, 2, s0 + s1, 16)>
module attributes {onnx.symbols = [{kind = "input", name = "past"}, {kind = "input", name = "new"}]} {
  func.func @main(%pk: tensor<1x2x?x16xf32, #past> {onnx.name = "k"}, %pv: tensor<1x2x?x16xf32, #past> {onnx.name = "v"}, %q: tensor<1x2x?x16xf32, #new> {onnx.name = "q"})
      -> (tensor<1x2x?x16xf32, #new> {onnx.name = "y"}, tensor<1x2x?x16xf32, #all> {onnx.name = "k.new"}, tensor<1x2x?x16xf32, #all> {onnx.name = "v.new"}, tensor<1x2x?x16xf32, #past> {onnx.name = "e"}) {
    %none = onnx.absent
    %e = onnx.node "Exp" version 13(%pk) {} : (tensor<1x2x?x16xf32, #past>) -> tensor<1x2x?x16xf32, #past>
    %y, %keys, %values = onnx.node "Attention" version 23(%q, %q, %q, %none, %pk, %pv) {is_causal = 1 : i64}
        : (tensor<1x2x?x16xf32, #new>, tensor<1x2x?x16xf32, #new>, tensor<1x2x?x16xf32, #new>, none, tensor<1x2x?x16xf32, #past>, tensor<1x2x?x16xf32, #past>)
        -> (tensor<1x2x?x16xf32, #new>, tensor<1x2x?x16xf32, #all>, tensor<1x2x?x16xf32, #all>)
    return %y, %keys, %values, %e : tensor<1x2x?x16xf32, #new>, tensor<1x2x?x16xf32, #all>, tensor<1x2x?x16xf32, #all>, tensor<1x2x?x16xf32, #past>
  }
}

// -----

// Keys and values in one tensor, which the model takes apart and stacks again: one state, whose halves attention reads
// where they are.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[PAST:[a-z0-9]*]]: tensor<2x1x2x?x16xf32, #{{.*}}> {onnx.name = "past", qnt.axis = 3 : i64, {{[^}]*}}qnt.state = 0 : i64}
// CHECK-NOT: Concat
// CHECK: %[[ALL:.*]]:3 = onnx.node "Append" in "qcc" version 1(%[[PAST]], %[[K:.*]], %[[V:.*]]) {}
// CHECK: %[[Y:.*]] = onnx.node "Attention" version 23(%{{.*}}, %[[ALL]]#1, %[[ALL]]#2)
// CHECK: return %[[Y]], %[[ALL]]#0
#past = affine_map<()[s0] -> (2, 1, 2, s0, 16)>
#part = affine_map<()[s0] -> (1, 1, 2, s0, 16)>
#half = affine_map<()[s0] -> (1, 2, s0, 16)>
#new = affine_map<()[s0, s1] -> (1, 2, s1, 16)>
#all = affine_map<()[s0, s1] -> (1, 2, s0 + s1, 16)>
#grown = affine_map<()[s0, s1] -> (1, 1, 2, s0 + s1, 16)>
#pair = affine_map<()[s0, s1] -> (2, 1, 2, s0 + s1, 16)>
module attributes {onnx.symbols = [{kind = "input", name = "past"}, {kind = "input", name = "new"}]} {
  func.func @main(%past: tensor<2x1x2x?x16xf32, #past> {onnx.name = "past"}, %q: tensor<1x2x?x16xf32, #new> {onnx.name = "q"}, %nk: tensor<1x2x?x16xf32, #new> {onnx.name = "nk"},
                  %nv: tensor<1x2x?x16xf32, #new> {onnx.name = "nv"}) -> (tensor<1x2x?x16xf32, #new> {onnx.name = "y"}, tensor<2x1x2x?x16xf32, #pair> {onnx.name = "present"}) {
    %none = onnx.absent
    %k5 = onnx.node "View" in "qcc" version 1(%past) {} resolved {from = affine_map<() -> (0, 1, 2, 3, 4)>, offset = affine_map<() -> (0, 0, 0, 0, 0)>, step = affine_map<() -> (0, 1, 1, 1, 1)>}
        : (tensor<2x1x2x?x16xf32, #past>) -> tensor<1x1x2x?x16xf32, #part>
    %k = onnx.node "Squeeze" version 11(%k5) {axes = array<i64: 0>} : (tensor<1x1x2x?x16xf32, #part>) -> tensor<1x2x?x16xf32, #half>
    %v5 = onnx.node "View" in "qcc" version 1(%past) {} resolved {from = affine_map<() -> (0, 1, 2, 3, 4)>, offset = affine_map<() -> (1, 0, 0, 0, 0)>, step = affine_map<() -> (0, 1, 1, 1, 1)>}
        : (tensor<2x1x2x?x16xf32, #past>) -> tensor<1x1x2x?x16xf32, #part>
    %v = onnx.node "Reshape" version 14(%v5, %none) {} : (tensor<1x1x2x?x16xf32, #part>, none) -> tensor<1x2x?x16xf32, #half>
    %keys = onnx.node "Concat" version 13(%k, %nk) {axis = 2 : i64} : (tensor<1x2x?x16xf32, #half>, tensor<1x2x?x16xf32, #new>) -> tensor<1x2x?x16xf32, #all>
    %k1 = onnx.node "Unsqueeze" version 11(%keys) {axes = array<i64: 0>} : (tensor<1x2x?x16xf32, #all>) -> tensor<1x1x2x?x16xf32, #grown>
    %values = onnx.node "Concat" version 13(%v, %nv) {axis = -2 : i64} : (tensor<1x2x?x16xf32, #half>, tensor<1x2x?x16xf32, #new>) -> tensor<1x2x?x16xf32, #all>
    %v1 = onnx.node "Unsqueeze" version 11(%values) {axes = array<i64: 0>} : (tensor<1x2x?x16xf32, #all>) -> tensor<1x1x2x?x16xf32, #grown>
    %present = onnx.node "Concat" version 13(%k1, %v1) {axis = 0 : i64} : (tensor<1x1x2x?x16xf32, #grown>, tensor<1x1x2x?x16xf32, #grown>) -> tensor<2x1x2x?x16xf32, #pair>
    %y = onnx.node "Attention" version 23(%q, %keys, %values) {} : (tensor<1x2x?x16xf32, #new>, tensor<1x2x?x16xf32, #all>, tensor<1x2x?x16xf32, #all>) -> tensor<1x2x?x16xf32, #new>
    return %y, %present : tensor<1x2x?x16xf32, #new>, tensor<2x1x2x?x16xf32, #pair>
  }
}

// -----

// A cache (batch, positions, heads, size), which attention reads transposed: appended where it is, and read as it is.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[PAST:[a-z0-9]*]]: tensor<1x?x2x16xf32, #{{.*}}> {onnx.name = "k", qnt.axis = 1 : i64, {{[^}]*}}qnt.state = 0 : i64}
// CHECK: %[[ALL:.*]] = onnx.node "Append" in "qcc" version 1(%[[PAST]], %{{.*}}) {axis = 1 : i64}
// CHECK: %[[FLAT:.*]] = onnx.node "Reshape" version 14(%[[ALL]], %{{.*}}) {} : ({{.*}}) -> tensor<1x?x32xf32, #{{.*}}>
// CHECK-NOT: Transpose
// CHECK: %[[Y:.*]] = onnx.node "Attention" version 23(%{{.*}}, %[[FLAT]], %{{.*}}) {kv_num_heads = 2 : i64}
// CHECK: return %[[Y]], %[[ALL]]
#past = affine_map<()[s0] -> (1, s0, 2, 16)>
#new = affine_map<()[s0, s1] -> (1, s1, 2, 16)>
#all = affine_map<()[s0, s1] -> (1, s0 + s1, 2, 16)>
#heads = affine_map<()[s0, s1] -> (1, 2, s0 + s1, 16)>
#q = affine_map<()[s0, s1] -> (1, 2, s1, 16)>
module attributes {onnx.symbols = [{kind = "input", name = "past"}, {kind = "input", name = "new"}]} {
  func.func @main(%k: tensor<1x?x2x16xf32, #past> {onnx.name = "k"}, %nk: tensor<1x?x2x16xf32, #new> {onnx.name = "nk"}, %q: tensor<1x2x?x16xf32, #q> {onnx.name = "q"},
                  %v: tensor<1x2x?x16xf32, #heads> {onnx.name = "v"}) -> (tensor<1x2x?x16xf32, #q> {onnx.name = "y"}, tensor<1x?x2x16xf32, #all> {onnx.name = "k.new"}) {
    %all = onnx.node "Concat" version 13(%k, %nk) {axis = 1 : i64} : (tensor<1x?x2x16xf32, #past>, tensor<1x?x2x16xf32, #new>) -> tensor<1x?x2x16xf32, #all>
    %keys = onnx.node "Transpose" version 13(%all) {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x?x2x16xf32, #all>) -> tensor<1x2x?x16xf32, #heads>
    %y = onnx.node "Attention" version 23(%q, %keys, %v) {} : (tensor<1x2x?x16xf32, #q>, tensor<1x2x?x16xf32, #heads>, tensor<1x2x?x16xf32, #heads>) -> tensor<1x2x?x16xf32, #q>
    return %y, %all : tensor<1x2x?x16xf32, #q>, tensor<1x?x2x16xf32, #all>
  }
}
