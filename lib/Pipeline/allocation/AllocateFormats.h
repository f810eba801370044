// A format for each linear operation, out of several, under a budget.
#pragma once

#include "../ApplyRecipe.h"

namespace qcc {

/// Leaves every choice one format: those with the least harm within `options.budget`, or the smallest whose harm is
/// within `options.mostDivergence`. Operations that share a scaled input share a format. Runs the program on the
/// calibration data.
mlir::LogicalResult allocateFormats(Compilation &compilation, std::vector<LinearChoice> &choices);

} // namespace qcc
