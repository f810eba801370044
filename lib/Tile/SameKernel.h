// Finding kernels that are the same code.
#pragma once

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/Hashing.h"

namespace qcc {

/// A hash of a function's type and body that leaves names and locations out.
llvm::hash_code hashOf(mlir::LLVM::LLVMFuncOp kernel);
/// Whether two functions differ in nothing but name and locations.
bool isSameKernel(mlir::LLVM::LLVMFuncOp a, mlir::LLVM::LLVMFuncOp b);

} // namespace qcc
