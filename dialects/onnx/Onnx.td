// The onnx dialect: an ONNX graph as it stands in the file. See RATIONALE.md for why operators are data here.

#ifndef QCC_DIALECTS_ONNX
#define QCC_DIALECTS_ONNX

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::qcc::onnx";
  let summary = "An imported ONNX graph";
  let description = [{
    Values are ranked tensors, or `tensor<*x!onnx.unknown>` before shape inference where the file says nothing. Signed integers are signless
    MLIR integers, unsigned integers are `ui` types, booleans are `i1`. A dimension that is not a constant is `?` in the shape and
    an affine expression over the program's dimension symbols in the tensor's encoding, an affine map from those symbols to all dimensions.
  }];
  let useDefaultTypePrinterParser = 1;
}

def Onnx_UnknownType : TypeDef<Onnx_Dialect, "Unknown"> {
  let mnemonic = "unknown";
  let summary = "The element type of a value whose type shape inference has to find";
}

class Onnx_Op<string mnemonic, list<Trait> traits = []> : Op<Onnx_Dialect, mnemonic, traits>;

def Onnx_NodeOp : Onnx_Op<"node"> {
  let summary = "One ONNX operator";
  let description = [{
    Operator type, domain and the operator-set version under which the file uses it, with the operator's attributes. An optional input
    that is left out is a value of `onnx.absent`. Attributes that hold subgraphs are regions; `attrs.subgraphs` names them in order.

    `resolved` holds what shape inference found out about the operator's shape operands, each as an affine map from the dimension
    symbols to the operand's contents (`resolved {starts = affine_map<()[s0] -> (s0)>}`).
    `defines` lists the dimension symbols that only running the program can tell: triples (symbol, operand, element of that operand).

    ```mlir
    %y = onnx.node "MatMul" version 13(%x, %w) {} : (tensor<1x4xf32>, tensor<4x2xf32>) -> (tensor<1x2xf32>)
    ```
  }];
  let arguments = (ins StrAttr:$op_type, DefaultValuedAttr<StrAttr, "\"\"">:$domain, I64Attr:$version,
                   DictionaryAttr:$attrs, OptionalAttr<DictionaryAttr>:$resolved, OptionalAttr<DenseI64ArrayAttr>:$defines,
                   Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region VariadicRegion<AnyRegion>:$subgraphs);
  let assemblyFormat = [{
    $op_type (`in` $domain^)? `version` $version `(` $inputs `)` $attrs (`resolved` $resolved^)? (`defines` $defines^)?
    $subgraphs attr-dict-with-keyword `:` functional-type($inputs, $outputs)
  }];
  let hasVerifier = 1;
}

def Onnx_AbsentOp : Onnx_Op<"absent", [Pure]> {
  let summary = "An optional input or output that is left out";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def Onnx_WeightOp : Onnx_Op<"weight", [Pure]> {
  let summary = "A constant tensor of the model";
  let description = [{
    `data` is a flat tensor of bytes: the elements in row-major, little-endian order as ONNX's raw_data has them (two 4-bit elements to a byte,
    the first in the low half). Large ones are resources over the mapped model file, so that no weight is ever copied into the IR.
  }];
  let arguments = (ins StrAttr:$name, ElementsAttr:$data);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name $data attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Onnx_YieldOp : Onnx_Op<"yield", [Terminator, Pure]> {
  let summary = "The outputs of a subgraph";
  let arguments = (ins Variadic<AnyType>:$results);
  let assemblyFormat = "($results^ `:` type($results))? attr-dict";
}

#endif // QCC_DIALECTS_ONNX
