// The steps of canonicalization as MLIR passes, for qcc-opt and its tests.
#pragma once

#include "mlir/IR/BuiltinOps.h"

namespace qcc {

struct CanonicalizePass {
  llvm::StringRef name;        // "infer-shapes"
  llvm::StringRef description; // a sentence
  /// Whether every value must have its type, as infer-shapes gives it.
  bool needsTypes;
  std::function<mlir::LogicalResult(mlir::ModuleOp)> run;
};

/// All of them, in the order in which the compiler runs them.
llvm::ArrayRef<CanonicalizePass> canonicalizePasses();

void registerCanonicalizePasses();

} // namespace qcc
