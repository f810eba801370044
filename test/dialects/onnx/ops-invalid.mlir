// RUN: qcc-opt %s --split-input-file --verify-diagnostics

func.func @noType(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'onnx.node' op has no operator type}}
  %y = onnx.node "" version 13(%x) {} : (tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @incompleteTriple(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'onnx.node' op 'defines' is not a list of (symbol, operand, element) triples}}
  %y = onnx.node "Relu" version 14(%x) {} defines [0, 0] : (tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @operandThatIsNotThere(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'onnx.node' op 'defines' names operand 1 of 1}}
  %y = onnx.node "Relu" version 14(%x) {} defines [0, 1, 0] : (tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @dynamicWeight() {
  // expected-error @+1 {{'onnx.weight' op has a dynamic shape}}
  %w = onnx.weight "w" dense<0> : tensor<8xi8> : tensor<?xf32>
  return
}

// -----

func.func @noBytes() {
  // expected-error @+1 {{'onnx.weight' op holds elements of 'f32', expected bytes}}
  %w = onnx.weight "w" dense<0.0> : tensor<2xf32> : tensor<2xf32>
  return
}

// -----

func.func @tooFewBytes() {
  // expected-error @+1 {{'onnx.weight' op 'w' holds 7 bytes, but 'tensor<2xf32>' needs 8}}
  %w = onnx.weight "w" dense<0> : tensor<7xi8> : tensor<2xf32>
  return
}

// -----

func.func @nibblesTakeHalfABytePerElement() {
  // expected-error @+1 {{'onnx.weight' op 'w' holds 3 bytes, but 'tensor<3xi4>' needs 2}}
  %w = onnx.weight "w" dense<0> : tensor<3xi8> : tensor<3xi4>
  return
}

// -----

func.func @moreThanFits() {
  // expected-error @+1 {{'onnx.weight' op 'w' has more bytes than can be counted: 'tensor<4611686018427387904xf32>'}}
  %w = onnx.weight "w" dense<0> : tensor<1xi8> : tensor<4611686018427387904xf32>
  return
}

// -----

func.func @productThatOverflows() {
  // expected-error @+1 {{'onnx.weight' op 'w' has more bytes than can be counted: 'tensor<4294967296x4294967296xi8>'}}
  %w = onnx.weight "w" dense<0> : tensor<1xi8> : tensor<4294967296x4294967296xi8>
  return
}

// -----

func.func @encodingOfAnotherRank(%x: tensor<2xf32>) {
  // expected-error @+1 {{'onnx.node' op has a type whose 2 dimensions are given by another number of expressions: 'tensor<?x2xf32, affine_map<()[s0] -> (s0)>>'}}
  %y = onnx.node "Unsqueeze" version 11(%x) {} : (tensor<2xf32>) -> tensor<?x2xf32, affine_map<()[s0] -> (s0)>>
  return
}

// -----

func.func @shortResource() {
  // expected-error @+1 {{'onnx.weight' op 'w' holds 4 bytes, but 'tensor<2xf32>' needs 8}}
  %w = onnx.weight "w" dense_resource<short> : tensor<8xi8> : tensor<2xf32>
  return
}

{-#
  dialect_resources: {
    builtin: {
      short: "0x0100000001020304"
    }
  }
#-}
