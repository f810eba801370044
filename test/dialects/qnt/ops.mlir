// RUN: qcc-opt %s | qcc-opt | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<3x64xf32>) -> tensor<3x2xf32> {
  // CHECK: qnt.weight "up" as "int4-g32" in "encoded" dense<0> : tensor<76xi8> : tensor<2x64xf32>
  %w = qnt.weight "up" as "int4-g32" in "encoded" dense<0> : tensor<76xi8> : tensor<2x64xf32>
  // CHECK: qnt.weight "up" as "float32" in "columns" dense<0> : tensor<512xi8> at 128 : tensor<2x64xf32>
  %f = qnt.weight "up" as "float32" in "columns" dense<0> : tensor<512xi8> at 128 : tensor<2x64xf32>
  // CHECK: qnt.linear %{{.*}}, %{{.*}} act "int8-static" by 5.000000e-02 : (tensor<3x64xf32>, tensor<2x64xf32>) -> tensor<3x2xf32>
  %static = qnt.linear %x, %w act "int8-static" by 0.05 : (tensor<3x64xf32>, tensor<2x64xf32>) -> tensor<3x2xf32>
  // CHECK: qnt.linear %{{.*}}, %{{.*}} act "int8" : (tensor<3x64xf32>, tensor<2x64xf32>) -> tensor<3x2xf32>
  %y = qnt.linear %x, %w act "int8" : (tensor<3x64xf32>, tensor<2x64xf32>) -> tensor<3x2xf32>
  // CHECK: qnt.linear %{{.*}}, %{{.*}} act "f32"
  %z = qnt.linear %x, %f act "f32" : (tensor<3x64xf32>, tensor<2x64xf32>) -> tensor<3x2xf32>
  return %y : tensor<3x2xf32>
}
