// Results whose elements stand in one operand, each at an affine function of its index: nothing is computed.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// Where the element of a result at an index stands: along operand axis a at offset + step * index[from], or at offset
/// alone where `from` is -1.
struct View {
  struct Axis {
    int from;
    Dim offset, step;
  };
  llvm::SmallVector<Axis> axes;
};

/// The view of operand 0 that a node is.
using ViewRule = std::function<View(const Node &)>;

/// Keeps a view with its node, and reads it back.
void resolveView(Infer &infer, const View &view);
View resolvedView(const Node &node);

/// Adds an operator that is a view of operand 0. A consumer computes it in place where that keeps consecutive elements
/// consecutive; else it is copied, through tiles where it transposes.
void addView(OperatorRegistry &registry, llvm::StringRef domain, llvm::StringRef type,
             std::function<mlir::LogicalResult(Infer &)> infer, ViewRule rule);

/// What a result of the dimensions given holds when element i of it is element source(i) of `contents`, row-major; null
/// when a dimension is not constant or the result is too long to be followed.
std::optional<llvm::SmallVector<Dim>> selectContents(llvm::ArrayRef<Dim> dims, llvm::ArrayRef<Dim> contents,
                                                     llvm::function_ref<int64_t(llvm::ArrayRef<int64_t>)> source);

} // namespace qcc
