// Machine code from a lowered module: LLVM IR, object, shared object.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// Makes LLVM's targets and MLIR's translations known; once per process and context.
void initializeCodegen(mlir::MLIRContext &context);

/// What a target name stands for; an unknown name is an error that names the nearest known one.
llvm::Expected<TargetFacts> findTarget(llvm::StringRef name);

/// The name, CPU features and a sentence of every target.
struct TargetRow {
  llvm::StringRef name, sentence;
};
llvm::ArrayRef<TargetRow> allTargets();

enum class CodeKind { LlvmIr, Assembly, Object, SharedObject };

/// Lowers kernels and program (arith, math, scf, vector and llvm) to the llvm dialect, in place.
mlir::LogicalResult lowerToLlvmDialect(mlir::ModuleOp module, const TargetFacts &target);

/// Translates a module of the llvm dialect for the target. `out` receives text or bytes.
llvm::Error generateCode(mlir::ModuleOp module, const TargetFacts &target, CodeKind kind,
                         llvm::SmallVectorImpl<char> &out);

/// The kernels of a device program, whose module is nested in that of the host: PTX, or LLVM IR.
llvm::Error generateDeviceCode(mlir::ModuleOp device, const DeviceFacts &facts, CodeKind kind,
                               llvm::SmallVectorImpl<char> &out);
/// The module of the kernels; null where there is none.
mlir::ModuleOp deviceModule(mlir::ModuleOp host);

/// The targets that a target's name asks for: `sm_90` is code for Hopper alone, and code that newer ones run too.
std::vector<std::string> expandTarget(llvm::StringRef name);

} // namespace qcc
