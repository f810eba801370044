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
    `data` holds the bytes of the matrix in `layout`: "rows" or "columns" before quantization (float elements as in the model, the contraction's
    outputs along rows or columns), "format" after it (the format's own order of codes, scales and zeros), or a target's packed layout.
    The result type is the matrix that the contraction sees: outputs × inputs.
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$format, StrAttr:$layout, ElementsAttr:$data);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name `as` $format `in` $layout $data attr-dict `:` type($result)";
}

def Qnt_LinearOp : Qnt_Op<"linear", [Pure, AttrSizedOperandSegments]> {
  let summary = "y = activation(x · weightᵀ + bias) + residual";
  let description = [{
    `x` has any rank, its last dimension is the weight's second; `weight` is outputs × inputs in a format. `act` is the compute type of the activations:
    "f32", "int8" (dynamic, symmetric, a scale per token and block of 32 inputs) or "int8-row" (a scale per token).

    ```mlir
    %y = qnt.linear %x, %w act "int8" epilogue "silu" : (tensor<?x64xf32>, tensor<172x64xf32>) -> tensor<?x172xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weight, Optional<AnyRankedTensor>:$bias, Optional<AnyRankedTensor>:$residual,
                   StrAttr:$act, StrAttr:$epilogue);
  let results = (outs AnyRankedTensor:$y);
  let assemblyFormat = [{
    $x `,` $weight (`bias` $bias^ `:` type($bias))? (`residual` $residual^ `:` type($residual))? `act` $act `epilogue` $epilogue attr-dict
    `:` `(` type($x) `,` type($weight) `)` `->` type($y)
  }];
  let hasVerifier = 1;
}

#endif // QCC_DIALECTS_QNT
