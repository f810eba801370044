// How far a quantized program is from the float one, and conditions on that which a build must not meet.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Runs the program and the same model in float32 on `options.measuredSamples` of `options.calibration` and keeps their
/// divergence in `compilation.divergence`; the artifact's manifest tells of it. The last state must have been reached.
mlir::LogicalResult measureDivergence(Compilation &compilation);

/// A condition such as `kld>0.03`, over these figures: `kld`, `top1` and `outputs.NAME`, which need data; `sqnr`, the
/// lowest signal-to-noise ratio of a weight in dB, and `tensors.NAME`; `bits`, per weight of the linear operations;
/// `bytes`, of the artifact.
struct Gate {
  std::string text, figure;
  enum class Relation { Less, AtMost, Greater, AtLeast, Equal } relation;
  double bound;

  static llvm::Expected<Gate> parse(llvm::StringRef text);
  /// Whether the condition holds of `value`; a NaN meets every condition, so that nothing unmeasurable passes.
  bool holds(double value) const;
};

/// The first of the gates that a program meets, or nothing. Weights must have been packed. A figure that there is not
/// is an error.
llvm::Expected<std::optional<Gate>> firstGateMet(Compilation &compilation, llvm::ArrayRef<Gate> gates);

} // namespace qcc
