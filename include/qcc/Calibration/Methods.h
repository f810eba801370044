// The methods that choose the numbers of quantized weights, and what each needs.
#pragma once

#include "qcc/Calibration/Calibration.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// One step of a method: it scales the input of a group of linear operations, or it rounds their weights; or it is one
/// of convolutions alone.
struct MethodRow {
  llvm::StringRef name, sentence;
  bool rounds;    // otherwise it scales
  bool needsData; // activations
  bool ofConvolutions = false;
};

/// All steps, for `--print-methods`.
llvm::ArrayRef<MethodRow> allMethods();

/// Of a linear operation, how the numbers of its weight are chosen; rounding to nearest where it is absent.
inline constexpr llvm::StringLiteral methodAttr = "qnt.method";
/// In place of a method, where the weight has the codes that the model came with.
inline constexpr llvm::StringLiteral keptMethod = "kept";

/// Steps in order: any number that scale, then one that rounds; rounding to nearest when there is none.
class Method {
public:
  /// Of text such as `awq+gptq`, or `smoothquant=0.8+gptq` with SmoothQuant's α.
  static llvm::Expected<Method> parse(llvm::StringRef text);

  bool needsData() const;
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

/// Quantizes the linear operations of `main` that have a method, whose weights have a format and no codes yet. Where no
/// method needs data, `samples` may be null. What is scaled is divided where it is read, which `foldInputScales` takes
/// into what makes it where that can be. `progress` is called with the number of groups that are done, and all.
mlir::FailureOr<std::vector<WeightQuality>> applyMethods(mlir::ModuleOp module, const Samples *samples, OpenModule open,
                                                         llvm::function_ref<void(size_t, size_t)> progress);

/// The first method of an operation that needs data; nothing where none does.
std::optional<Method> methodThatNeedsData(mlir::ModuleOp module);

/// Marks the multiplication by which a method scales the input of a group.
inline constexpr llvm::StringLiteral inputScaleAttr = "qnt.input_scale";

/// Multiplications of a normalization's result by a constant for each channel become part of the normalization's own
/// scale (and bias). Returns those that could not be: they stay as they are.
llvm::SmallVector<mlir::Operation *> foldInputScales(mlir::ModuleOp module);

} // namespace qcc
