#include "qcc/Calibration/MethodErrors.h"
#include "InputMakers.h"
#include "qcc/Pack/WeightMatrix.h"
#include "llvm/Support/Threading.h"

using namespace mlir;
using namespace qcc;

/// Rows that stand for a matrix: enough for the mean of their errors, which are much alike.
static constexpr int64_t triedRows = 64;

static qnt::WeightOp weightOf(qnt::LinearOp linear) { return linear.getWeight().getDefiningOp<qnt::WeightOp>(); }

/// Evenly spread rows of a weight; all where blocks span rows.
static std::vector<float> someRows(qnt::WeightOp weight, ArrayRef<Format> formats) {
  std::vector<float> matrix = rowsOf(weight);
  int64_t rows = cast<RankedTensorType>(weight.getResult().getType()).getDimSize(0);
  auto spansRows = [](const Format &format) { return format.blockRows > 1; };
  if (rows <= triedRows || llvm::any_of(formats, spansRows))
    return matrix;
  const size_t columns = matrix.size() / size_t(rows);
  std::vector<float> some;
  for (int64_t i = 0; i < triedRows; ++i) {
    auto begin = matrix.begin() + int64_t(columns) * ((2 * i + 1) * rows / (2 * triedRows));
    some.insert(some.end(), begin, begin + int64_t(columns));
  }
  return some;
}

/// The error of the group's codes; 0 where it has none.
static double errorOf(const MethodGroup &group, size_t index) {
  const EncodedMatrix *codes = group.codes(index);
  return codes ? outputError(group.matrix(index), decodeAll(group.format(), *codes), group.covariance()) : 0;
}

llvm::Expected<std::vector<FormatErrors>> qcc::methodErrors(const LinearGroup &operations, const Method &method,
                                                            ArrayRef<Format> formats, size_t middle,
                                                            const std::optional<Format> &rounded,
                                                            const Activations &activations) {
  std::vector<std::vector<float>> matrices;
  bool isShared = false;
  for (qnt::LinearOp linear : operations.linears) {
    matrices.push_back(someRows(weightOf(linear), formats));
    isShared |= !weightOf(linear)->hasOneUse();
  }
  MethodGroup group(formats[middle], std::move(matrices), operations.columns(),
                    llvm::hardware_concurrency().compute_thread_count());
  group.setActivations(rounded, method.alpha());
  if (auto maker = makerOfInput(operations))
    group.setTies(maker->rows);
  if (llvm::Error error = group.observe(activations, /*withCovariance=*/true))
    return std::move(error);
  std::vector<FormatErrors> errors(group.size());
  const MethodRow *nearest = allMethods().begin();
  if (llvm::Error error = nearest->apply(group))
    return std::move(error);
  for (auto [i, made] : llvm::enumerate(errors))
    made.toNearest = errorOf(group, i);
  for (const MethodRow *step : method.steps())
    if (step->kind == MethodRow::ScalesInput && group.rounds() && !isShared)
      if (llvm::Error error = step->apply(group))
        return std::move(error);
  // From 8 bits on it hardly matters how a weight is rounded.
  constexpr unsigned manyBits = 8;
  for (const Format &format : formats) {
    group.startOver(format);
    bool isFine = format.element->bits() >= manyBits;
    for (const MethodRow *step : method.steps()) {
      if (step->kind == MethodRow::ScalesInput || step->kind == MethodRow::OfConvolutions || !group.rounds() ||
          (isFine && !step->rounds()))
        continue;
      if (llvm::Error error = (isFine ? nearest : step)->apply(group))
        return std::move(error);
    }
    for (auto [i, made] : llvm::enumerate(errors))
      made.byMethod.push_back(errorOf(group, i));
  }
  return errors;
}
