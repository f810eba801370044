// Contractions on a GPU.
#pragma once

#include "qcc/Tile/Contraction.h"

namespace qcc {

/// Emits and launches a contraction: a block of threads for each tile of sums.
void emitDeviceContraction(Lowering &lowering, llvm::StringRef name, const Contraction &contraction);

} // namespace qcc
