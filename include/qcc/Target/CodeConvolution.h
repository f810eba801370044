// Convolutions of int8 codes on a CPU target.
#pragma once

#include "qcc/Target/KnownAxis.h"
#include "qcc/Tile/Lowering.h"

namespace qcc {

/// sum(image, m, y, x) = sum over the channels c that result m reads and the taps k of window (y, x) of
/// plane(image, c) * weight(m, k, c) - offset(m), of unsigned codes and signed weights, in exact integers. A code
/// outside of the plane is `zero`.
struct CodeConvolution {
  KnownAxis down, across;
  Dim images;
  int64_t channels = 1, results = 1;
  int64_t zero = 0;
  /// Addresses: images x channels planes of bytes, each row by row; weights; an i32 for each result.
  std::function<mlir::Value(Kernel &)> planes, weights, offsets;
  /// Takes each sum once, as a float32.
  std::function<void(Kernel &, mlir::Value image, mlir::Value result, mlir::Value y, mlir::Value x, mlir::Value sum)>
      store;
};

/// Bytes of weights stand in fours, one 32-bit lane of a dot product: as many zeros as are missing follow.
constexpr int64_t codesPerLane = 4;

/// Every result reads every channel; weights are results x taps x channels, these in fours. False, with nothing
/// emitted, where the target has no dot products of unsigned and signed bytes, or for windows or results that this is
/// not made for.
bool emitCodeConvolution(Lowering &lowering, llvm::StringRef name, const CodeConvolution &convolution);
/// Result m reads channel m * channels / results alone; weights are results x rows of taps, these in fours.
bool emitCodeDepthwise(Lowering &lowering, llvm::StringRef name, const CodeConvolution &convolution);

} // namespace qcc
