// A program that the compiler has made, run by the compiler: to compare it and to observe it.
#pragma once

#include "qcc/CodeCache/CodeCache.h"
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

/// A program that is run with one weight after another replaced. Its file is gone when it is closed.
class ChangeableProgram {
public:
  /// A module whose linear operations are in float32.
  static llvm::Expected<std::unique_ptr<ChangeableProgram>> open(Compilation &compilation, CodeCache &cache,
                                                                 mlir::OwningOpRef<mlir::ModuleOp> module);
  ~ChangeableProgram();

  Program &program() { return *opened; }
  /// Puts rows in place of the weight of a linear operation, which are counted in program order, until `restore`.
  /// Weights of several may be replaced, each once.
  void replace(size_t linear, llvm::ArrayRef<float> rows);
  void restore();

private:
  ChangeableProgram() = default;
  struct Place {
    int64_t rows, columns, offset; // in the file
  };
  std::unique_ptr<Program> opened;
  std::vector<Place> places;
  char *file = nullptr; // shared with the program, which sees what is written
  size_t size = 0;
  std::vector<std::pair<int64_t, std::vector<char>>> originals; // of the weights that are replaced, by their offsets
};

/// The calibration data, for the inputs of the program as it is now.
mlir::LogicalResult readSamples(Compilation &compilation, Samples &samples);

/// Runs a program and takes outputs, by their names.
llvm::Expected<std::vector<NpzArray>> runProgram(Program &program, const std::vector<NpzArray> &inputs,
                                                 const std::vector<std::string> &outputs);

} // namespace qcc
