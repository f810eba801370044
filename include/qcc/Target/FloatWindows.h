// Windows over planes of float32 on a CPU target: pooling, and convolution channel by channel or of all channels.
#pragma once

#include "qcc/Target/KnownAxis.h"
#include "qcc/Tile/Lowering.h"

namespace qcc {

/// A window with one or two spatial axes. What lies outside of the plane counts as `outside`.
struct FloatWindow {
  KnownAxis down, across;
  std::function<mlir::Value(Kernel &)> outside;

  int64_t taps() const { return down.kernel * across.kernel; }
};

/// result(unit, y, x) = the taps of window (y, x) of the unit's plane, combined one after another from `initial` on.
struct FloatSweep {
  FloatWindow window;
  llvm::SmallVector<Dim> units;
  Dim work;
  /// The address of a unit's plane, which lies row by row in memory.
  std::function<mlir::Value(Kernel &, llvm::ArrayRef<mlir::Value> unit)> plane;
  std::function<mlir::Value(Kernel &)> initial;
  /// The factor of a tap, by its number in the kernel; there need not be one.
  std::function<mlir::Value(Kernel &, llvm::ArrayRef<mlir::Value> unit, mlir::Value tap)> weight;
  /// Of vectors.
  std::function<mlir::Value(Kernel &, mlir::Value sum, mlir::Value element, mlir::Value weight)> combine;
  /// Takes each result once.
  std::function<void(Kernel &, llvm::ArrayRef<mlir::Value> unit, mlir::Value y, mlir::Value x, mlir::Value result)>
      store;
};

/// result(image, g * results + m, y, x) = sum over the channels c of group g and the taps k of window (y, x) of
/// plane(image, g * channels + c) * weight(g * results + m, c, k)
struct FloatConvolution {
  FloatWindow window;
  Dim images;
  int64_t groups = 1, channels = 1, results = 1; // per group
  /// The address of all planes, and that of all weights, each in row-major order.
  std::function<mlir::Value(Kernel &)> planes, weights;
  /// Takes each sum once.
  std::function<void(Kernel &, mlir::Value image, mlir::Value channel, mlir::Value y, mlir::Value x, mlir::Value sum)>
      store;
};

/// Emit and launch, blocks of rows and registers of columns at a time. False, with nothing emitted, for windows or
/// results that this is not made for.
bool emitFloatSweep(Lowering &lowering, llvm::StringRef name, const FloatSweep &sweep);
bool emitFloatConvolution(Lowering &lowering, llvm::StringRef name, const FloatConvolution &convolution);

} // namespace qcc
