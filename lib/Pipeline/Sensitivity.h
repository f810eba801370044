// What rounding one weight does to the program's outputs.
#pragma once

#include "ApplyRecipe.h"
#include "HostedProgram.h"

namespace qcc {

/// Runs the float program and changed ones on samples and compares their outputs.
class OutputComparison {
public:
  explicit OutputComparison(Compilation &compilation) : c(compilation), cache(compilation.options.codeCache) {}

  /// Samples that do where harms are compared with one another.
  static constexpr size_t comparedSamples = 2;

  /// Runs the program as it is now: what others are compared with, on at most these samples.
  mlir::LogicalResult start(size_t samples);
  /// The harm of a changed copy of the program: the mean KL divergence of its logits; where there are none, the sum of
  /// its outputs' squared relative errors.
  mlir::FailureOr<double> harm(mlir::OwningOpRef<mlir::ModuleOp> changed, size_t samples = comparedSamples);
  /// The harm of the program with one weight replaced, of a linear operation by its number in program order.
  mlir::FailureOr<double> harmOf(size_t linear, llvm::ArrayRef<float> rows);
  const Samples &samples() const { return data; }
  CodeCache &codeCache() { return cache; }

private:
  using Outputs = std::vector<std::vector<NpzArray>>; // by sample
  mlir::FailureOr<Outputs> run(Program &program, size_t samples);
  mlir::FailureOr<double> compare(const Outputs &outputs);

  Compilation &c;
  CodeCache cache; // a program of other weights is the same code
  Samples data;
  Outputs expected;
  std::unique_ptr<ChangeableProgram> changeable; // the float program
};

/// For each choice that has several formats, the estimated harm of each; empty for others. The error of the operation's
/// own output comes from the covariance of its input; how much of that the program's outputs feel is measured, with
/// the weight rounded to the smallest format and everything else in float32.
mlir::FailureOr<std::vector<std::vector<double>>> measureSensitivity(Compilation &c, OutputComparison &comparison,
                                                                     llvm::ArrayRef<LinearChoice> choices);

/// Bytes of the operation's weight in a format, in the artifact.
int64_t bytesOf(const LinearChoice &choice, const Format &format);

} // namespace qcc
