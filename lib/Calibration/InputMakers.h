// Linear operations whose rows can take what another's input is divided by.
#pragma once

#include "qcc/Calibration/Calibration.h"

namespace qcc {

/// The linear operation that makes a group's input, so that scaling its rows scales the input's columns exactly.
struct InputMaker {
  qnt::LinearOp op;
  /// The row that each column comes from. Columns of one row can have but one scale.
  std::vector<int64_t> rows;
};

/// Found by dataflow: across products with other values, ReLU, reshapes that keep channels together, and attention,
/// where queries that share a head share its values. Nothing where anybody else reads what stands between.
std::optional<InputMaker> makerOfInput(const LinearGroup &group);

} // namespace qcc
