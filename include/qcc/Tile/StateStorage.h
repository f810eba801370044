// How a session stores a state of the program: as the program's own numbers, in a narrower type, or in a format.
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Format/RowLayout.h"
#include <memory>

namespace qcc {

/// Of the state that an argument of `main` is.
struct StateStorage {
  mlir::Type element; // of what is stored
  std::shared_ptr<const RowLayout>
      layout;         // of rows along the last axis, which are bytes then; null where there is none
  std::string format; // its name; empty where the state is stored as the program has it
};

mlir::FailureOr<StateStorage> stateStorage(mlir::func::FuncOp main, unsigned argument);

/// Has the session keep KV caches in formats: "int8-g32", or two, of keys and of values: "int8-g32,int4-g32-asym".
/// int8, int4 and fp8 alone stand for the blocks that suit a cache. Fails where the program has no such cache.
mlir::LogicalResult storeCaches(mlir::ModuleOp module, llvm::StringRef formats, mlir::Location loc);

} // namespace qcc
