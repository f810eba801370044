// One compilation: the options, the module on its way through the states, and what goes into the artifact.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qcc/Artifact/Writer.h"
#include "qcc/Program/Divergence.h"
#include "qcc/Target/Codegen.h"
#include <map>

namespace qcc {

struct CompileOptions {
  std::string model; // path of the ONNX file or its folder
  std::vector<std::string> targets = {"native"};
  std::string recipe;             // path of a file of rules; what follows is for what no rule chooses
  std::string format = "float32"; // as formats are spelled
  std::string headFormat;         // of linear operations that give the program's outputs; empty: chosen
  std::string method = "rtn";     // how the numbers of quantized weights are chosen
  std::string act = "auto";       // compute type of activations
  std::string ranges = "minmax";  // how static scales are made of what was seen on data
  std::string budget;             // of formats that are chosen among several: 4.5bpw, 80MB or 2.5ms; empty: none
  double mostDivergence = 0;      // KL divergence that chosen formats may have; 0: whatever the budget allows
  bool raises = true;             // whether operators are rewritten, and not lowered as they stand in the file
  bool quantizes = true;          // whether products with constants become linear operations
  bool exports = false;           // whether the program keeps to ONNX's own operators, to become a file of them
  bool requiresNative = false;    // whether products that a target has no instruction for are an error
  bool plansOnly = false;         // nothing is to be computed from weights or data
  std::string lastLogits;         // the output that is computed for the last position alone; empty: none
  bool states = true;             // whether KV caches become states of the session
  std::string cacheFormat;        // of those, or of keys and of values: "int8,int4"; empty: the model's own type
  std::map<std::string, std::string> files; // further parts of the artifact: name in it, path
  std::map<std::string, int64_t> lengths;   // of dimensions, by their names, for which the plan counts memory
  std::vector<std::string> calibration;     // npz files of inputs
  std::string calibrationCache;             // a folder for what methods have made; empty: none
  std::string codeCache;                    // a folder for generated code; empty: none
  size_t measuredSamples = 8;               // of the calibration data, that the quality in the manifest is measured on
  std::string dumpStatesTo, dumpKernelsTo;  // folders; empty: nothing is dumped
};

class CodeCache;

/// Code for one target on its way.
struct TargetCode {
  TargetFacts facts;
  mlir::OwningOpRef<mlir::ModuleOp> module; // tiled, then lowered
  llvm::SmallVector<char, 0> object;        // the shared object
  llvm::SmallVector<char, 0> deviceCode;    // PTX, where the target is a device
  std::vector<std::string> nodes;           // by the numbers of run-time errors
  std::string cacheKey;                     // of the tiled program, where code is kept
};

/// A model on its way from file to artifact. Errors are diagnostics of the context.
class Compilation {
public:
  Compilation(mlir::MLIRContext &context, CompileOptions options) : context(context), options(std::move(options)) {}

  mlir::MLIRContext &context;
  CompileOptions options;
  mlir::OwningOpRef<mlir::ModuleOp> module; // until it is tiled for each target
  std::vector<TargetCode> code;
  std::vector<std::string> filesRead;                      // of the model: its own file and its external data
  std::vector<std::shared_ptr<class MappedFile>> mappings; // of those files
  Manifest manifest;
  CodeCache *codeCache = nullptr;              // of code that equal programs may share; somebody else's, or none
  std::shared_ptr<CodeCache> ownCodeCache;     // where nobody else's is there, but a folder
  llvm::DenseMap<mlir::Value, double> quality; // of rounded weights: signal-to-noise ratio in dB
  std::optional<Divergence> divergence;        // from the float program, where it was measured
  WeightLayout weights;
  std::vector<mlir::Value> weightOrder; // the tensors of `weights`, in order

  /// Writes the artifact; the last state must have been reached. `mayFinish` is asked when every weight has been packed
  /// and the file is about to get its name; when it fails, there is no file.
  mlir::LogicalResult write(llvm::StringRef path, llvm::function_ref<mlir::LogicalResult()> mayFinish = nullptr);

  /// Lets go of memory that is not in use: of the model's mapped files, which are read again where they are still
  /// needed, and what the allocator keeps of compiled parts.
  void releaseMemory();

  /// The size that `write` will give the artifact, to the byte; without the scales of inputs that a method adds where
  /// `plansOnly` keeps it from running.
  mlir::FailureOr<int64_t> artifactBytes();

private:
  mlir::LogicalResult writeParts(ArtifactWriter &writer, bool withWeights, size_t manifestBytes,
                                 llvm::function_ref<mlir::LogicalResult()> mayFinish);
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

/// Prints the state that a compilation has reached; unless it `isWhole`, without large weights and nodes' names.
void printState(const Compilation &compilation, bool isWhole, llvm::raw_ostream &os);

/// The state, of the first target where it has several, as MLIR's bytecode, weights and all.
llvm::Error encodeState(const Compilation &compilation, llvm::raw_ostream &os);

/// Reads a program in a state, as `printState` or `encodeState` has written it, from the file `options.model`. Weights
/// that were left out are missed by the stage that needs them.
mlir::LogicalResult readState(Compilation &compilation, llvm::StringRef state);

/// Takes a compilation from the state after `from` (empty: from the model's file) to `to`; contracts are checked on the
/// way, that of `from` too.
mlir::LogicalResult runStages(Compilation &compilation, llvm::StringRef from, llvm::StringRef to);

} // namespace qcc
