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

/// The choices for all linear operations, in program order. A rule that matches none of them and no convolution is a
/// warning.
mlir::FailureOr<std::vector<LinearChoice>> applyRecipe(Compilation &compilation);

/// A convolution that was chosen for a compute type other than float32.
struct ConvolutionChoice {
  onnx::NodeOp op;
  std::string act;
  Method method;
};

/// What is to be calibrated: convolutions, and whether a linear operation has static scales.
struct StaticChoices {
  std::vector<ConvolutionChoice> convolutions;
  std::vector<qnt::LinearOp> linears;
};
mlir::FailureOr<StaticChoices> chooseStatic(Compilation &compilation);

/// Whether the options or a rule ask for static scales at all.
bool asksForStatic(Compilation &compilation);

} // namespace qcc
