// Code that was generated before, by the program that it was generated from.
#pragma once

#include "qcc/Tile/Lowering.h"
#include "llvm/ADT/StringMap.h"

namespace qcc {

/// What is generated from a tiled program for one target.
struct GeneratedCode {
  llvm::SmallVector<char, 0> object;     // the shared object
  llvm::SmallVector<char, 0> deviceCode; // PTX, where the target is a device
  std::string slots;                     // the arena's, as text of their attribute
};

/// Code of one process and, where there is a folder, of all that name it. A file there is named by its key and holds
/// its own hash: one that has been altered is passed over with a warning. Files appear when they are complete, so
/// processes may share the folder; the longest unused ones go when they take too much room together.
class CodeCache {
public:
  /// `folder` is made with the first file; empty: none.
  explicit CodeCache(std::string folder = "") : folder(std::move(folder)) {}

  /// A hash of all that code is made of: the tiled program, where names of nodes and places do not count, the target
  /// and the compiler itself.
  static std::string keyOf(mlir::ModuleOp tiled, const TargetFacts &target);

  const GeneratedCode *find(llvm::StringRef key, mlir::Location loc);
  void add(llvm::StringRef key, GeneratedCode code, mlir::Location loc);

private:
  std::string pathOf(llvm::StringRef key) const;

  std::string folder;
  llvm::StringMap<GeneratedCode> known;
};

/// Tells one compiler from another: the identities that linkers gave to this process's program and libraries.
std::string compilerIdentity();

} // namespace qcc
