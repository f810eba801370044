// What rounding some weights does to the program's outputs.
#pragma once

#include "../ApplyRecipe.h"
#include "../HostedProgram.h"

namespace qcc {

/// Runs the float program and changed ones on samples and compares their outputs.
class OutputComparison {
public:
  explicit OutputComparison(Compilation &compilation) : c(compilation), cache(compilation.options.codeCache) {}

  /// Rows of outputs, such as tokens of logits, that do where harms are compared with one another.
  static constexpr int64_t comparedRows = 512;

  /// Runs the program as it is now: what others are compared with, on at most these samples; at least on as many as
  /// have `comparedRows`.
  mlir::LogicalResult start(size_t samples);
  /// The harm of a changed copy of the program: the mean KL divergence of its logits; where there are none, the sum of
  /// its outputs' squared relative errors.
  mlir::FailureOr<double> harm(mlir::OwningOpRef<mlir::ModuleOp> changed, size_t samples);
  /// The harm of the program with some weights replaced, of linear operations by their numbers in program order, on
  /// `comparedRows`.
  mlir::FailureOr<double> harmOf(llvm::ArrayRef<std::pair<size_t, std::vector<float>>> weights);
  /// The first samples, of which the outputs have so many rows together.
  Samples samplesOf(int64_t rows) const;
  CodeCache &codeCache() { return cache; }

private:
  using Outputs = std::vector<std::vector<NpzArray>>; // by sample
  mlir::FailureOr<Outputs> run(Program &program, size_t samples);
  mlir::FailureOr<double> compare(const Outputs &outputs);

  Compilation &c;
  int64_t rowsOfSample = 1;
  CodeCache cache; // a program of other weights is the same code
  Samples data;
  Outputs expected;
  std::unique_ptr<ChangeableProgram> changeable; // the float program
};

/// Operations that get one format, out of several, by their indices.
using ChoiceUnit = std::vector<size_t>;
/// Those whose input a method scales together, so that the scale can become part of what makes it, are one unit.
std::vector<ChoiceUnit> unitsOf(llvm::ArrayRef<LinearChoice> choices);

/// For each unit, the estimated harm of each format. The error of an operation's own output is that of its method, by
/// the covariance of its input. How much of it the program's outputs feel is measured, with the unit's weights rounded
/// to nearest in a format of middling size and everything else in float32.
mlir::FailureOr<std::vector<std::vector<double>>> measureSensitivity(Compilation &c, OutputComparison &comparison,
                                                                     llvm::ArrayRef<LinearChoice> choices,
                                                                     llvm::ArrayRef<ChoiceUnit> units);

/// Bytes of the operation's weight in a format, in the artifact.
int64_t bytesOf(const LinearChoice &choice, const Format &format);

} // namespace qcc
