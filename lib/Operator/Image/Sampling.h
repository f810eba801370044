// How Resize samples one axis: where each result coordinate stands in the operand, and with which weights it mixes the
// elements around there.
#pragma once

#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/Real.h"

namespace qcc {

/// The attributes of a Resize or Upsample, in the meaning of the newest operator set.
struct ResizeMode {
  enum Kind { Nearest, Linear, Cubic } kind;
  llvm::StringRef coordinates, nearest;
  bool antialias, excludeOutside;
  double cubic, extrapolation;
};

/// One axis that is resized.
struct ResizeAxis {
  unsigned axis;
  Dim in, out;
  /// The scale as a quotient of lengths, or as a constant, or else read from the operand `scales` at `position`.
  Dim scaleOver, scaleUnder;
  std::optional<double> scale;
  unsigned position;
  /// Elements that are mixed for one result.
  Dim taps;
};

/// The whole number by which an axis is stretched, when that is known.
std::optional<int64_t> stretchOf(Dimensions &dims, const ResizeAxis &axis);
/// Whether stretching by a whole number repeats each element: result coordinate x takes element x / stretch.
bool repeatsElements(const ResizeMode &mode, const ResizeAxis &axis);
/// Whether the results of an axis that is stretched by a whole number have the same weights after every `stretch`.
bool isPeriodic(const ResizeMode &mode, const ResizeAxis &axis);

/// The operands that a kernel reads scales and regions of interest from; null where there are none.
struct ResizeOperands {
  mlir::Value scales, roi;
  unsigned roiAxes;
};

/// The elements and weights of one axis: for tap k and result coordinate x, entry k * out + x.
struct SamplingTable {
  mlir::Value elements; // i32
  mlir::Value weights;  // of `weight`; null for the nearest element
  mlir::Value outside;  // i8: whether x gets the extrapolation value; null where none does
  mlir::Type weight;
};

SamplingTable makeSamplingTable(Lowering &lowering, const ResizeMode &mode, const ResizeAxis &axis,
                                const ResizeOperands &operands, mlir::Type weight);

} // namespace qcc
