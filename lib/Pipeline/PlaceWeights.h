// canonical -> packed: each weight's place in the artifact.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Gives every weight that the program reads an `offset` into the artifact's weights.
mlir::LogicalResult placeWeights(Compilation &compilation);

} // namespace qcc
