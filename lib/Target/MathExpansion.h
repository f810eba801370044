// Functions of real numbers as arithmetic that vectorizes, where MLIR's own expansions are too far off.
#pragma once

#include "mlir/IR/PatternMatch.h"

namespace qcc {

/// Rewrites sin, cos, atan, log and pow of f32 (errors below two units in the last place), and expm1 and log1p of f64
/// by functions that libm has.
void populateMathExpansionPatterns(mlir::RewritePatternSet &patterns);

/// Rewrites the functions that GPUs have no code for: those of f64 (errors of a few units in the last place; sin, cos
/// and tan of arguments below 2^52), and of f32 those that the patterns above and MLIR's own leave.
void populateDeviceMathPatterns(mlir::RewritePatternSet &patterns);

} // namespace qcc
