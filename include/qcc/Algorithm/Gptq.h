// GPTQ: rounds the columns of a matrix one after another and lets the later ones make up for the earlier ones' errors.
#pragma once

#include "qcc/Algorithm/BlockScales.h"
#include <memory>

namespace qcc {

/// What the Hessian's factorization is made with.
struct HessianOptions {
  /// Added to the diagonal, in means of the diagonal (GPTQ, arXiv 2210.17323, section 3.3, step 3).
  double damping = 0.01;
  /// How often damping is raised tenfold where the factorization fails.
  int retries = 3;
  /// Columns are processed in the order of descending diagonal ("act-order"). Blocks and their scales stay where they
  /// are and are chosen before the first column is rounded ("static").
  bool activationOrder = false;
  /// Float32 products where true, float64 where false; unset: float64 up to 2048 columns. The factorization itself and
  /// all sums of errors are float64 always.
  std::optional<bool> singlePrecision;
  unsigned threads = 1;
};

/// A covariance that is ready for GPTQ: one for all linears that share an input. Immutable.
class HessianFactor {
public:
  /// `covariance`: [columns][columns], symmetric: XᵀX over tokens, times any positive constant. Refuses one that is
  /// zero, holds infinities or NaNs, or is not positive definite with the last damping.
  static Result<HessianFactor> create(const double *covariance, int64_t columns, const HessianOptions &options);

  int64_t columns() const { return int64_t(order.size()); }
  /// The damping it took, in means of the diagonal.
  double usedDamping() const { return damping; }

private:
  friend class GptqSolver;
  template <typename Number> friend class GptqChunk;
  bool build(const double *covariance, double damping, unsigned threads);
  void normalize(bool single);

  double damping = 0, added = 0;
  bool isOrdered = false;
  std::vector<int64_t> order;   // the column that is processed as the i-th
  std::vector<double> diagonal; // of the covariance, by column
  std::vector<char> isDead;     // by column: no token ever reached it
  std::vector<double> pivots;   // by place; see the source
  std::vector<double> wide;     // [place][place] factor, or empty
  std::vector<float> narrow;    // the same in float32, or empty
};

/// Columns by descending diagonal, equal ones in their own order. For folding the permutation into the producer of the
/// input: weights and covariance are then permuted, and processed in natural order.
std::vector<int64_t> activationOrder(const double *covariance, int64_t columns);
/// Column i of the result is column order[i]; of a covariance, row and column.
std::vector<float> permuteColumns(MatrixView matrix, const std::vector<int64_t> &order);
std::vector<double> permuteCovariance(const double *covariance, const std::vector<int64_t> &order);

struct GptqOptions {
  /// Scales that are chosen already, as by searchScalesByCovariance; they are kept, and `clip` says nothing then.
  const BlockScales *scales = nullptr;
  /// Scales by this search instead of from the block's range; the error of each column is weighted with the
  /// covariance's diagonal where `weighClip` is set.
  std::optional<ScaleSearch> clip;
  bool weighClip = false;
  /// Columns whose effect on later ones is applied at once; does not change results beyond rounding of floats.
  int64_t lazyColumns = 128;
  unsigned threads = 1;
};

struct GptqResult {
  EncodedMatrix encoded;
  /// tr((W - Q) H (W - Q)ᵀ), H being the covariance that the factor was made of, without damping.
  double objective = 0;
};

/// Quantizes weights [rows][columns] into a format. Without activation order the scale of a block is chosen when its
/// first column is reached, from the weights as adjusted until then; with it, from the original weights. Columns that
/// no token reached are rounded to nearest. Refuses weights that are not finite, a factor of another size and float32,
/// which needs no rounding.
Result<GptqResult> gptq(const Format &format, MatrixView weights, const HessianFactor &factor,
                        const GptqOptions &options);

} // namespace qcc
