// RUN: qcc-opt %s --split-input-file --verify-diagnostics --recognize-states

// Every pass behind infer-shapes says what it needs.

func.func @main(%x: tensor<2xf32>) -> tensor<*x!onnx.unknown> {
  // expected-error @below {{the result of Relu is of unknown rank after shape inference}}
  %y = onnx.node "Relu" version 14(%x) {} : (tensor<2xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// -----

// expected-error @below {{input 0 has dimensions without an expression}}
func.func @main(%x: tensor<?xf32>) {
  return
}

// -----

// expected-error @below {{input 0 has dimensions of 2 symbols, but the program has 0}}
func.func @main(%x: tensor<?xf32, affine_map<()[s0, s1] -> (s1)>>) {
  return
}

// -----

// expected-error @below {{input 0 has a map of 2 dimensions, but the rank 1}}
func.func @main(%x: tensor<?xf32, affine_map<()[s0] -> (s0, 1)>>) {
  return
}

// -----

// expected-error @below {{has no function 'main' with a body}}
module {
  func.func private @main()
}

// -----

// The batch is said by the states alone, and what they are extended by takes it from them.
#past = affine_map<()[s0, s1] -> (s1, 2, s0, 16)>
#new = affine_map<()[s0, s1] -> (s1, 2, 1, 16)>
#all = affine_map<()[s0, s1] -> (s1, 2, s0 + 1, 16)>
module attributes {onnx.symbols = [{kind = "input", name = "past"}, {kind = "input", name = "batch"}]} {
  func.func @main(%k: tensor<?x2x?x16xf32, #past> {onnx.name = "k"}, %x: tensor<1x2x1x16xf32> {onnx.name = "x"})
      -> (tensor<?x2x1x16xf32, #new> {onnx.name = "y"}, tensor<?x2x?x16xf32, #all> {onnx.name = "k.new"}) {
    %none = onnx.absent
    %n = onnx.node "Expand" version 13(%x, %none) {} : (tensor<1x2x1x16xf32>, none) -> tensor<?x2x1x16xf32, #new>
    // expected-error @below {{extends a cache with a dimension that follows from none of the other inputs}}
    %all = onnx.node "Concat" version 13(%k, %n) {axis = 2 : i64} : (tensor<?x2x?x16xf32, #past>, tensor<?x2x1x16xf32, #new>) -> tensor<?x2x?x16xf32, #all>
    %y = onnx.node "Attention" version 23(%n, %all, %all) {} : (tensor<?x2x1x16xf32, #new>, tensor<?x2x?x16xf32, #all>, tensor<?x2x?x16xf32, #all>) -> tensor<?x2x1x16xf32, #new>
    return %y, %all : tensor<?x2x1x16xf32, #new>, tensor<?x2x?x16xf32, #all>
  }
}
