// One compilation: the options, the module on its way through the states, and what goes into the artifact.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qcc/Artifact/Writer.h"
#include "qcc/Target/Codegen.h"
#include <map>

namespace qcc {

struct CompileOptions {
  std::string model; // path of the ONNX file or its folder
  std::vector<std::string> targets = {"native"};
  std::string format = "float32";           // as formats are spelled
  std::string headFormat;                   // of linear operations that give the program's outputs; empty: chosen
  std::string act = "auto";                 // compute type of activations
  bool quantizes = true;                    // whether products with constants become linear operations
  bool states = true;                       // whether KV caches become states of the session
  std::map<std::string, std::string> files; // further parts of the artifact: name in it, path
};

/// Code for one target on its way.
struct TargetCode {
  TargetFacts facts;
  mlir::OwningOpRef<mlir::ModuleOp> module; // tiled, then lowered
  llvm::SmallVector<char, 0> object;        // the shared object
  std::vector<std::string> nodes;           // by the numbers of run-time errors
};

/// A model on its way from file to artifact. Errors are diagnostics of the context.
class Compilation {
public:
  Compilation(mlir::MLIRContext &context, CompileOptions options) : context(context), options(std::move(options)) {}

  mlir::MLIRContext &context;
  CompileOptions options;
  mlir::OwningOpRef<mlir::ModuleOp> module; // until it is tiled for each target
  std::vector<TargetCode> code;
  Manifest manifest;
  std::map<std::string, double> quality; // of quantized weights: signal-to-noise ratio in dB
  WeightLayout weights;
  std::vector<mlir::Value> weightOrder; // the tensors of `weights`, in order

  /// Writes the artifact; the last state must have been reached.
  mlir::LogicalResult write(llvm::StringRef path);
};

/// A state of the program: see docs/states.md, which is made from this table.
struct Stage {
  llvm::StringRef name;
  llvm::StringRef sentence;                                   // what is true of the IR in this state
  std::function<mlir::LogicalResult(Compilation &)> build;    // from the state before
  std::function<mlir::LogicalResult(Compilation &)> contract; // checked when the state is reached
};

/// All states, in order.
llvm::ArrayRef<Stage> allStages();

/// Takes a compilation from the state after `from` (empty: from the file) to `to`; contracts are checked on the way.
mlir::LogicalResult runStages(Compilation &compilation, llvm::StringRef from, llvm::StringRef to);

} // namespace qcc
