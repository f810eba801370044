// The function that runs a program: what programs for threads and for devices have in common.
#pragma once

#include "HostFunction.h"

namespace qcc {

/// Operations of the tile dialect become loads from the frame and calls of its functions.
class RunFunction : protected HostFunction {
public:
  RunFunction(mlir::ModuleOp module, const TableLayout &table)
      : HostFunction(module.getLoc()), module(module), table(table) {}
  virtual ~RunFunction() = default;
  /// Moves the body of `source` to a new function `run_program`.
  void write(mlir::func::FuncOp source);

protected:
  /// At the start of the function.
  virtual void prologue(mlir::func::FuncOp source) = 0;
  // Where the operation stands, in its place.
  virtual void launch(tile::LaunchOp op) = 0;
  virtual mlir::Value read(tile::ReadOp op) = 0;
  virtual mlir::Value error() = 0;
  virtual mlir::Value scratch(tile::ThreadScratchOp op) = 0;
  virtual void require(tile::RequireOp op) = 0;
  virtual void makeOutput(tile::OutputOp op) = 0;
  /// Storage that lives until the run ends.
  virtual mlir::Value allocate(mlir::Value bytes) = 0;

  /// A pointer of the frame.
  mlir::Value field(size_t offset) { return load(ptr, at(frame, int64_t(offset))); }
  /// Has the runtime make an output.
  void callOutput(tile::OutputOp op);
  /// The integer at an address of the host, of a tensor's element type, as an i64.
  mlir::Value loadInteger(mlir::Value address, mlir::Type element);

  mlir::ModuleOp module;
  const TableLayout &table;
  mlir::Value frame, thread;

private:
  mlir::Value convert(mlir::Operation *op);
  mlir::Value reuse(mlir::Value bytes);

  mlir::Operation *prologueEnd = nullptr;
  mlir::Value dimsArray;
};

} // namespace qcc
