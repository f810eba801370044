// Float32 scales that reproduce themselves.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace qcc {

/// The float32 nearest to amax / (largest * factor) for which the largest value it expresses, (s * factor) * largest,
/// is finite and asks for s again: rounding a matrix a second time then changes nothing. It lies within two units in
/// the last place of the quotient, and is a normal number unless amax is 0, since kernels may take subnormal ones for
/// 0.
inline float stableQuotient(float amax, float largest, float factor = 1) {
  if (amax == 0)
    return 0;
  float whole = largest * factor;
  float scale = std::max(amax / whole, std::numeric_limits<float>::min());
  while (!std::isfinite((scale * factor) * largest))
    scale = std::nextafter(scale, 0.0f);
  for (int step = 0; step < 4; ++step) {
    float again = std::max(((scale * factor) * largest) / whole, std::numeric_limits<float>::min());
    if (again == scale || !std::isfinite((again * factor) * largest))
      break;
    scale = again;
  }
  return scale;
}

} // namespace qcc
