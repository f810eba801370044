// Queries, keys and values as com.microsoft's operators lay them out.
#pragma once

#include "Streamed.h"

namespace qcc {

/// One of queries, keys and values in a tensor that may hold others too.
struct Part {
  enum Form {
    Flat,  // (batch, rows, ... heads * size ...), from element `first` of a row on
    Heads, // (batch, heads, rows, size)
    Packed // (batch, rows, heads, parts, size), part number `part`
  };
  Form form = Flat;
  mlir::Value tensor;
  Dim first; // of Flat
  int64_t part = 0;
  Dim batch, heads, rows, size;
  mlir::Value bias; // added to what is read: elements of all parts, from `biasFirst` on; null when there is none
  Dim biasFirst;

  mlir::Type element() const;
  mlir::Value load(Kernel &k, mlir::Value batch, mlir::Value head, mlir::Value row, mlir::Value i) const;
  /// Its rows where they are stored; nothing may have to be added to them.
  StoredRows stored(Lowering &lowering) const;
  /// Requires what keeps `load` within its tensors.
  mlir::LogicalResult require(Infer &infer) const;
};

/// The keys or values of all positions: `part` behind `past` in `present`, each where it is there. `half` is which one
/// of a past that holds both. The other fields of `extension` say where the new rows go, and what they are where they
/// are not the part's elements as they stand.
StoredRows allPositions(Lowering &lowering, const Part &part, mlir::Value past, mlir::Value present, int64_t half,
                        Extension extension);

/// Requires a past (batch, heads, before, size), or a pair of such, to go before the part.
mlir::LogicalResult requirePast(Infer &infer, unsigned past, const Part &part, Dim before);

/// score + a bias (batch or 1, heads or 1, rows, keys).
mlir::Value addBias(Kernel &k, mlir::Value bias, llvm::ArrayRef<mlir::Value> at, mlir::Value score);
mlir::LogicalResult requireBias(Infer &infer, unsigned bias, const Part &query, Dim keys);

} // namespace qcc
