// Scaled dot-product attention, for operands that are given as functions of an index.
#pragma once

#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/RowCodec.h"

namespace qcc {

/// Rows of keys or values in storage: a row is a number of consecutive elements; the rest are strides between rows, in
/// elements. Where rows have a layout, strides and offset are in bytes.
struct StoredRows {
  mlir::Value storage; // as the host has it
  mlir::Type element;
  const RowLayout *layout = nullptr;
  Dim offset, batch, head, position;

  /// The rows of a tensor (batch, heads, positions, size) or (batch, positions, heads * size), or of one half of a pair
  /// (2, batch, heads, positions, size); of a state, where it is stored.
  static StoredRows of(Lowering &lowering, mlir::Value tensor, Dim heads, Dim size, int64_t half = 0);
  /// New storage for as many rows.
  static StoredRows make(Lowering &lowering, mlir::Type element, Dim batch, Dim heads, Dim positions, Dim size);
  /// The number of the first element of a row.
  mlir::Value start(Kernel &k, mlir::Value batch, mlir::Value head, mlir::Value position) const;
  /// Element `i` of the row at `start`, as a compute value of `type`.
  mlir::Value load(Kernel &k, mlir::Value data, mlir::Value start, mlir::Value i, mlir::Type type) const;
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

// What all kernels of attention compute alike, in compute values of `type`.

/// What queries are multiplied by.
mlir::Value scaleOf(Kernel &k, const StreamedAttention &attention, mlir::Type type);
/// A score after its softcap.
mlir::Value capped(Kernel &k, const StreamedAttention &attention, mlir::Value score, mlir::Type type);
/// What is taken off scores of which `max` is the largest: 0 where that is -inf, which keeps exp(-inf) = 0.
mlir::Value shiftOf(Kernel &k, mlir::Value max, mlir::Type type);
/// The factor that makes weighted sums under `max` the result, where `total` is the sum of weights.
mlir::Value normalizer(Kernel &k, const StreamedAttention &attention, mlir::Value head, mlir::Value max,
                       mlir::Value total, mlir::Type type);

} // namespace qcc
