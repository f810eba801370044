// Copies of whole tensors into parts of a result.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// The element of `source` at index i goes to element `offset` + sum of pitch[axis] * i[axis] of the result.
struct BlockCopy {
  mlir::Value source;
  Dim offset;
  llvm::SmallVector<Dim> pitch;
};

/// The number of elements from one index to the next along each axis of a contiguous tensor.
llvm::SmallVector<Dim> pitchesOf(const Dimensions &dims, llvm::ArrayRef<Dim> shape);

/// Makes all the copies in one launch.
void copyBlocks(Lowering &lowering, llvm::StringRef name, mlir::Value result, llvm::ArrayRef<BlockCopy> copies);

} // namespace qcc
