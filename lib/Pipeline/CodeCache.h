// Code that was generated before, by the program that it was generated from.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

namespace qcc {

/// Of one process: shared objects by a hash of the tiled program, whose names of nodes and places do not count.
class CodeCache {
public:
  static std::string keyOf(mlir::ModuleOp tiled);
  const llvm::SmallVector<char, 0> *find(llvm::StringRef key) const {
    auto it = objects.find(key);
    return it == objects.end() ? nullptr : &it->second;
  }
  void add(llvm::StringRef key, llvm::SmallVector<char, 0> object) { objects[key] = std::move(object); }

private:
  llvm::StringMap<llvm::SmallVector<char, 0>> objects;
};

} // namespace qcc
