// The qnt dialect: contractions and fused blocks, and the formats of their weights. See RATIONALE.md.

#ifndef QCC_DIALECTS_QNT
#define QCC_DIALECTS_QNT

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Qnt_Dialect : Dialect {
  let name = "qnt";
  let cppNamespace = "::qcc::qnt";
  let summary = "Contractions, fused blocks and number formats";
}

class Qnt_Op<string mnemonic, list<Trait> traits = []> : Op<Qnt_Dialect, mnemonic, traits>;

def Qnt_WeightOp : Qnt_Op<"weight", [Pure]> {
  let summary = "A weight matrix stored in a format";
  let description = [{
    `data` holds the bytes of the matrix in `order`: "rows" or "columns" before quantization (float32 elements as in the model, the contraction's
    outputs along rows or columns), "encoded" after it: all codes, then all scales, all zeros and the tensor's scale, as
    `EncodedMatrix` (`include/qcc/Format/Format.h`) has them. The result type is the matrix that the contraction sees: outputs × inputs.
    `offset` is its place in the artifact's weights, where it is packed in its target's order.

    ```mlir
    %w = qnt.weight "layers.0.up" as "int4-g32" in "encoded" dense<0> : tensor<6208xi8> : tensor<172x64xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$format, StrAttr:$order, ElementsAttr:$data, OptionalAttr<I64Attr>:$offset);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name `as` $format `in` $order $data (`at` $offset^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Qnt_LinearOp : Qnt_Op<"linear", [Pure]> {
  let summary = "y = x · weightᵀ";
  let description = [{
    `x` has any rank, its last dimension is the weight's second; `weight` is outputs × inputs in a format. `act` is the compute type: "f32"; "bf16": activations
    are rounded to it, sums are float32; "fp8": rounded to e4m3 with a scale for each token and block of inputs; "int8": activations are quantized when the program runs, symmetric, with a scale for each token and block of inputs; "int8-static": the same codes,
    all with the scale `scale`; "fp8-static": float32, of inputs that have been rounded to 8-bit floats before; "nvfp4", "mxfp8", "mxfp4": activations are rounded to the
    numbers of that format when the program runs, each token on its own.

    ```mlir
    %y = qnt.linear %x, %w act "int8" : (tensor<?x64xf32>, tensor<172x64xf32>) -> tensor<?x172xf32>
    %z = qnt.linear %x, %w act "int8-static" by 5.000000e-02 : (tensor<?x64xf32>, tensor<172x64xf32>) -> tensor<?x172xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weight, StrAttr:$act,
                   OptionalAttr<F32Attr>:$scale);
  let results = (outs AnyRankedTensor:$y);
  let assemblyFormat = [{
    $x `,` $weight `act` $act (`by` $scale^)? attr-dict `:` `(` type($x) `,` type($weight) `)` `->` type($y)
  }];
  let hasVerifier = 1;
}

def Qnt_LookupOp : Qnt_Op<"lookup", [Pure]> {
  let summary = "Rows of a weight matrix by their numbers";
  let description = [{
    An embedding that shares its matrix with a linear operation: one copy of the weights, in one format. `indices` are integers of any rank; negative ones
    count from the end. The result has the dimensions of the indices, then a row.

    ```mlir
    %y = qnt.lookup %w[%tokens] : (tensor<512x64xf32>, tensor<?x?xi64>) -> tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$weight, AnyRankedTensor:$indices);
  let results = (outs AnyRankedTensor:$y);
  let assemblyFormat = [{
    $weight `[` $indices `]` attr-dict `:` `(` type($weight) `,` type($indices) `)` `->` type($y)
  }];
  let hasVerifier = 1;
}

#endif // QCC_DIALECTS_QNT
