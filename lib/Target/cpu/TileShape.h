// Register tiles of matrix products.
#pragma once

#include "Simd.h"

namespace qcc {

/// Rows × registers of a tile.
struct TileShape {
  int64_t rows, vectors;
  /// The shape that computes the fewest sums in vain, of those whose sums, one row of the right operand and a broadcast
  /// fit into the registers.
  static TileShape choose(Simd::Isa isa, int lanes, Dim rows, Dim columns);
};

} // namespace qcc
