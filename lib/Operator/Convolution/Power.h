// Powers and roots of the norms that pooling takes.
#pragma once

#include "qcc/Tile/Kernel.h"

namespace qcc {

/// |x|^p and sum^(1 / p) of float compute values.
mlir::Value absolutePower(Kernel &k, mlir::Value x, int64_t p);
mlir::Value rootOf(Kernel &k, mlir::Value sum, int64_t p);

} // namespace qcc
