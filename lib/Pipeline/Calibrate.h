// canonical -> calibrated -> quantized: activations with static scales.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Where operations are to be multiplied with static scales, the program is run on data, and what they read carries the
/// range that it had. Convolutions carry what was chosen for them.
mlir::LogicalResult calibrate(Compilation &compilation);

/// Makes products of bytes of the convolutions of codes, where every target multiplies them so.
void raiseCodes(Compilation &compilation);

/// Makes scales of ranges: of the linear operations that have a static compute type, and of the convolutions.
mlir::LogicalResult applyStaticScales(Compilation &compilation);

/// Gives the KV caches that the session keeps the formats that the options say, and prepares keys for them: by their
/// channels' ranges on data, or where there are none and codes have less than 8 bits, by a rotation.
mlir::LogicalResult storeCaches(Compilation &compilation);

} // namespace qcc
