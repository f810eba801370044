// The kernels of qnt.linear on a GPU.
#pragma once

#include "BlockSums.h"
#include "dialects/qnt/Qnt.h"
#include "hopper/TileCost.h"

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
  /// Stores the sum of a row and a token, if there is such an output, times the row's scale. `packed` are the weights,
  /// `count` the tokens. `tokenScales`, where there are such, multiply all of a token's sums.
  void store(ThreadBlock &t, mlir::Value packed, mlir::Value count, mlir::Value token, mlir::Value row, mlir::Value sum,
             mlir::Value tokenScales = {});
};

/// Activations as they are multiplied, on the host: codes [token][padded columns of all blocks], rows at multiples of
/// 16 bytes. Of int8 and fp8, a float32 scale, and of int8 the sum of the codes as an i32, for each [token][block].
/// Each block is padded with zeros to whole chunks of the weights.
/// For warpgroups and more than `fewTokens` tokens the order is theirs: codes [row of 128 bytes][token], the pieces of
/// a row exchanged; scales and sums [block][token]. There are `stride` places for tokens, `tokens` of them used.
struct DeviceActivations {
  mlir::Value codes, scales, sums;
  Dim stride;
};

inline constexpr int fewTokens = 4; // that one pass over the weights serves

/// Columns of a block of `columns`, and of a whole row, with their padding.
int64_t deviceColumns(const PackedLayout &layout, int64_t columns);
int64_t deviceColumns(const PackedLayout &layout);
/// Bytes from one token's codes to the next one's.
int64_t activationStride(const PackedLayout &layout, int64_t activationBytes);

/// Whether a dimension is at most `count`, on the host.
mlir::Value isAtMost(Lowering &lowering, Dim dim, int64_t count);

/// Rounds `x` for all linear operations that read it with such blocks, to nearest even: int8 and fp8 (e4m3) symmetric,
/// with the scale that maps a block's largest magnitude to 127 and 448.
/// Where a scale is given, int8 activations all have it. `from` names what `x` holds in place of the operation's input.
DeviceActivations roundOnDevice(Lowering &lowering, mlir::Value x, const PackedLayout &layout, ComputeType type,
                                std::optional<float> scale, Dim tokens, llvm::StringRef from = "");

/// Every weight is read and decoded once for `count` tokens. Activations of float32 are read where they are.
void emitFewTokens(Lowering &lowering, const DeviceLinear &linear, int count, const DeviceActivations &activations);

/// Many tokens in float32, where weights are floats.
bool hasFloatTokens(const DeviceLinear &linear);
void emitFloatTokens(Lowering &lowering, const DeviceLinear &linear);

/// Whether `emitManyTokens` is made for the operation.
bool hasManyTokens(const DeviceFacts &facts, const PackedLayout &layout, ComputeType type);
/// Whether the instructions of warpgroups multiply instead.
bool usesWarpgroups(const DeviceFacts &facts, const PackedLayout &layout, ComputeType type);
void emitManyTokens(Lowering &lowering, const DeviceLinear &linear, const DeviceActivations &activations);
/// The same where the instructions are those of warpgroups.
void emitWarpgroupTokens(Lowering &lowering, const DeviceLinear &linear, const DeviceActivations &activations,
                         const WarpgroupTile &tile, llvm::StringRef note);

} // namespace qcc
