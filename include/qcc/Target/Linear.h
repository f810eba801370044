// Linear operations on packed weights, for CPU targets.
#pragma once

#include "dialects/qnt/Qnt.h"
#include "qcc/Tile/Lowering.h"

namespace qcc {

/// Emits and launches the kernels of a linear operation whose weight has its place in the artifact: one for a single
/// token, one for a few, one for many; the program takes one of them when it runs.
mlir::LogicalResult lowerLinear(qnt::LinearOp op, Lowering &lowering);

/// Emits and launches the kernel that decodes the rows which a lookup asks for.
mlir::LogicalResult lowerLookup(qnt::LookupOp op, Lowering &lowering);

/// Whether a format's weights are multiplied with int8 activations under `act` (auto, f32 or int8); an error where that
/// cannot be.
llvm::Expected<bool> usesIntegers(const class Format &format, llvm::StringRef act);

/// The instruction that multiplies on a target, for plans and manifests.
llvm::StringRef multiplyInstruction(const TargetFacts &facts, llvm::StringRef act);

} // namespace qcc
