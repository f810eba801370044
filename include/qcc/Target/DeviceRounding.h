// Rows that kernels on a GPU round for linear operations.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// Whether all that reads `tensor` are linear operations whose kernels round its rows, and may compute them first.
/// False where there is no device.
bool roundsRowsOf(Lowering &lowering, mlir::Value tensor);

} // namespace qcc
