// RUN: qcc-opt %s --split-input-file --raise-rotary | FileCheck %s

// x · cos + (-x2, x1) · sin, each cosine and sine there twice.
#map = affine_map<() -> (1)>
#map1 = affine_map<() -> (0, 1, 2, 3)>
#map2 = affine_map<() -> (0, 0, 0, 0)>
#map3 = affine_map<() -> (1, 1, 1, 1)>
#map4 = affine_map<() -> (0, 0, 0, 4)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<1x2x3x8xf32>
// CHECK: "Cos"
// CHECK: "Sin"
// CHECK-NOT: "Neg"
// CHECK: %[[Y:.*]] = onnx.node "RotaryEmbedding" version 23(%[[X]], {{.*}}) {interleaved = 0 : i64}
// CHECK-NEXT: return %[[Y]]
module attributes {onnx.symbols = []} {
  func.func @main(%arg0: tensor<1x2x3x8xf32> {onnx.name = "x"}, %arg1: tensor<1x3x4xf32> {onnx.name = "angle"}) -> (tensor<1x2x3x8xf32> {onnx.name = "y"}) {
    %0 = onnx.node "Cos" version 17(%arg1) {}  : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
    %1 = onnx.node "Sin" version 17(%arg1) {}  : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
    %2 = onnx.node "Concat" version 17(%0, %0) {axis = -1 : i64}  : (tensor<1x3x4xf32>, tensor<1x3x4xf32>) -> tensor<1x3x8xf32>
    %3 = onnx.node "Concat" version 17(%1, %1) {axis = -1 : i64}  : (tensor<1x3x4xf32>, tensor<1x3x4xf32>) -> tensor<1x3x8xf32>
    %4 = onnx.absent
    %5 = onnx.node "Unsqueeze" version 17(%2, %4) {} resolved {axes = #map}  : (tensor<1x3x8xf32>, none) -> tensor<1x1x3x8xf32>
    %6 = onnx.absent
    %7 = onnx.node "Unsqueeze" version 17(%3, %6) {} resolved {axes = #map}  : (tensor<1x3x8xf32>, none) -> tensor<1x1x3x8xf32>
    %8 = onnx.node "View" in "qcc" version 1(%arg0) {} resolved {from = #map1, offset = #map2, step = #map3}  : (tensor<1x2x3x8xf32>) -> tensor<1x2x3x4xf32>
    %9 = onnx.node "View" in "qcc" version 1(%arg0) {} resolved {from = #map1, offset = #map4, step = #map3}  : (tensor<1x2x3x8xf32>) -> tensor<1x2x3x4xf32>
    %10 = onnx.node "Neg" version 17(%9) {}  : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
    %11 = onnx.node "Concat" version 17(%10, %8) {axis = -1 : i64}  : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x8xf32>
    %12 = onnx.node "Mul" version 17(%arg0, %5) {}  : (tensor<1x2x3x8xf32>, tensor<1x1x3x8xf32>) -> tensor<1x2x3x8xf32>
    %13 = onnx.node "Mul" version 17(%11, %7) {}  : (tensor<1x2x3x8xf32>, tensor<1x1x3x8xf32>) -> tensor<1x2x3x8xf32>
    %14 = onnx.node "Add" version 17(%12, %13) {}  : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32>
    return %14 : tensor<1x2x3x8xf32>
  }
}

// -----

// (x1, -x2) is no rotation.
#map = affine_map<() -> (1)>
#map1 = affine_map<() -> (0, 1, 2, 3)>
#map2 = affine_map<() -> (0, 0, 0, 0)>
#map3 = affine_map<() -> (1, 1, 1, 1)>
#map4 = affine_map<() -> (0, 0, 0, 4)>
// CHECK-LABEL: func.func @main
// CHECK-NOT: "RotaryEmbedding"
// CHECK: "Add"
module attributes {onnx.symbols = []} {
  func.func @main(%arg0: tensor<1x2x3x8xf32> {onnx.name = "x"}, %arg1: tensor<1x3x4xf32> {onnx.name = "angle"}) -> (tensor<1x2x3x8xf32> {onnx.name = "y"}) {
    %0 = onnx.node "Cos" version 17(%arg1) {}  : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
    %1 = onnx.node "Sin" version 17(%arg1) {}  : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
    %2 = onnx.node "Concat" version 17(%0, %0) {axis = -1 : i64}  : (tensor<1x3x4xf32>, tensor<1x3x4xf32>) -> tensor<1x3x8xf32>
    %3 = onnx.node "Concat" version 17(%1, %1) {axis = -1 : i64}  : (tensor<1x3x4xf32>, tensor<1x3x4xf32>) -> tensor<1x3x8xf32>
    %4 = onnx.absent
    %5 = onnx.node "Unsqueeze" version 17(%2, %4) {} resolved {axes = #map}  : (tensor<1x3x8xf32>, none) -> tensor<1x1x3x8xf32>
    %6 = onnx.absent
    %7 = onnx.node "Unsqueeze" version 17(%3, %6) {} resolved {axes = #map}  : (tensor<1x3x8xf32>, none) -> tensor<1x1x3x8xf32>
    %8 = onnx.node "View" in "qcc" version 1(%arg0) {} resolved {from = #map1, offset = #map2, step = #map3}  : (tensor<1x2x3x8xf32>) -> tensor<1x2x3x4xf32>
    %9 = onnx.node "View" in "qcc" version 1(%arg0) {} resolved {from = #map1, offset = #map4, step = #map3}  : (tensor<1x2x3x8xf32>) -> tensor<1x2x3x4xf32>
    %10 = onnx.node "Neg" version 17(%9) {}  : (tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
    %11 = onnx.node "Concat" version 17(%8, %10) {axis = -1 : i64}  : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x8xf32>
    %12 = onnx.node "Mul" version 17(%arg0, %5) {}  : (tensor<1x2x3x8xf32>, tensor<1x1x3x8xf32>) -> tensor<1x2x3x8xf32>
    %13 = onnx.node "Mul" version 17(%11, %7) {}  : (tensor<1x2x3x8xf32>, tensor<1x1x3x8xf32>) -> tensor<1x2x3x8xf32>
    %14 = onnx.node "Add" version 17(%12, %13) {}  : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32>
    return %14 : tensor<1x2x3x8xf32>
  }
}
