// canonical -> quantized: every linear weight in its format, with a compute type.
#pragma once

#include "qcc/Format/Format.h"
#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Chooses a format and a compute type for every linear operation and rounds its weight. The signal-to-noise ratio of
/// each goes into `compilation.quality`.
mlir::LogicalResult quantizeWeights(Compilation &compilation);

/// The encoded matrix that a weight in the order "encoded" holds.
EncodedMatrix encodedMatrix(const Format &format, int64_t rows, int64_t columns, llvm::ArrayRef<char> bytes);

} // namespace qcc
