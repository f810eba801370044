// Which tensor gets which format, under a budget.
#pragma once

#include "qcc/Algorithm/Result.h"
#include <cstdint>
#include <vector>

namespace qcc {

/// What a tensor may be stored as.
struct AllocationChoice {
  int64_t bytes = 0; // or any other cost, such as time
  double loss = 0;   // its measured harm to the outputs; losses of tensors add up
};

struct Allocation {
  /// The choice of each tensor, by index.
  std::vector<int> choices;
  int64_t bytes = 0;
  double loss = 0;
  /// No allocation within the budget has a smaller loss than this; equal to `loss` where the answer is exact.
  double lowerBound = 0;
};

struct AllocationOptions {
  /// Partial answers that are kept at once. Where more would be needed, some are left out and `lowerBound` says how far
  /// from the best the answer may be.
  int64_t states = 20000;
};

/// Picks one choice per tensor so that the bytes' sum is within `budget` and the losses' sum least: the multiple-choice
/// knapsack problem, by dynamic programming over undominated partial sums, bounded by its linear relaxation (Kellerer,
/// Pferschy and Pisinger, "Knapsack Problems", 2004, chapter 11). Refuses a budget that the smallest choices exceed,
/// tensors without choices, negative bytes and losses that are not finite.
Result<Allocation> allocate(const std::vector<std::vector<AllocationChoice>> &tensors, int64_t budget,
                            const AllocationOptions &options = {});

} // namespace qcc
