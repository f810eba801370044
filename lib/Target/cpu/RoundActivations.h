// Activations of compute types that a CPU multiplies in float32.
#pragma once

#include "dialects/qnt/Qnt.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Tile/Lowering.h"

namespace qcc {

/// The operation's input rounded to its compute type, bf16 or fp8, as float32: what a GPU multiplies. Null for compute
/// types that need none.
mlir::Value roundActivations(Lowering &lowering, qnt::LinearOp op, const PackedLayout &layout, Dim tokens);

} // namespace qcc
