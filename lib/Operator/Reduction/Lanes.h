// Kernels that work along one axis, for every position of the others.
#pragma once

#include "Axes.h"
#include "Fold.h"
#include "qcc/Operator/Registry.h"

namespace qcc {

/// A kernel over the lines of a tensor along one axis. Where the axis is the innermost one a unit is a line; otherwise
/// it is a few dozen lines side by side, so that neighbours in memory are read together. On a device a unit is a line
/// that a team of threads has where it is innermost, else one thread among its neighbours.
class Lanes {
public:
  /// Without a team where each element of a line waits for the one before.
  Lanes(Lowering &lowering, llvm::StringRef name, Axes axes, bool inTeams = true);

  Axes axes;
  Kernel k;

  Dim length() const { return axes.reduced[axis]; }
  /// Emits body() for each unit and launches; `cost` estimates the operations of one element.
  void launch(int64_t cost, llvm::function_ref<void()> body);

  /// body(i, lane) for all elements of the unit, those side by side innermost; a single line has lane 0.
  void eachElement(llvm::function_ref<void(mlir::Value i, mlir::Value lane)> body);
  mlir::Value load(mlir::Value i, mlir::Value lane);
  /// The number of an element in a tensor of the same shape.
  mlir::Value number(mlir::Value i, mlir::Value lane);
  /// The number of the line among all.
  mlir::Value line(mlir::Value lane);
  /// body(lane) for the lines of the unit.
  void eachLane(llvm::function_ref<void(mlir::Value lane)> body);

  /// One value for each line of a unit, the compute value of an element of type `type`.
  struct PerLane {
    mlir::Type type;
    mlir::Value single, memory;
  };
  mlir::Value get(const PerLane &values, mlir::Value lane);
  /// The fold of each line, in the wide type.
  PerLane fold(Fold fold, mlir::Type element, llvm::function_ref<mlir::Value(mlir::Value i, mlir::Value lane)> term);
  PerLane compute(mlir::Type type, llvm::function_ref<mlir::Value(mlir::Value lane)> value);
  /// Along each line, from its end when `reversed`: what `body` makes of an element and what it made of those before,
  /// first of `start`.
  void scan(mlir::Type type, mlir::Value start, bool reversed,
            llvm::function_ref<mlir::Value(mlir::Value i, mlir::Value lane, mlir::Value before)> body);

private:
  Team makeTeam(bool inTeams);
  PerLane allocate(mlir::Type type);
  llvm::SmallVector<mlir::Value> place(llvm::SmallVector<mlir::Value> &kept, mlir::Value i, mlir::Value lane);

  size_t axis;
  bool columns;
  Team team;
  llvm::SmallVector<mlir::Value> keptAt;
  mlir::Value start, width;
};

} // namespace qcc
