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
