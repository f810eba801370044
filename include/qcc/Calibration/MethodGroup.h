// What the steps of a method work on: linear operations of one format that read the same input.
#pragma once

#include "qcc/Algorithm/BlockScales.h"
#include "qcc/Algorithm/Gptq.h"
#include "qcc/Algorithm/InputScales.h"
#include "qcc/Calibration/Calibration.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// What a method has made of a group: what its operations get in the program, and all that a cache has to keep.
struct GroupResult {
  /// What the input is multiplied by, by column; empty where a method has not scaled it.
  std::vector<float> inverseScales;
  struct Weight {
    /// Codes; nothing where the weight stays in float32.
    std::optional<EncodedMatrix> codes;
    /// Float32 rows in place of the weight's own; empty where it keeps them.
    std::vector<float> rows;
    double signalToNoise = 0; // dB; of codes
  };
  std::vector<Weight> weights; // by operation
};

/// The matrices of a group and what is known of its input. Statistics are computed when a step asks for them.
class MethodGroup {
public:
  MethodGroup(const Format &format, std::vector<std::vector<float>> matrices, int64_t columns, unsigned threads);

  /// To be rounded to another format: codes and scales of blocks are forgotten; what was observed, and how the input is
  /// scaled, stay.
  void startOver(const Format &format);

  const Format &format() const { return numbers; }
  int64_t columns() const { return width; }
  unsigned threads() const { return threadCount; }
  size_t size() const { return weights.size(); }
  MatrixView matrix(size_t index) const;
  std::vector<MatrixView> matrices() const;
  /// Whether the format rounds; float32 does not.
  bool rounds() const { return numbers.element->bits() < 32; }
  /// The matrix that a step has made codes for.
  const EncodedMatrix *codes(size_t index) const;

  /// What activations are rounded to, where they are; and SmoothQuant's α, where it is not to be searched for.
  void setActivations(std::optional<Format> rounded, std::optional<double> alpha) {
    activations = std::move(rounded), givenAlpha = alpha;
  }
  std::optional<double> alpha() const { return givenAlpha; }
  const std::optional<Format> &activationFormat() const { return activations; }

  /// Looks at activations. Refuses infinities and NaNs, and data without a token.
  llvm::Error observe(const Activations &activations, bool withCovariance);

  // Of the input, scaled as the weights are. They are there where the step's row says that it needs them.

  /// The mean of xᵀx over tokens, [columns][columns].
  const double *covariance() const { return covariances.data(); }
  /// The same, factorized in the order of its diagonal; made when it is first asked for.
  Result<const HessianFactor *> hessian();
  const std::vector<double> &meanAbsolute() const { return means; }
  const std::vector<float> &maxAbsolute() const { return most; }
  /// Some tokens, evenly spread; not scaled.
  MatrixView tokens() const { return MatrixView(someTokens, int64_t(someTokens.size()) / width, width); }

  /// By column: those with the same number have to get the same scale; empty where each may have its own.
  const std::vector<int64_t> &ties() const { return tied; }
  void setTies(std::vector<int64_t> ties) { tied = std::move(ties); }

  /// Scales that an earlier step has chosen for a matrix's blocks; null where none has.
  const BlockScales *blockScales(size_t index) const;
  void setBlockScales(size_t index, BlockScales scales);

  /// Multiplies the matrices by the scales, and divides what they read.
  void scaleInput(const std::vector<float> &scales);
  bool isScaled() const { return !result.inverseScales.empty(); }
  void setCodes(size_t index, EncodedMatrix codes);
  /// Float32 formats: the matrices stay as they are now.
  void keepRows();

  GroupResult take() { return std::move(result); }

private:
  Format numbers;
  int64_t width;
  unsigned threadCount;
  std::vector<std::vector<float>> weights;
  std::vector<std::optional<BlockScales>> scales;
  std::vector<double> covariances, means;
  std::optional<HessianFactor> factor; // of the covariance as it is scaled now
  std::vector<float> most, someTokens;
  std::optional<Format> activations;
  std::optional<double> givenAlpha;
  std::vector<int64_t> tied;
  GroupResult result;
};

} // namespace qcc
