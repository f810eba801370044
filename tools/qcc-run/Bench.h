#ifndef QCC_TOOLS_QCCRUN_BENCH_H
#define QCC_TOOLS_QCCRUN_BENCH_H

#include "qcc/Program/Program.h"

#include <cstdint>
#include <vector>

namespace qcc {

struct BenchOptions {
  int64_t runs = 0; // 0: 20, or 3 of a decoder's
  // For a decoder: tokens of the prompt, then tokens one by one. Both 0: one run of the model as it is.
  int64_t prefill = 0, decode = 0;
  bool json = false;
};

// Measures runs after a warm-up that is not counted. Without `inputs`, makes them: dimensions known at run time only
// are 1, numbers are drawn from [-1, 1), integers are 0. Returns the exit status.
int bench(Program &program, const std::vector<NpzArray> &inputs, const BenchOptions &options);

} // namespace qcc

#endif // QCC_TOOLS_QCCRUN_BENCH_H
