// Rotations by Hadamard matrices, which spread outliers over all channels.
#pragma once

#include "qcc/Algorithm/Result.h"
#include <cstdint>
#include <vector>

namespace qcc {

/// A Hadamard matrix: rows of ±1, of which any two are orthogonal. Row-major; made by R. Paley's constructions ("On
/// orthogonal matrices", 1933) for p + 1 (p a prime, 3 above a multiple of 4) and 2 (p + 1) (p a prime, 1 above one),
/// and itself for 1. Empty for other sizes.
std::vector<int8_t> hadamardMatrix(int64_t size);

/// An orthogonal matrix Q = D (H_1 ⊗ H_m) / sqrt(size), H_1 being Sylvester's of 2^k, H_m one of the above, D signs.
/// With W' = W Q and x' = Qᵀ x, W' x' = W x: a linear's weights and its input are rotated by the same call, since both
/// have the channels in their rows (arXiv 2404.00456, section 4).
class Rotation {
public:
  /// size = 2^k m. `seed`: 0 for no signs, otherwise those of a pseudorandom sequence. Refuses sizes that have no such
  /// m up to 256, and names the largest power of two that divides it, which `blocks` takes.
  static Result<Rotation> create(int64_t size, uint64_t seed = 0);
  /// Blocks of `block` channels, each rotated for itself.
  static Result<Rotation> blocks(int64_t size, int64_t block, uint64_t seed = 0);

  int64_t size() const { return channels; }
  /// Replaces each row v [size] of a row-major matrix by v Q, or by v Qᵀ. Takes size (k + m) additions for each row.
  void apply(float *matrix, int64_t rows, unsigned threads = 1) const;
  void applyTransposed(float *matrix, int64_t rows, unsigned threads = 1) const;

private:
  void multiplyOrder(float *v, bool transposed) const;

  int64_t channels = 0, block = 0, order = 1; // block = 2^k order
  std::vector<int8_t> matrix;                 // [order][order]
  std::vector<float> signs;                   // by channel; empty: none
};

} // namespace qcc
