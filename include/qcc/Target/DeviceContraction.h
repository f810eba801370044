// Contractions on a GPU.
#pragma once

#include "qcc/Tile/Contraction.h"

namespace qcc {

/// Emits and launches a contraction: a thread for each sum.
void emitDeviceContraction(Lowering &lowering, llvm::StringRef name, const Contraction &contraction);

} // namespace qcc
