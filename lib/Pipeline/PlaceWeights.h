// canonical -> packed: each weight's place in the artifact.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Gives every weight that the program reads an `offset` into the artifact's weights.
mlir::LogicalResult placeWeights(Compilation &compilation);

/// Hands out a weight's bytes as they stand in the artifact, a piece at a time; ends when `write` returns false.
llvm::Error packWeight(Compilation &compilation, mlir::Value weight,
                       llvm::function_ref<bool(const void *, size_t)> write);

} // namespace qcc
