#include "TileShape.h"

using namespace mlir;
using namespace qcc;

/// Tiles whose sums, one row of the right operand and a broadcast fit into the registers; the best one first.
static ArrayRef<TileShape> shapesOf(Simd::Isa isa) {
  static const TileShape wide[] = {{8, 3}, {12, 2}, {6, 4}, {4, 6}, {24, 1}, {3, 6}, {2, 6}, {1, 6}, {8, 2}, {16, 1}};
  static const TileShape narrow[] = {{6, 2}, {4, 3}, {12, 1}, {3, 4}, {2, 4}, {1, 4}};
  static const TileShape plain[] = {{4, 2}, {3, 2}, {8, 1}, {2, 4}, {1, 4}}; // a product needs a register of its own
  switch (isa) {
  case Simd::Isa::Avx512:
  case Simd::Isa::Neon:
    return wide;
  case Simd::Isa::Avx2:
    return narrow;
  case Simd::Isa::Sse:
    return plain;
  }
  return plain;
}

static int64_t roundUp(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

TileShape TileShape::choose(Simd::Isa isa, int lanes, Dim rows, Dim columns) {
  auto knownRows = constantOf(rows), knownColumns = constantOf(columns);
  TileShape best = shapesOf(isa).front();
  double least = -1;
  for (const TileShape &shape : shapesOf(isa)) {
    int64_t width = shape.vectors * lanes;
    double across =
        knownColumns ? double(roundUp(*knownColumns, width)) / double(std::max<int64_t>(*knownColumns, 1)) : 1;
    double down = 1;
    if (knownRows) // rows that are left over are computed with fewer sums side by side
      down = 1 + 0.5 * double(*knownRows % shape.rows) / double(std::max<int64_t>(*knownRows, 1));
    bool isTooHigh = knownRows && shape.rows > std::max<int64_t>(*knownRows, 1);
    double cost = across * down * (isTooHigh ? 2 : 1) *
                  (24.0 / double(std::min<int64_t>(24, shape.rows * shape.vectors)) * 0.1 + 0.9);
    if (least < 0 || cost < least * 0.97)
      best = shape, least = cost;
  }
  return best;
}
