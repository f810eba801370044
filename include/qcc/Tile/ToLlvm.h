// From a tile program to LLVM: memory plan, barriers, and the functions a code object exports.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// What the code object's `plan` binds and checks: the dimensions of each program input, in the manifest's order.
struct ProgramSignature {
  llvm::SmallVector<llvm::SmallVector<Dim>> inputs;
  unsigned outputs = 0;
  /// Of each state: the symbols of its length before and after the run, and of its capacity.
  struct State {
    Dim length, lengthAfter, capacity;
  };
  llvm::SmallVector<State> states;
};

/// Gives every buffer whose size is known when a run starts a slot of the arena: buffers whose lives do not overlap may
/// share one. Returns each slot's sizes, of which the largest counts.
llvm::SmallVector<llvm::SmallVector<Dim>> planMemory(mlir::func::FuncOp run);

/// The pointers that a use of a pointer hands it on to.
llvm::SmallVector<mlir::Value> reachedThrough(mlir::Operation *user);
/// Whether an operation stands in a loop of the host.
bool isRepeated(mlir::Operation *op);
/// Whether a buffer of a loop may be used by another iteration than the one that makes it.
bool outlivesIteration(tile::BufferOp buffer);

/// Of a converted module: for each slot an affine map to its sizes in bytes.
inline constexpr llvm::StringLiteral slotsAttr = "tile.slots";

/// Marks a module whose kernels are for a device; the host's functions stay in it, the kernels move to a nested module.
inline constexpr llvm::StringLiteral deviceAttr = "tile.device";
inline constexpr llvm::StringLiteral deviceModuleName = "device";

/// Replaces the function `run` of tile operations by the exported program: `plan`, the SPMD `run` and the descriptor
/// `qcc_program_v1`. Fails when an input symbol is bound by no input.
mlir::LogicalResult convertProgram(mlir::ModuleOp module, const Dimensions &dims, const ProgramSignature &signature);

} // namespace qcc
