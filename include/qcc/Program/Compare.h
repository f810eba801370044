// Comparison of a run with expected outputs.
#ifndef QCC_PROGRAM_COMPARE_H
#define QCC_PROGRAM_COMPARE_H

#include "qcc/Npz/Npz.h"

#include <string>

namespace qcc {

struct Comparison {
  bool same = false;
  // ‖a−b‖/‖b‖ over all elements, in double; for integers and bool the share of elements that differ.
  double error = 0;
  std::string reason; // why not `same`, when it is not the error's size
};

// Floating-point outputs may differ by a relative error up to `tolerance` and must have NaN and infinities at the same
// places; integer and bool outputs must be equal. An output of type bf16 may be expected as u16, one of float8 as u8.
Comparison compare(const NpzArray &actual, const NpzArray &expected, double tolerance);

} // namespace qcc

#endif // QCC_PROGRAM_COMPARE_H
