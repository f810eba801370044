// The methods that choose the numbers of quantized weights, and what each needs.
#pragma once

#include "qcc/Calibration/Calibration.h"

namespace qcc {

/// One step of a method: it scales the input of a group of linear operations, or it rounds their weights.
struct MethodRow {
  llvm::StringRef name, sentence;
  bool rounds;    // otherwise it scales
  bool needsData; // activations
};

/// All steps, for `--print-methods`.
llvm::ArrayRef<MethodRow> allMethods();

/// Steps in order: any number that scale, then one that rounds; rounding to nearest when there is none.
class Method {
public:
  /// Of text such as `awq+gptq`.
  static llvm::Expected<Method> parse(llvm::StringRef text);

  bool needsData() const;
  /// Whether there is anything to do but to round to nearest.
  bool isTrivial() const;
  llvm::ArrayRef<const MethodRow *> steps() const { return rows; }

private:
  llvm::SmallVector<const MethodRow *> rows;
};

/// How well one weight was quantized.
struct WeightQuality {
  mlir::Value weight;
  double signalToNoise; // dB
};

/// Quantizes the linear operations of `main` whose weights have a format and no codes yet. Where the method needs no
/// data, `samples` may be null. What is scaled is divided where it is read, which `foldInputScales` takes into what
/// makes it where that can be. `progress` is called with the number of groups that are done, and all.
mlir::FailureOr<std::vector<WeightQuality>> applyMethod(mlir::ModuleOp module, const Method &method,
                                                        const Samples *samples, OpenModule open,
                                                        llvm::function_ref<void(size_t, size_t)> progress);

/// Multiplications of a normalization's result by a constant for each channel become part of the normalization's own
/// scale (and bias). Returns those that could not be: they stay as they are.
llvm::SmallVector<mlir::Operation *> foldInputScales(mlir::ModuleOp module);

} // namespace qcc
