// RUN: not qcc-opt %s --check-operators 2>&1 | FileCheck %s

// One error names every operator, how often it stands there and where.
// CHECK: error: loc("first"): the model has operators that qcc cannot compile:
// CHECK-NEXT: Strange: 5 nodes ('first', 'second', 'third', 'unnamed', ...)
// CHECK-NEXT: vendor.Other: 1 node ('unnamed')
// CHECK-NEXT: export the model without them
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %a = onnx.node "Strange" version 1(%x) {} : (tensor<2xf32>) -> tensor<2xf32> loc("first")
  %b = onnx.node "Strange" version 1(%a) {} : (tensor<2xf32>) -> tensor<2xf32> loc("second")
  %c = onnx.node "Strange" version 1(%b) {} : (tensor<2xf32>) -> tensor<2xf32> loc("third")
  %d = onnx.node "Strange" version 1(%c) {} : (tensor<2xf32>) -> tensor<2xf32>
  %e = onnx.node "Strange" version 1(%d) {} : (tensor<2xf32>) -> tensor<2xf32>
  %y = onnx.node "Other" in "vendor" version 1(%e) {} : (tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
