// RUN: qcc-opt %s --split-input-file --verify-diagnostics

func.func @weightOfAnotherRank() {
  // expected-error @+1 {{'qnt.weight' op is no float32 matrix of known size: 'tensor<4xf32>'}}
  %w = qnt.weight "w" as "float32" in "rows" dense<0> : tensor<16xi8> : tensor<4xf32>
  return
}

// -----

func.func @weightOfAnotherType() {
  // expected-error @+1 {{'qnt.weight' op is no float32 matrix of known size: 'tensor<2x2xf16>'}}
  %w = qnt.weight "w" as "float32" in "rows" dense<0> : tensor<16xi8> : tensor<2x2xf16>
  return
}

// -----

func.func @unknownOrder() {
  // expected-error @+1 {{'qnt.weight' op has the unknown order 'diagonals'}}
  %w = qnt.weight "w" as "float32" in "diagonals" dense<0> : tensor<16xi8> : tensor<2x2xf32>
  return
}

// -----

func.func @noBytes() {
  // expected-error @+1 {{'qnt.weight' op holds elements of 'i32', expected bytes}}
  %w = qnt.weight "w" as "float32" in "rows" dense<0> : tensor<4xi32> : tensor<2x2xf32>
  return
}

// -----

func.func @tooFewBytes() {
  // expected-error @+1 {{'qnt.weight' op holds 15 bytes, but 'tensor<2x2xf32>' needs 16}}
  %w = qnt.weight "w" as "float32" in "rows" dense<0> : tensor<15xi8> : tensor<2x2xf32>
  return
}

// -----

func.func @noMatrix(%x: tensor<3x4xf32>, %w: tensor<2x4x1xf32>) {
  // expected-error @+1 {{'qnt.linear' op needs a matrix of weights, got 'tensor<2x4x1xf32>'}}
  %y = qnt.linear %x, %w act "f32" : (tensor<3x4xf32>, tensor<2x4x1xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @ranks(%x: tensor<3x4xf32>, %w: tensor<2x4xf32>) {
  // expected-error @+1 {{'qnt.linear' op maps 'tensor<3x4xf32>' to 'tensor<2xf32>', whose ranks differ}}
  %y = qnt.linear %x, %w act "f32" : (tensor<3x4xf32>, tensor<2x4xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @inputs(%x: tensor<3x5xf32>, %w: tensor<2x4xf32>) {
  // expected-error @+1 {{'qnt.linear' op multiplies 5 inputs with a weight that has 4}}
  %y = qnt.linear %x, %w act "f32" : (tensor<3x5xf32>, tensor<2x4xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @outputs(%x: tensor<3x4xf32>, %w: tensor<2x4xf32>) {
  // expected-error @+1 {{'qnt.linear' op has 7 outputs, but its weight has 2}}
  %y = qnt.linear %x, %w act "f32" : (tensor<3x4xf32>, tensor<2x4xf32>) -> tensor<3x7xf32>
  return
}

// -----

func.func @computeType(%x: tensor<3x4xf32>, %w: tensor<2x4xf32>) {
  // expected-error @+1 {{'qnt.linear' op has the unknown compute type 'int3'}}
  %y = qnt.linear %x, %w act "int3" : (tensor<3x4xf32>, tensor<2x4xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @lookupOfOtherRows(%i: tensor<2x3xi64>) {
  %w = qnt.weight "w" as "float32" in "rows" dense<0> : tensor<128xi8> : tensor<8x4xf32>
  // expected-error @+1 {{'qnt.lookup' op takes rows of 'tensor<8x4xf32>' by 'tensor<2x3xi64>', which is no 'tensor<2x3x8xf32>'}}
  %y = qnt.lookup %w[%i] : (tensor<8x4xf32>, tensor<2x3xi64>) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @lookupByFloats(%i: tensor<2xf32>) {
  %w = qnt.weight "w" as "float32" in "rows" dense<0> : tensor<128xi8> : tensor<8x4xf32>
  // expected-error @+1 {{'qnt.lookup' op has indices that are no integers: 'tensor<2xf32>'}}
  %y = qnt.lookup %w[%i] : (tensor<8x4xf32>, tensor<2xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @scaleOfAnotherComputeType(%x: tensor<3x4xf32>) {
  %w = qnt.weight "w" as "int8" in "rows" dense<0> : tensor<32xi8> : tensor<2x4xf32>
  // expected-error @+1 {{'qnt.linear' op has a scale, which only the compute type 'int8-static' has, above 0}}
  %y = qnt.linear %x, %w act "int8" by 0.05 : (tensor<3x4xf32>, tensor<2x4xf32>) -> tensor<3x2xf32>
  return
}
