// Attention on a GPU.
#pragma once

#include "qcc/Tile/Attention.h"

namespace qcc {

/// Emits and launches the kernels of an attention in float32 whose heads have known sizes of at most 256; false, with
/// nothing emitted, for others. A block of threads has a tile of queries; where these are few, keys are split among
/// blocks and a second kernel combines their parts.
bool emitDeviceAttention(Lowering &lowering, const StreamedAttention &attention);

} // namespace qcc
