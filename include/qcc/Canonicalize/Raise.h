// Raising by dataflow: what exporters spell out in many nodes becomes the one operator that it is.
#pragma once

#include "mlir/IR/BuiltinOps.h"

namespace qcc {

/// Of an imported module: the output of that name is computed for the last position alone, the others before the last
/// axis left out. An output that no matrix product makes, or that is not there, is an error.
mlir::LogicalResult keepLastLogits(mlir::ModuleOp module, llvm::StringRef output);
/// Removes nodes that change nothing: Identity, Cast to the same type, Dropout, transposes and reshapes to the same.
void removeIdentities(mlir::ModuleOp module);
/// Nodes that compute the same from the same become one, and constants of the same bytes.
void mergeEqual(mlir::ModuleOp module);
/// Batch normalizations behind convolutions and matrix products become part of their constant weights and biases.
void foldBatchNormalization(mlir::ModuleOp module);
/// Convolutions and matrix products of dequantized operands multiply the codes without their zeros, as whole numbers in
/// float32, and the sums by the product of the scales: where every sum is within 2^24, it is exact, in whatever order
/// its terms are added.
void multiplyCodes(mlir::ModuleOp module);
/// Swish, HardSwish, Mish and both forms of Gelu from their arithmetic.
void raiseActivation(mlir::ModuleOp module);
/// RMS and layer normalization from their arithmetic.
void raiseNormalization(mlir::ModuleOp module);
/// Rotary position embedding from its arithmetic: rotated halves or neighbours, with cosines and sines computed or from
/// tables.
void raiseRotary(mlir::ModuleOp module);
/// Two transposes in a row become one. A concatenation that begins with a transposed tensor and is transposed back, as
/// exporters write a cache that attention reads in another order than it is kept in, becomes one of tensors as they are
/// kept.
void moveTransposes(mlir::ModuleOp module);
/// Scaled dot-product attention from matrix products around a softmax, with grouped heads, scale, softcap and mask;
/// batch and heads may be one axis.
mlir::LogicalResult raiseAttention(mlir::ModuleOp module);
/// Convolutions of unsigned codes with constant signed ones, of all channels or channel by channel: `qcc.CodeConv`,
/// which multiplies bytes.
void raiseCodeConv(mlir::ModuleOp module);
/// 3 x 3 convolutions of float32 with constant weights, where tiles take less time: `qcc.Winograd`, with weights that
/// are transformed now.
void raiseWinograd(mlir::ModuleOp module);
/// Inputs that are only ever appended to, and whose extension is an output, become states of the session: the argument
/// and the result carry `qnt.state`, and nothing of what is stored is copied. Either an operator extends them
/// (`Operator::extends`), or they are concatenated with new keys or values of attention, which becomes `qcc.Append`. A
/// dimension that only states have is the one that their operator requires.
mlir::LogicalResult recognizeStates(mlir::ModuleOp module);
/// Products with constant matrices, as `qnt.linear`.
void raiseLinear(mlir::ModuleOp module);
/// Rows gathered from a matrix that a linear operation multiplies with, as `qnt.lookup`: tied embeddings are stored
/// once.
void raiseLookup(mlir::ModuleOp module);

} // namespace qcc
