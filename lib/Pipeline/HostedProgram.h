// A program that the compiler has made, run by the compiler: to compare it and to observe it.
#pragma once

#include "CodeCache.h"
#include "qcc/Pipeline/Compilation.h"
#include "qcc/Program/Program.h"
#include "qcc/Program/Samples.h"

namespace qcc {

/// Opens a compilation that has reached its last state. The artifact's file is gone when the function returns: the
/// program keeps what it has mapped.
llvm::Expected<std::unique_ptr<Program>> openProgram(Compilation &compilation);

/// Compiles a quantized module for this machine and opens it.
llvm::Expected<std::unique_ptr<Program>> openModule(Compilation &compilation, CodeCache &cache,
                                                    mlir::OwningOpRef<mlir::ModuleOp> module);

/// The calibration data, for the inputs of the program as it is now.
mlir::LogicalResult readSamples(Compilation &compilation, Samples &samples);

/// Runs a program and takes outputs, by their names.
llvm::Expected<std::vector<NpzArray>> runProgram(Program &program, const std::vector<NpzArray> &inputs,
                                                 const std::vector<std::string> &outputs);

} // namespace qcc
