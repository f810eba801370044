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
  mlir::Location actLoc;                             // where a compute type that cannot be is to be reported
  std::optional<double> harm = std::nullopt;         // of the format, where it was chosen among several
  std::optional<int64_t> nanoseconds = std::nullopt; // for a token, where formats were chosen by their times
  bool isTimeMeasured = false;                       // else estimated
};

/// The choices for all linear operations, in program order. A rule that matches none of them and no convolution is a
/// warning.
mlir::FailureOr<std::vector<LinearChoice>> applyRecipe(Compilation &compilation);

/// The format that KV caches are to be kept in, and who has said it; empty where nobody has.
mlir::FailureOr<std::pair<std::string, mlir::Location>> cacheFormat(Compilation &compilation);

struct ConvolutionChoice {
  onnx::NodeOp op;
  bool isInt8; // with static scales
  Method method;
};

/// What is to be calibrated: the linear operations with static scales and their compute types; all convolutions.
struct CalibrationChoices {
  std::vector<ConvolutionChoice> convolutions;
  std::vector<std::pair<qnt::LinearOp, std::string>> linears;
};
mlir::FailureOr<CalibrationChoices> chooseCalibration(Compilation &compilation);

/// Whether the options or a rule ask for static scales, or for a method of convolutions.
bool asksForCalibration(Compilation &compilation);

} // namespace qcc
