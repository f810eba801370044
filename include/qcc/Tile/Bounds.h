// Indices that are data: checked, and kept within the tensor that they point into.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// An index that a kernel has read.
struct CheckedIndex {
  mlir::Value position; // within the dimension, unless that is empty
  mlir::Value good;     // i1: whether the index was within the dimension
};

/// Counts a negative index from the end of a dimension and clamps it.
CheckedIndex checkedIndex(Kernel &kernel, mlir::Value index, mlir::Value length);
/// The same for an element of an index tensor of any integer type.
CheckedIndex loadIndex(Kernel &kernel, mlir::Value tensor, const Index &at, mlir::Value length);

/// body(i, good) for i in [from, to), which returns whether what it read was good; notes the node as failed when one
/// was not. Nothing runs unless `guard` holds.
void checkedLoop(Kernel &kernel, mlir::Value from, mlir::Value to, mlir::Value guard,
                 llvm::function_ref<mlir::Value(mlir::Value)> body);

} // namespace qcc
