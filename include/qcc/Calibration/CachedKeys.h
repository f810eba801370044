// Keys that a session keeps in a format of few bits: what is done to them, and to the queries, so that they lose less.
#pragma once

#include "qcc/Calibration/Ranges.h"
#include "qcc/Operator/Node.h"

namespace qcc {

/// Keys (batch, heads, positions, size) that are appended to a state which has a format, and the attention that reads
/// them. A few channels of keys are far larger than the others, and lie off centre (arXiv 2402.02750, section 3): under
/// a scale of a token the others are lost.
struct CachedKeys {
  mlir::BlockArgument state;
  onnx::NodeOp append;
  llvm::SmallVector<onnx::NodeOp> readers;
  int64_t heads = 0, size = 0;
  unsigned bits = 0;  // of a code
  bool shifts = true; // whether what is added to all scores of a query changes nothing
  mlir::Value keys() const { return append->getOperand(1); }
};
std::vector<CachedKeys> cachedKeys(mlir::ModuleOp module);

/// Stores (key - centre) / reach, by the range that each channel of a head had on data, in place of a key, and
/// multiplies queries by the reach: a scale for each channel that costs nothing, since scores stay what they are.
void balanceKeys(const CachedKeys &keys, llvm::ArrayRef<ValueRange> channels);

/// Rotates keys and queries by an orthogonal matrix, which needs no data: outliers are spread over all channels of a
/// head (arXiv 2404.00456), and scores stay what they are. Nothing where the head's size has no such matrix.
void rotateKeys(const CachedKeys &keys);

} // namespace qcc
