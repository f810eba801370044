// Float32 scales that reproduce themselves.
#pragma once

#include "qcc/Format/Format.h"
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

/// The same in primitives.
inline Primitives::Value stableQuotient(EncodePrimitives &p, Primitives::Value amax, float largest) {
  Primitives::Value whole = p.real(largest), least = p.real(std::numeric_limits<float>::min());
  auto reaches = [&](Primitives::Value scale) { return p.isFinite(p.multiply(scale, whole)); };
  Primitives::Value scale = p.larger(p.divide(amax, whole), least);
  for (int step = 0; step < 2; ++step) // the quotient is off by half a unit at most
    scale = p.select(reaches(scale), scale, p.asFloat(p.add(p.bits(scale), p.integer(-1))));
  for (int step = 0; step < 4; ++step) {
    Primitives::Value again = p.larger(p.divide(p.multiply(scale, whole), whole), least);
    scale = p.select(reaches(again), again, scale);
  }
  return p.select(p.isLessFloat(p.real(0), amax), scale, p.real(0));
}

} // namespace qcc
