// Ranges of activations, observed on data: what static scales are made of.
#pragma once

#include "qcc/Algorithm/Statistics.h"
#include "qcc/Calibration/Calibration.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// On an operation: the lowest and the highest value of each result, [0, 0] where nobody needs it. On an argument of
/// `main`: its own two.
inline constexpr llvm::StringLiteral rangesAttr = "qnt.ranges";

/// The range that a value carries; nothing where it was not observed. 0 lies in it.
std::optional<ValueRange> rangeOf(mlir::Value value);
void setRange(mlir::Value value, ValueRange range);

/// A way to choose the range of a value from what it was on the data.
struct RangeRule {
  llvm::StringRef name, sentence;
};
llvm::ArrayRef<RangeRule> allRangeRules();
/// Checks the name of one.
llvm::Error checkRangeRule(llvm::StringRef name);

/// A value of `main` whose range is wanted.
struct WantedRange {
  mlir::Value value;
  Format codes;               // what the value is rounded to, with one scale for all of it
  bool wantsChannels = false; // along axis 1
  bool wantsHeads = false;    // of (batch, heads, positions, size), the range of each element of each head
};

/// What was seen of one value.
struct ObservedRange {
  ValueRange range;
  // Of channels: the mean, and the largest magnitude.
  std::vector<double> means;
  std::vector<float> most;
  std::vector<ValueRange> heads;
};

/// Runs `main` on every sample with the wanted values as outputs. Data that hold infinities or NaNs, or that lead to
/// them, are an error.
mlir::FailureOr<std::vector<ObservedRange>> observeRanges(mlir::ModuleOp module, llvm::ArrayRef<WantedRange> wanted,
                                                          const Samples &samples, OpenModule open,
                                                          llvm::StringRef rule);

} // namespace qcc
