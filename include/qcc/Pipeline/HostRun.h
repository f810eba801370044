// Running a compiled program inside the compiler: what is constant is computed by the code that would compute it.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// One result of a program.
struct HostTensor {
  std::vector<int64_t> dims;
  std::vector<char> bytes; // elements as the program stores them
};

/// Runs a program without inputs and states that was compiled for this machine, on this thread. `outputTypes` are those
/// of `main`'s results.
llvm::Expected<std::vector<HostTensor>> runOnHost(const Compilation &compilation,
                                                  llvm::ArrayRef<mlir::Type> outputTypes);

/// Replaces every node whose operands are all constants by its value, where that does not blow up the model.
mlir::LogicalResult foldConstants(Compilation &compilation);

} // namespace qcc
