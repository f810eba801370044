// canonical -> quantized: every linear weight in its format, with a compute type.
#pragma once

#include "dialects/qnt/Qnt.h"
#include "qcc/Format/Format.h"
#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Chooses a format, a compute type and a method for every linear operation. Weights keep their float32 elements: they
/// are rounded, to nearest, one by one when they are packed, so that no more than one of them is in memory.
mlir::LogicalResult chooseFormats(Compilation &compilation);

/// Whether the program is for GPUs alone.
bool isForGpus(const Compilation &compilation);

/// Gives one linear operation its first format, its compute type and its method.
mlir::LogicalResult setChoice(Compilation &compilation, const struct LinearChoice &choice);

/// A weight's codes, scales and zeros: what an algorithm has put there, or its elements rounded. The signal-to-noise
/// ratio of rounding goes into `compilation.quality`.
llvm::Expected<EncodedMatrix> encodeWeight(Compilation &compilation, qnt::WeightOp weight, const Format &format);

/// What a weight decodes to in the format, as rows of outputs.
llvm::Expected<std::vector<float>> decodeWeight(Compilation &compilation, qnt::WeightOp weight, const Format &format);

} // namespace qcc
