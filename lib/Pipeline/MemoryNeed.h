// What a run of a program takes: the arena of intermediate values, states, inputs and outputs.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Bytes at the lengths given; -1 where a length is only known while the program runs.
struct MemoryNeed {
  int64_t arena = 0, states = 0, inputs = 0, outputs = 0;
  /// The lengths that were assumed: those of `options.lengths`, 1 for every other.
  std::map<std::string, int64_t> lengths;
};

/// The need of a lowered target's code. A name in `options.lengths` that no dimension has is an error.
mlir::FailureOr<MemoryNeed> memoryNeed(const Compilation &compilation, const TargetCode &code);

} // namespace qcc
