// Scaled dot-product attention as one kernel, for every operator that asks for it.
#pragma once

#include "qcc/Tile/Attention.h"

namespace qcc {

/// Emits and launches the kernel. Scores are never stored: the softmax runs over blocks of keys. Query heads that share
/// keys are computed together; few rows over many keys are split along the keys.
void emitAttention(Lowering &lowering, const StreamedAttention &attention);

/// What `emitScores` keeps of each score, as ONNX numbers the modes of `qk_matmul_output`.
enum class ScoreMode { Product, Capped, Biased, Softmax };

/// Emits and launches a kernel that computes the scores themselves into `result` (batch, heads, rows, keys).
void emitScores(Lowering &lowering, const StreamedAttention &attention, ScoreMode mode, mlir::Value result);

/// New positions of keys or values behind those of the past.
struct Extension {
  mlir::Value past;   // (batch, heads, positions, size), or a pair of such; null when there is none
  int64_t half = 0;   // which of the pair
  StoredRows present; // where all positions are to stand: the past itself when it is a state
  Dim batch, heads, size;
  Dim before, added, after; // positions of the past, new ones, and those of the present
  /// The position of the first new row of a batch entry; null when it is `before`.
  std::function<mlir::Value(Kernel &, mlir::Value batch)> firstPosition;
  std::function<mlir::Value(Kernel &, mlir::Value batch, mlir::Value head, mlir::Value row, mlir::Value i)> source;
  mlir::Type type; // of what `source` gives a compute value of
};

/// Emits and launches a kernel that writes the new rows; what the past holds is copied unless it is the present.
void emitExtension(Lowering &lowering, const Extension &extension);

/// Requires pairs of lengths to be equal: now where they are known, otherwise when the program runs.
mlir::LogicalResult requireEqual(Infer &infer, llvm::ArrayRef<std::pair<Dim, Dim>> pairs);

} // namespace qcc
