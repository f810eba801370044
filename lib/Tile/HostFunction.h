// Writing the host functions of a code object in the llvm dialect.
#pragma once

#include "qcc/Tile/ToLlvm.h"

namespace qcc {

static constexpr int64_t slotAlignment = 64; // of parts of the arena, in bytes

/// Where a program keeps things in its table: arena bytes, state lengths, symbols, slot offsets.
struct TableLayout {
  int64_t states, symbols, slots, length;
  TableLayout(size_t stateCount, size_t symbolCount, size_t slotCount)
      : states(1), symbols(states + stateCount), slots(symbols + symbolCount), length(slots + slotCount) {}
};

/// Building LLVM-dialect code in few words.
struct HostFunction {
  mlir::ImplicitLocOpBuilder b;
  mlir::Type i64, f64, ptr;

  explicit HostFunction(mlir::Location loc);
  mlir::Value c(int64_t value);
  /// An address some bytes behind `base`.
  mlir::Value at(mlir::Value base, int64_t bytes);
  mlir::Value at(mlir::Value base, mlir::Value bytes);
  mlir::Value load(mlir::Type type, mlir::Value address);
  void store(mlir::Value value, mlir::Value address);
  mlir::Value is(mlir::arith::CmpIPredicate predicate, mlir::Value x, mlir::Value y);
  mlir::Value pick(mlir::Value condition, mlir::Value x, mlir::Value y);
  void when(mlir::Value condition, llvm::function_ref<void()> body);
  /// Begins a function of the module.
  mlir::LLVM::LLVMFuncOp begin(mlir::ModuleOp module, llvm::StringRef name, mlir::Type result,
                               llvm::ArrayRef<mlir::Type> arguments);
  /// Calls the function that the frame holds at offset `field`; null where it gives nothing.
  mlir::Value callThrough(mlir::Value frame, size_t field, mlir::Type result, llvm::ArrayRef<mlir::Value> arguments);
};

/// Writes the function `plan`: symbols of dimensions from the inputs' sizes, checks, offsets of the arena's slots.
mlir::LogicalResult writePlan(mlir::ModuleOp module, const Dimensions &dims, const ProgramSignature &signature,
                              const TableLayout &table, llvm::ArrayRef<llvm::SmallVector<Dim>> slots);

/// Turns the function `run` of tile operations into `run_program`, which every thread of a run executes.
void writeThreadedRun(mlir::ModuleOp module, const TableLayout &table, mlir::func::FuncOp source);
/// The same for one thread that starts kernels on a device. They become the entries of the nested module `device`;
/// the symbol `qcc_device_v1` tells of them.
void writeDeviceRun(mlir::ModuleOp module, const TableLayout &table, mlir::func::FuncOp source);

} // namespace qcc
