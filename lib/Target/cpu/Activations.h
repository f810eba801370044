// Activations in the order in which linear kernels read them: panels of tokens, interleaved.
#pragma once

#include "Simd.h"
#include "qcc/Pack/PackedLayout.h"

namespace qcc {

/// Where the activations of one linear operation stand. Tokens are the rows of x; a panel holds `C` of them, and the
/// tokens of the last panel that are none hold 0.
struct Activations {
  /// float32: [panel][column][token]. int8: [panel][group of 4 columns][token], 4 bytes each, every block's columns
  /// rounded up to whole chunks.
  mlir::Value values;
  /// int8 only, each [panel][block][token]: the scale (f32), minus the sum of the codes times the operands' bias (i32),
  /// and the scale times the sum of the codes (f32).
  mlir::Value scales, biases, sums;
};

/// Columns of a block with those that fill up its last chunk.
int64_t paddedColumns(const PackedLayout &layout, int64_t blockColumns);
/// The same of a whole row.
int64_t paddedColumns(const PackedLayout &layout);

/// What buffers a linear needs for any number of tokens up to `tokens` in panels of up to `panel`.
Activations allocateActivations(Lowering &lowering, const PackedLayout &layout, bool integer, Dim tokens, int panel);

/// Launches the kernel that fills `to` in panels of `panel` tokens from x, whose rows are the tokens. `bias` is the
/// operands'. All codes have `scale` where there is one; what lies beyond ±127 of it saturates.
void emitQuantizeActivations(Lowering &lowering, mlir::Value x, const PackedLayout &layout, int bias,
                             std::optional<float> scale, Dim tokens, int panel, const Activations &to);
void emitInterleaveActivations(Lowering &lowering, mlir::Value x, int64_t columns, Dim tokens, int panel,
                               const Activations &to);

} // namespace qcc
