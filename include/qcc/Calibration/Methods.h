// The methods that choose the numbers of quantized weights, and what each needs.
#pragma once

#include "qcc/Calibration/GroupCache.h"

namespace qcc {

/// One step of a method.
struct MethodRow {
  enum Kind {
    OfConvolutions,   // it changes convolutions alone, and has no part in what linear operations get
    ScalesInput,      // it scales the input of a group of linear operations
    ChoosesScales,    // it chooses the scales of blocks for the step that rounds
    Rounds,           // it rounds weights, with those scales where there are any
    RoundsByOwnScales // it rounds weights, with scales that it chooses itself
  };
  enum Needs { Nothing, Statistics, Covariance }; // of activations; each what stands before it too
  llvm::StringRef name, sentence;
  Kind kind;
  Needs needs;
  /// Whether it changes float32 weights too.
  bool isForFloats;
  llvm::Error (*apply)(MethodGroup &group); // null of convolutions

  bool rounds() const { return kind == Rounds || kind == RoundsByOwnScales; }
};

/// All steps, for `--print-methods`.
llvm::ArrayRef<MethodRow> allMethods();

/// Of a linear operation, how the numbers of its weight are chosen; rounding to nearest where it is absent.
inline constexpr llvm::StringLiteral methodAttr = "qnt.method";
/// In place of a method, where the weight has the codes that the model came with.
inline constexpr llvm::StringLiteral keptMethod = "kept";

/// Steps in order: any number that scale inputs, one that chooses scales of blocks or none, then one that rounds;
/// rounding to nearest when there is none.
class Method {
public:
  /// Of text such as `awq+gptq`, or `smoothquant=0.8+gptq` with SmoothQuant's α.
  static llvm::Expected<Method> parse(llvm::StringRef text);

  bool needsData() const { return needs() != MethodRow::Nothing; }
  MethodRow::Needs needs() const;
  /// Whether a step scales inputs.
  bool scalesInputs() const;
  /// Whether there is anything to do but to round to nearest.
  bool isTrivial() const;
  /// Whether it leaves weights of the format other than rounding to nearest does.
  bool changes(const Format &format) const;
  /// Without the steps of convolutions alone.
  Method ofLinears() const;
  bool has(llvm::StringRef step) const;
  /// As `parse` reads it.
  std::string name() const;
  llvm::ArrayRef<const MethodRow *> steps() const { return rows; }
  /// SmoothQuant's α, where it is given and not searched for.
  std::optional<double> alpha() const { return givenAlpha; }

private:
  llvm::SmallVector<const MethodRow *> rows;
  std::optional<double> givenAlpha;
};

/// How well one weight was quantized.
struct WeightQuality {
  mlir::Value weight;
  double signalToNoise; // dB
};

/// How far `applyMethods` is: groups, and their weights.
struct MethodProgress {
  size_t done = 0, all = 0, fromCache = 0;
  double weightsDone = 0, weightsAll = 0; // that were not in the cache
};

/// What a compute type rounds the input of a linear operation to, whose weight has a format; nothing where it does not.
using ActivationFormat = llvm::function_ref<std::optional<Format>(llvm::StringRef act, const Format &weights,
                                                                  int64_t outputs, int64_t inputs)>;

/// Quantizes the linear operations of `main` that have a method, whose weights have a format and no codes yet. Where no
/// method needs data, `samples` may be null; `cache` may be. What is scaled is divided where it is read, which
/// `foldInputScales` takes into what makes it where that can be.
mlir::FailureOr<std::vector<WeightQuality>> applyMethods(mlir::ModuleOp module, const Samples *samples, OpenModule open,
                                                         GroupCache *cache, ActivationFormat activationFormat,
                                                         llvm::function_ref<void(const MethodProgress &)> progress);

/// The first method of an operation that needs data; nothing where none does.
std::optional<Method> methodThatNeedsData(mlir::ModuleOp module);

/// Marks the multiplication by which a method scales the input of a group.
inline constexpr llvm::StringLiteral inputScaleAttr = "qnt.input_scale";

/// Multiplications of a normalization's result by a constant for each channel become part of the normalization's own
/// scale (and bias). Returns those that could not be: they stay as they are.
llvm::SmallVector<mlir::Operation *> foldInputScales(mlir::ModuleOp module);

} // namespace qcc
