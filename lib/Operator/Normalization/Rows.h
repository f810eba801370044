// Rows that are normalized by their own mean and variance.
#pragma once

#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/Team.h"

namespace qcc {

/// What a row is normalized by: (x - mean) * inverse. `mean` is null where it counts as zero.
struct Moments {
  mlir::Value mean, inverse;
  mlir::Value normalize(Kernel &k, mlir::Value x) const;
};

/// `count` rows of `length` numbers. The variance is the mean square of what is left when the mean is taken off, in a
/// second pass; without a mean, the mean square itself.
struct Rows {
  Dim count, length;
  mlir::Type type; // in which they are computed
  bool hasMean = true;
  double epsilon = 0;
  /// Whether `load` costs more than reading memory, so that what it gives is kept.
  bool keeps = false;
  /// Element i of a row; called with the row once before any of its elements.
  std::function<std::function<mlir::Value(mlir::Value i)>(Kernel &, mlir::Value row)> load;
  /// Takes a row's moments; `x` gives its elements again. The threads of the team share them out.
  std::function<void(Kernel &, const Team &, mlir::Value row, const Moments &,
                     llvm::function_ref<mlir::Value(mlir::Value i)> x)>
      store;
};

void emitRows(Lowering &lowering, llvm::StringRef name, const Rows &rows);
/// One row; `kept` is storage for its elements, of which number `start` is the first, or null where `load` gives them
/// again.
void emitRow(Kernel &k, const Team &team, const Rows &rows, mlir::Value row, mlir::Value kept, mlir::Value start);

/// 1 / sqrt(variance + epsilon).
mlir::Value inverseDeviation(Kernel &k, mlir::Value variance, double epsilon);

/// x * scale + bias, without a bias where it is null.
mlir::Value scaleAndShift(Kernel &k, mlir::Value x, mlir::Value scale, mlir::Value bias);

} // namespace qcc
