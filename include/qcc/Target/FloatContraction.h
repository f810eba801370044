// The contraction of a CPU target in float32.
#pragma once

#include "qcc/Tile/Contraction.h"

namespace qcc {

/// Emits and launches a contraction whose accumulator is float32: tiles that fill the target's registers, over panels
/// of the right operand that are copied to thread storage.
void emitFloatContraction(Lowering &lowering, llvm::StringRef name, const Contraction &contraction);

} // namespace qcc
