// Linear operations on packed weights, for CPU targets.
#pragma once

#include "dialects/qnt/Qnt.h"
#include "qcc/Format/Format.h"
#include "qcc/Tile/Lowering.h"

namespace qcc {

/// Emits and launches the kernels of a linear operation whose weight has its place in the artifact: one for a single
/// token, one for a few, one for many; the program takes one of them when it runs.
mlir::LogicalResult lowerLinear(qnt::LinearOp op, Lowering &lowering);

/// Emits and launches the kernel that decodes the rows which a lookup asks for.
mlir::LogicalResult lowerLookup(qnt::LookupOp op, Lowering &lowering);

/// What activations are rounded to, and multiplied in, for a format's weights under `act`: f32, bf16, fp8, int8,
/// int8-static, fp8-static, or numbers in the blocks of nvfp4, mxfp8 or mxfp4; an error where that cannot be. `auto`
/// takes int8 where codes are small integers; where the program is for GPUs alone, else fp8 where they are such
/// numbers, and bf16; otherwise f32.
llvm::Expected<llvm::StringRef> chooseComputeType(const Format &format, llvm::StringRef act, bool onGpus);

/// What a compute type rounds activations to, beside weights of a format; nothing where it does not round them.
std::optional<Format> activationFormat(llvm::StringRef act, const Format &weights, int64_t outputs, int64_t inputs);

/// The instruction that multiplies on a target, for plans and manifests.
/// `layout` is the weight's, where there is one.
llvm::StringRef multiplyInstruction(const TargetFacts &facts, llvm::StringRef act,
                                    const struct PackedLayout *layout = nullptr);

/// Whether the target multiplies the compute type itself; otherwise it does so in float32.
bool isNative(const TargetFacts &facts, llvm::StringRef act, const PackedLayout &layout);

} // namespace qcc
