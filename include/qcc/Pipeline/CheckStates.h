// Every state of a program compared with the one before it, on data.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Compiles `model` up to each state and takes the shortest way from there to code that runs: the imported graph node
/// by node, the canonical program, the quantized one in its reference semantics (its weights as they decode, everything
/// in float32), the same as it is tiled and lowered with every value kept, and the whole artifact. Each is run on the
/// first sample of `data`, an npz file of inputs, and compared with the one before, value by value, by the names of the
/// nodes; `os` gets a line for each pair of states.
///
/// Returns whether every value is within `tolerance`, a relative error ‖a−b‖/‖b‖, of the state before; otherwise the
/// first that is not has been reported by its node's name. Quantizing is a change of the program: its error is printed
/// and not judged. `integerTolerance` is for programs that multiply quantized activations.
struct StateTolerances {
  double real = 1e-4;
  double integer = 0.2;
};
mlir::FailureOr<bool> checkStates(mlir::MLIRContext &context, const CompileOptions &options, llvm::StringRef data,
                                  const StateTolerances &tolerances, llvm::raw_ostream &os);

} // namespace qcc
