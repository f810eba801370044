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

/// A copy of the program whose linear operations are multiplied in float32, with the weights that they have.
mlir::OwningOpRef<mlir::ModuleOp> floatCopy(mlir::ModuleOp module);

/// What one group reads: a matrix of tokens for each sample, which is there until the next one is asked for.
class Activations {
public:
  virtual ~Activations() = default;
  virtual size_t samples() const = 0;
  virtual MatrixView operator[](size_t sample) const = 0;
};

/// Compiles a quantized module for this machine.
using OpenModule = llvm::function_ref<llvm::Expected<std::unique_ptr<Program>>(mlir::OwningOpRef<mlir::ModuleOp>)>;

/// Gives the activations that a group reads, which may take a run of all that comes before; null, and reported, where
/// they cannot be had.
using ReadActivations = llvm::function_ref<const Activations *()>;

/// May change the group's weights, and what stands between them and `x`: the program goes on with what is left.
using VisitGroup = llvm::function_ref<mlir::LogicalResult(LinearGroup &group, ReadActivations activations)>;

/// Visits the groups of `main` in order. What a group reads is made when it is asked for, by the groups before as
/// visits have left them: the pieces of the program between groups are compiled and run on every sample, each once. No
/// more is kept than the values that are still needed, for all samples, and on disk where they are many. The samples
/// are of the program's own signature; its states are empty before each.
mlir::LogicalResult visitGroups(mlir::ModuleOp module, const Samples &samples, OpenModule open, VisitGroup visit);

} // namespace qcc
