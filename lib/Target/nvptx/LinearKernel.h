// The kernels of qnt.linear on a GPU.
#pragma once

#include "MatrixUnit.h"
#include "dialects/qnt/Qnt.h"

namespace qcc {

/// What the kernels of one linear operation need to know.
struct DeviceLinear {
  qnt::LinearOp op;
  Format format;
  PackedLayout layout;
  ComputeType type = ComputeType::F32;
  Dim tokens;
  mlir::Value weights; // their storage, on the host

  std::string kernelName(llvm::StringRef kind) const;
};

/// Activations as they are multiplied, on the host: codes [token][padded columns of all blocks], rows at multiples of
/// 16 bytes. Of int8 and fp8, a float32 scale, and of int8 the sum of the codes as an i32, for each [token][block].
/// Each block is padded with zeros to whole chunks of the weights.
struct DeviceActivations {
  mlir::Value codes, scales, sums;
};

/// Columns of a block of `columns`, and of a whole row, with their padding.
int64_t deviceColumns(const PackedLayout &layout, int64_t columns);
int64_t deviceColumns(const PackedLayout &layout);
/// Bytes from one token's codes to the next one's.
int64_t activationStride(const PackedLayout &layout, int64_t activationBytes);

/// Rounds `x` for all linear operations that read it with such blocks, to nearest even: int8 and fp8 (e4m3) symmetric,
/// with the scale that maps a block's largest magnitude to 127 and 448.
/// Where a scale is given, int8 activations all have it. `from` names what `x` holds in place of the operation's input.
DeviceActivations roundOnDevice(Lowering &lowering, mlir::Value x, const PackedLayout &layout, ComputeType type,
                                std::optional<float> scale, Dim tokens, llvm::StringRef from = "");

/// Every weight is read and decoded once for `count` tokens. Activations of float32 are read where they are.
void emitFewTokens(Lowering &lowering, const DeviceLinear &linear, int count, const DeviceActivations &activations);

/// Whether `emitManyTokens` is made for the operation.
bool hasManyTokens(const DeviceFacts &facts, const PackedLayout &layout, ComputeType type);
/// Whether it then multiplies with the instructions of warpgroups.
bool usesWarpgroups(const DeviceFacts &facts, const PackedLayout &layout, ComputeType type);
void emitManyTokens(Lowering &lowering, const DeviceLinear &linear, const DeviceActivations &activations);

} // namespace qcc
