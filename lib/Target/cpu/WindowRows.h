// The rows of a plane as windows read them, in vectors and without a copy.
#pragma once

#include "Widen.h"
#include "qcc/Target/FloatWindows.h"

namespace qcc {

/// Loads that reach out of a row are masked, and rows outside of the plane are read from a row of padding.
class WindowRows {
public:
  /// Whether windows are of a kind that rows are read for.
  static bool fits(const FloatWindow &window);
  /// The lanes of which rows of `columns` results need the fewest: the most that do not compute more in vain than
  /// narrower ones.
  static int lanesFor(int most, int64_t columns);

  WindowRows(Simd &simd, const FloatWindow &window);

  /// Vectors of a row of results.
  int64_t vectors() const { return (across.output + s.lanes - 1) / s.lanes; }
  /// Input rows that `count` rows of results read.
  int64_t reach(int64_t count) const { return (count - 1) * down.stride + (down.kernel - 1) * down.dilation + 1; }
  /// The rows that results from row `y` on read in the plane at `plane`; null for those that none reads.
  llvm::SmallVector<mlir::Value> lines(mlir::Value plane, mlir::Value y, int64_t count) const;
  /// Calls body(row of results, tap) for each of `count` rows of results that has a tap in input row `i`.
  void forUses(int64_t i, int64_t count, llvm::function_ref<void(int64_t, int64_t)> body) const;
  /// The elements that `tap` of a row reads for vector `v` of a group that begins at vector `first`, which is `known`
  /// where it is a constant; otherwise no element lies outside.
  mlir::Value load(mlir::Value line, mlir::Value first, std::optional<int64_t> known, int64_t v, int64_t tap) const;
  /// Which lanes of that vector are results; null for all.
  mlir::Value mask(std::optional<int64_t> known, int64_t v) const;
  /// Calls body(first, known, size) for all vectors of a row in groups of up to `most`.
  void forGroups(int64_t most, llvm::function_ref<void(mlir::Value, std::optional<int64_t>, int64_t)> body) const;

private:
  static int64_t position(const KnownAxis &axis, int64_t output, int64_t tap) {
    return output * axis.stride + tap * axis.dilation - axis.before;
  }
  bool isInside(int64_t vector) const;
  mlir::Value maskOf(llvm::function_ref<bool(int64_t)> isSet) const;

  Simd &s;
  Kernel &k;
  const FloatWindow &window;
  const KnownAxis &down, &across;
  mlir::Value padding; // where rows lie outside
};

} // namespace qcc
