// The tile dialect: the program of a model as launches of generated kernels over buffers. See RATIONALE.md.

#ifndef QCC_DIALECTS_TILE
#define QCC_DIALECTS_TILE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Dialect/LLVMIR/LLVMOpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::qcc::tile";
  let summary = "Launches of kernels over buffers, executed by every thread of a run";
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
  let description = [{
    The program is one function that every thread of a run executes (SPMD). Scalars are computed by each thread for itself; a `tile.launch` splits
    its units among the threads; barriers are placed by the lowering to LLVM where data crosses threads.
  }];
}

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

def Tile_SymbolOp : Tile_Op<"symbol", [Pure]> {
  let summary = "The value of a dimension symbol that is known when the run starts";
  let arguments = (ins I64Attr:$index);
  let results = (outs I64:$value);
  let assemblyFormat = "$index attr-dict";
}

def Tile_InputOp : Tile_Op<"input", [Pure]> {
  let summary = "The data of a program input";
  let arguments = (ins I64Attr:$index);
  let results = (outs LLVM_AnyPointer:$data);
  let assemblyFormat = "$index attr-dict `:` type($data)";
}

def Tile_StateOp : Tile_Op<"state", [Pure]> {
  let summary = "The data of a program state, laid out with its capacity along the appended axis";
  let arguments = (ins I64Attr:$index);
  let results = (outs LLVM_AnyPointer:$data);
  let assemblyFormat = "$index attr-dict `:` type($data)";
}

def Tile_WeightOp : Tile_Op<"weight", [Pure]> {
  let summary = "The data of a weight, `offset` bytes into the artifact's weights";
  let arguments = (ins I64Attr:$offset);
  let results = (outs LLVM_AnyPointer:$data);
  let assemblyFormat = "$offset attr-dict `:` type($data)";
}

def Tile_OutputOp : Tile_Op<"output"> {
  let summary = "Storage of a program output with the dimensions given";
  let arguments = (ins I64Attr:$index, Variadic<I64>:$dims);
  let results = (outs LLVM_AnyPointer:$data);
  let assemblyFormat = "$index `(` $dims `)` attr-dict `:` type($data)";
}

def Tile_BufferOp : Tile_Op<"buffer"> {
  let summary = "Storage of an intermediate value, `bytes` long";
  let description = [{
    Where the size is known when the run starts, the memory plan gives the buffer a `slot` of the arena; otherwise it is allocated when reached.
  }];
  let arguments = (ins I64:$bytes, OptionalAttr<AffineMapAttr>:$size, OptionalAttr<I64Attr>:$slot);
  let results = (outs LLVM_AnyPointer:$data);
  let assemblyFormat = "$bytes (`size` $size^)? (`slot` $slot^)? attr-dict `:` type($data)";
}

def Tile_ReadOp : Tile_Op<"read"> {
  let summary = "Reads one integer of a buffer on every thread, after the launches that wrote it";
  let arguments = (ins LLVM_AnyPointer:$data, I64:$element, TypeAttr:$type);
  let results = (outs I64:$value);
  let assemblyFormat = "$type $data `[` $element `]` attr-dict `:` type($data)";
}

def Tile_ErrorOp : Tile_Op<"error", [Pure]> {
  let summary = "Where a kernel notes the node whose run-time check failed";
  let results = (outs LLVM_AnyPointer:$address);
  let assemblyFormat = "attr-dict `:` type($address)";
}

def Tile_RequireOp : Tile_Op<"require"> {
  let summary = "Ends the run with an error that names node number `node` unless `condition` holds";
  let description = [{
    Every thread computes the condition alike, so that none goes on to launches that rely on it.
  }];
  let arguments = (ins I1:$condition, I64Attr:$node);
  let assemblyFormat = "$condition `node` $node attr-dict";
}

def Tile_ThreadScratchOp : Tile_Op<"thread_scratch"> {
  let summary = "`bytes` bytes of storage of this thread alone, until the launch that uses it ends";
  let description = [{
    All of them share one area: those that one launch uses at the same time stand at different offsets.
  }];
  let arguments = (ins I64Attr:$bytes, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs LLVM_AnyPointer:$data);
  let assemblyFormat = "$bytes (`at` $offset^)? attr-dict `:` type($data)";
}

def Tile_LaunchOp : Tile_Op<"launch"> {
  let summary = "Runs a kernel over units of work";
  let description = [{
    Calls `kernel(lo, hi, arguments...)` so that [0, units) is covered once by all threads together. `work` is an estimate of the scalar operations
    of the whole launch: below a threshold one thread does it all. A kernel may not communicate between units.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, I64:$units, I64:$work, Variadic<AnyType>:$arguments);
  let assemblyFormat = "$kernel `over` $units `work` $work `(` $arguments `)` attr-dict (`:` type($arguments)^)?";
}

#endif // QCC_DIALECTS_TILE
