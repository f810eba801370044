// How windows read their input: in place, or from a copy with padding in which windows lie one after another.
#pragma once

#include "Window.h"
#include "qcc/Target/FloatWindows.h"

namespace qcc {

/// The spatial planes of an N x C x D1 x ... x Dn tensor ("image" n * C + c), laid out for a window.
///
/// Where windows reach out of the input or step by more than one position, a copy has the padding in it and is taken
/// apart by stride: tap k of output position o stands, on each axis, in phase k * dilation % stride at position
/// o + k * dilation / stride. So for every tap the elements that consecutive outputs read are consecutive.
class Planes {
public:
  /// `type` is what elements count as; `inPlace` promises that all windows lie within the input.
  Planes(Lowering &lowering, mlir::Value tensor, const Window &window, mlir::Type type, bool inPlace);

  /// What an element of the tensor counts as; by default its value, cast.
  std::function<mlir::Value(Kernel &, mlir::Value)> read;
  /// What stands in the padding; by default zero.
  std::function<mlir::Value(Kernel &)> outside;

  /// Elements of one plane.
  Dim size() const;
  /// Where the window at output position 0 has its tap.
  mlir::Value offset(Kernel &k, llvm::ArrayRef<mlir::Value> tap) const;
  /// How much further it stands for the next output position on an axis.
  Dim step(unsigned axis) const;
  /// How much further the last element of the last window stands than that of the first one, and one.
  Dim span() const;
  /// Whether the elements that consecutive outputs read are consecutive in memory.
  bool isContiguous() const;

  /// Makes the copy, in storage of its own.
  void fill();
  /// Whether one plane fits into a thread's own storage.
  bool fitsScratch() const;
  /// Makes the copy of one plane in the thread's own storage, from which `load` then reads.
  void fillScratch(Kernel &k, mlir::Value image);
  mlir::Value load(Kernel &k, mlir::Value image, mlir::Value at) const;
  bool readsInPlace() const { return inPlace; }
  /// Has the tensor itself stored, which `direct` reads.
  void store() const { lowering.storage(tensor); }
  /// The element that the window at output position `at` has under a tap, from the tensor itself: for devices, whose
  /// threads need no copy to read side by side.
  mlir::Value direct(Kernel &k, mlir::Value image, llvm::ArrayRef<mlir::Value> at,
                     llvm::ArrayRef<mlir::Value> tap) const;

  /// The window, where it has at most two axes of known lengths over elements that are used as they stand in memory,
  /// in float32.
  std::optional<FloatWindow> floatWindow() const;
  /// Where an image of the tensor itself begins.
  mlir::Value address(Kernel &k, mlir::Value image) const;

private:
  llvm::SmallVector<Dim> rowSpace() const;
  void copyRow(Kernel &k, mlir::Value image, llvm::ArrayRef<mlir::Value> row, mlir::Value base,
               mlir::Value start) const;

  Lowering &lowering;
  Dimensions &dims;
  mlir::Value tensor;
  Window window;
  mlir::Type type;
  bool inPlace;
  llvm::SmallVector<Dim> shape;             // of the tensor
  llvm::SmallVector<Dim> phases, positions; // of the copy
  mlir::Value storage, scratch;
};

} // namespace qcc
