// What each linear operation is to get: the options' defaults, and a recipe's rules over them.
#pragma once

#include "DescribeLinears.h"
#include "qcc/Calibration/Methods.h"
#include "qcc/Format/Format.h"
#include "qcc/Pipeline/Compilation.h"

namespace qcc {

struct LinearChoice {
  qnt::LinearOp op;
  std::vector<Format> formats; // one, or those to choose from, which `allocateFormats` does
  std::string act;
  Method method;
  mlir::Location actLoc; // where a compute type that cannot be is to be reported
};

/// The choices for all linear operations, in program order. A rule that matches none of them is a warning.
mlir::FailureOr<std::vector<LinearChoice>> applyRecipe(Compilation &compilation);

} // namespace qcc
