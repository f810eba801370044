// RUN: qcc-opt %s --check-operators | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: onnx.node "Relu"
  %y = onnx.node "Relu" version 14(%x) {} : (tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
