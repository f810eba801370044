// Running a program on data a piece at a time, to see what its linear operations read and to change them on the way.
#pragma once

#include "dialects/qnt/Qnt.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Program/Program.h"
#include "qcc/Program/Samples.h"

namespace qcc {

/// Linear operations that read the same value, in program order.
struct LinearGroup {
  mlir::Value x;
  llvm::SmallVector<qnt::LinearOp> linears;

  /// Inputs of each operation.
  int64_t columns() const;
};

/// The groups of `main`, in the order of their first operations.
llvm::SmallVector<LinearGroup> linearGroups(mlir::ModuleOp module);

/// What one group reads: a matrix of tokens for each sample.
class Activations {
public:
  virtual ~Activations() = default;
  virtual size_t samples() const = 0;
  virtual MatrixView operator[](size_t sample) const = 0;
};

/// Compiles a quantized module for this machine.
using OpenModule = llvm::function_ref<llvm::Expected<std::unique_ptr<Program>>(mlir::OwningOpRef<mlir::ModuleOp>)>;

/// May change the group's weights, and what stands between them and `x`: the program goes on with what is left.
using VisitGroup = llvm::function_ref<mlir::LogicalResult(LinearGroup &group, const Activations &activations)>;

/// Runs `main` on every sample, from one group to the next: `visit` gets what a group reads, which is made by the
/// groups before as visits have left them; then the group and what follows it are compiled and run. So every operation
/// runs once, and no more is kept than the values that are still needed, for all samples. The samples are of the
/// program's own signature; its states are empty before each.
mlir::LogicalResult visitGroups(mlir::ModuleOp module, const Samples &samples, OpenModule open, VisitGroup visit);

} // namespace qcc
