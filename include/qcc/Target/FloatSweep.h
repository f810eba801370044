// Windows over planes of float32 on a CPU target.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// result(unit, y, x) = the taps of window (y, x) of the unit's plane, combined one after another from `initial` on.
/// What lies outside of the plane counts as `outside`.
struct FloatSweep {
  struct Axis {
    int64_t input = 1, kernel = 1, output = 1, stride = 1, dilation = 1, before = 0;
  };
  Axis down, across;
  llvm::SmallVector<Dim> units;
  Dim work;
  /// The address of a unit's plane, which lies row by row in memory.
  std::function<mlir::Value(Kernel &, llvm::ArrayRef<mlir::Value> unit)> plane;
  std::function<mlir::Value(Kernel &)> initial, outside;
  /// The factor of a tap, by its number in the kernel; there need not be one.
  std::function<mlir::Value(Kernel &, llvm::ArrayRef<mlir::Value> unit, mlir::Value tap)> weight;
  /// Of vectors.
  std::function<mlir::Value(Kernel &, mlir::Value sum, mlir::Value element, mlir::Value weight)> combine;
  /// Takes each result once.
  std::function<void(Kernel &, llvm::ArrayRef<mlir::Value> unit, mlir::Value y, mlir::Value x, mlir::Value result)>
      store;
};

/// Emits and launches the sweep, blocks of rows and registers of columns at a time. False, with nothing emitted, for
/// windows or results that this is not made for.
bool emitFloatSweep(Lowering &lowering, llvm::StringRef name, const FloatSweep &sweep);

} // namespace qcc
