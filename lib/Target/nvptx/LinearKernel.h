// The kernels of qnt.linear on a GPU.
#pragma once

#include "Decode.h"
#include "dialects/qnt/Qnt.h"

namespace qcc {

/// What the kernels of one linear operation need to know.
struct DeviceLinear {
  qnt::LinearOp op;
  Format format;
  PackedLayout layout;
  bool integer = false; // int8 activations
  Dim tokens;
  mlir::Value weights; // their storage, on the host
};

/// Activations in int8, on the host: codes [token][padded columns of all blocks]; a float32 scale, and the sum of the
/// codes as an i32, for each [token][block]. Each block is padded with zeros to whole chunks of the weights.
struct DeviceActivations {
  mlir::Value codes, scales, sums;
};

/// Columns of a block of `columns`, and of a whole row, with their padding.
int64_t deviceColumns(const PackedLayout &layout, int64_t columns);
int64_t deviceColumns(const PackedLayout &layout);

/// Quantizes `x` for all linear operations that read it with such blocks: symmetric, codes within ±127, to nearest
/// even.
DeviceActivations quantizeOnDevice(Lowering &lowering, mlir::Value x, const PackedLayout &layout, Dim tokens);

/// Every weight is read and decoded once for `count` tokens. `activations` is read where the operation is of integers.
void emitFewTokens(Lowering &lowering, const DeviceLinear &linear, int count, const DeviceActivations &activations);

} // namespace qcc
