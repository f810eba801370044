// Scaled dot-product attention as one kernel, for every operator that asks for it.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// Rows of keys or values in storage: a row is a number of consecutive elements; the rest are strides between rows, in
/// elements.
struct StoredRows {
  mlir::Value storage; // as the host has it
  mlir::Type element;
  Dim offset, batch, head, position;

  /// The rows of a tensor (batch, heads, positions, size) or (batch, positions, heads * size), or of one half of a pair
  /// (2, batch, heads, positions, size); of a state, where it is stored.
  static StoredRows of(Lowering &lowering, mlir::Value tensor, Dim heads, Dim size, int64_t half = 0);
  /// New storage for as many rows.
  static StoredRows make(Lowering &lowering, mlir::Type element, Dim batch, Dim heads, Dim positions, Dim size);
  /// The number of the first element of a row.
  mlir::Value start(Kernel &k, mlir::Value batch, mlir::Value head, mlir::Value position) const;
};

/// result(b, h, s) = sum over t of softmax(score(b, h, s, t)) * value(b, h / group, t)
/// score = bias(softcap(scale * query(b, h, s) . key(b, h / group, t)))
///
/// A row that may see no key gives zeros.
struct StreamedAttention {
  Dim batch, heads, keyHeads;  // heads is a multiple of keyHeads
  Dim rows, keys;              // of a head
  Dim size, valueSize;         // elements of a query or key, and of a value or result
  mlir::Type element;          // of the queries
  std::optional<double> scale; // 1 / sqrt(size) when not said
  double softcap = 0;          // none when 0
  StoredRows key, value;

  /// An element of a query, as a compute value of `element`.
  std::function<mlir::Value(Kernel &, mlir::Value batch, mlir::Value head, mlir::Value row, mlir::Value i)> query;
  /// What becomes of a score: null when nothing does.
  std::function<mlir::Value(Kernel &, mlir::Value batch, mlir::Value head, mlir::Value row, mlir::Value key,
                            mlir::Value score)>
      bias;
  /// How many keys of a batch entry may be seen at all; null when all of them.
  std::function<mlir::Value(Kernel &, mlir::Value batch)> visibleKeys;
  /// The key that stands where row 0 stands; null for key 0.
  std::function<mlir::Value(Kernel &, mlir::Value batch)> firstPosition;
  /// A row sees no more than so many keys before and after the one that stands where it stands; -1: all of them. 0
  /// after is causal attention.
  int64_t before = -1, after = -1;
  /// The score of a further key of a head whose value is zero; null when there is none.
  std::function<mlir::Value(Kernel &, mlir::Value head)> sink;
  /// Takes each element of the result once.
  std::function<void(Kernel &, mlir::Value batch, mlir::Value head, mlir::Value row, mlir::Value i, mlir::Value value)>
      store;
};

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
};

/// Emits and launches a kernel that writes the new rows; what the past holds is copied unless it is the present.
void emitExtension(Lowering &lowering, const Extension &extension);

/// Requires pairs of lengths to be equal: now where they are known, otherwise when the program runs.
mlir::LogicalResult requireEqual(Infer &infer, llvm::ArrayRef<std::pair<Dim, Dim>> pairs);

} // namespace qcc
