// A program cut into pieces between its groups of linear operations.
#pragma once

#include "qcc/Calibration/Calibration.h"

namespace qcc {

/// Cuts `main`: piece 0 ends before the first group's first operation, piece k starts with group k - 1's. Operations
/// may be changed, added and removed within a piece until it is taken out.
class Segments {
public:
  Segments(mlir::ModuleOp module, llvm::ArrayRef<LinearGroup> groups);

  size_t size() const { return before.size(); }

  /// One piece as a program: its inputs are those of `main` and values of earlier pieces, its outputs what later pieces
  /// or groups read. Values are named by `valueName`.
  struct Piece {
    mlir::OwningOpRef<mlir::ModuleOp> module;
    llvm::SmallVector<mlir::Value> inputs, outputs; // values of `main`; inputs without its arguments
  };
  mlir::FailureOr<Piece> take(size_t index);

  /// Whether piece `index` or a later one reads the value.
  bool isNeeded(mlir::Value value, size_t index) const;

  /// A name that only this value has.
  std::string valueName(mlir::Value value);

private:
  llvm::SmallVector<mlir::Operation *> operationsOf(size_t index) const;
  size_t pieceOf(mlir::Operation *op) const;

  mlir::ModuleOp module;
  mlir::Block *block;
  mlir::Operation *start(size_t index) const;

  llvm::SmallVector<mlir::Operation *> before; // the last operation before each piece; null at the block's start
  llvm::DenseMap<mlir::Value, size_t> names;
};

} // namespace qcc
