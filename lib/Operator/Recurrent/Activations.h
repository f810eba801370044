// The activation functions of recurrent operators, by their names.
#pragma once

#include "qcc/Operator/Node.h"
#include "qcc/Tile/Real.h"

namespace qcc {

/// An activation with its parameters.
struct RecurrentActivation {
  llvm::StringRef name;
  double alpha, beta;
  Real operator()(const Real &x) const;
};

/// The activations of each direction in turn: the attribute's, or `defaults` for every direction. activation_alpha and
/// activation_beta are handed out in order to those that have such a parameter. Reports an unknown name.
mlir::FailureOr<llvm::SmallVector<RecurrentActivation>> activationsOf(const Node &node, int64_t directions,
                                                                      llvm::ArrayRef<llvm::StringRef> defaults);

} // namespace qcc
