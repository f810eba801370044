// A spatial axis of a window over planes on a CPU target, all of whose lengths are known.
#pragma once

#include <cstdint>

namespace qcc {

/// Output position o reads the input positions o * stride + k * dilation - before, 0 <= k < kernel.
struct KnownAxis {
  int64_t input = 1, kernel = 1, output = 1, stride = 1, dilation = 1, before = 0;
};

} // namespace qcc
