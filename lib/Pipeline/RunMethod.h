// canonical -> quantized: the methods that choose the numbers of weights, run on data.
#pragma once

#include "qcc/Calibration/Methods.h"
#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Quantizes the weights that have a format by the methods of their linear operations. Programs for a part of the model
/// are compiled and run on the way. Rounding to nearest is left to packing.
mlir::LogicalResult runMethods(Compilation &compilation);

/// The same for a copy of the program; how well each weight was quantized.
mlir::FailureOr<std::vector<WeightQuality>> runMethodsOn(Compilation &compilation, mlir::ModuleOp module);

/// The cache that the options name; none where they name none.
mlir::LogicalResult openCache(Compilation &compilation, std::optional<GroupCache> &cache);

} // namespace qcc
