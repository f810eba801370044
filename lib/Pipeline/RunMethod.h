// canonical -> quantized: the methods that choose the numbers of weights, run on data.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Quantizes the weights that have a format by the methods of their linear operations. Programs for a part of the model
/// are compiled and run on the way. Rounding to nearest is left to packing.
mlir::LogicalResult runMethods(Compilation &compilation);

} // namespace qcc
