// Windows that are reduced one image at a time: pooling and depthwise convolution.
#pragma once

#include "Planes.h"

namespace qcc {

/// result(unit, o) = the taps of window o of image(unit), combined one after another from `initial` on.
struct Sweep {
  Window window;
  llvm::SmallVector<Dim> units; // the first two dimensions of the result
  mlir::Type accumulator;
  std::function<mlir::Value(Kernel &, llvm::ArrayRef<mlir::Value> unit)> image;
  std::function<mlir::Value(Kernel &)> initial;
  /// The factor of a tap, by its number in the kernel; there need not be one.
  std::function<mlir::Value(Kernel &, llvm::ArrayRef<mlir::Value> unit, mlir::Value tap)> weight;
  /// Of scalars or of vectors.
  std::function<mlir::Value(Kernel &, mlir::Value sum, mlir::Value element, mlir::Value weight)> combine;
  /// Takes each result once; `at` is its index in units x output.
  std::function<void(Kernel &, const Index &at, mlir::Value result)> store;
};

void emitSweep(Lowering &lowering, llvm::StringRef name, Planes &planes, const Sweep &sweep);

} // namespace qcc
