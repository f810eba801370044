#include "Sensitivity.h"
#include "qcc/Algorithm/BlockScales.h"
#include "qcc/Algorithm/Covariance.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Pack/WeightMatrix.h"
#include "qcc/Program/Divergence.h"
#include "llvm/Support/Threading.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static qnt::WeightOp weightOf(qnt::LinearOp op) { return op.getWeight().getDefiningOp<qnt::WeightOp>(); }

int64_t qcc::bytesOf(const LinearChoice &choice, const Format &format) {
  auto type = cast<RankedTensorType>(qnt::LinearOp(choice.op).getWeight().getType());
  return PackedLayout::of(format, type.getDimSize(0), type.getDimSize(1)).bytes();
}

FailureOr<std::vector<std::vector<NpzArray>>> OutputComparison::run(OwningOpRef<ModuleOp> module, size_t samples) {
  auto loc = UnknownLoc::get(&c.context);
  auto program = openModule(c, cache, std::move(module));
  if (!program)
    return emitError(loc) << "formats cannot be compared: " << llvm::toString(program.takeError());
  std::vector<std::string> outputs;
  for (const Manifest::Value &output : (*program)->manifest().outputs)
    outputs.push_back(output.name);
  std::vector<std::vector<NpzArray>> results;
  for (size_t i = 0; i < std::min(data.size(), samples); ++i) {
    auto result = runProgram(**program, data[i], outputs);
    if (!result)
      return emitError(loc) << "sample " << i << ": " << llvm::toString(result.takeError());
    results.push_back(std::move(*result));
  }
  return results;
}

LogicalResult OutputComparison::start(size_t samples) {
  if (failed(readSamples(c, data)))
    return failure();
  auto results = run(c.module->clone(), samples);
  if (failed(results))
    return failure();
  expected = std::move(*results);
  return success();
}

FailureOr<double> OutputComparison::harm(OwningOpRef<ModuleOp> changed, size_t samples) {
  auto results = run(std::move(changed), samples);
  if (failed(results))
    return failure();
  Divergence divergence;
  std::string error;
  for (auto [reference, subject] : llvm::zip(expected, *results))
    if (!divergence.add(reference, subject, error))
      return emitError(UnknownLoc::get(&c.context)) << error;
  if (double kld = divergence.kld(); !std::isnan(kld))
    return kld;
  double sum = 0;
  for (const auto &[name, relative] : divergence.relativeErrors())
    sum += relative * relative;
  return sum;
}

/// The energy of each format's error at the operation's output.
static std::vector<double> errorsOf(const LinearChoice &choice, const double *covariance) {
  qnt::WeightOp weight = weightOf(choice.op);
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  std::vector<float> rows = rowsOf(weight);
  MatrixView matrix(rows, type.getDimSize(0), type.getDimSize(1));
  std::vector<double> errors;
  for (const Format &format : choice.formats)
    errors.push_back(
        outputError(matrix, decodeAll(format, format.encode(rows, matrix.rows, matrix.columns)), covariance));
  return errors;
}

static qnt::LinearOp linearAt(ModuleOp module, size_t index) {
  qnt::LinearOp found;
  module.walk([&](qnt::LinearOp op) {
    if (index-- > 0)
      return WalkResult::advance();
    found = op;
    return WalkResult::interrupt();
  });
  return found;
}

/// The harm of rounding one weight to a format.
static FailureOr<double> harmOf(Compilation &c, OutputComparison &comparison, size_t index, const Format &format) {
  OwningOpRef<ModuleOp> changed = c.module->clone();
  qnt::WeightOp weight = weightOf(linearAt(*changed, index));
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  setRows(weight, decodeAll(format, format.encode(rowsOf(weight), type.getDimSize(0), type.getDimSize(1))));
  return comparison.harm(std::move(changed));
}

FailureOr<std::vector<std::vector<double>>> qcc::measureSensitivity(Compilation &c, OutputComparison &comparison,
                                                                    ArrayRef<LinearChoice> choices) {
  std::vector<std::vector<double>> errors(choices.size());
  llvm::DenseMap<Operation *, size_t> indices;
  for (auto [i, choice] : llvm::enumerate(choices))
    indices[choice.op] = i;
  auto open = [&](OwningOpRef<ModuleOp> module) { return openModule(c, comparison.codeCache(), std::move(module)); };
  auto visit = [&](LinearGroup &group, ReadActivations read) -> LogicalResult {
    if (llvm::none_of(group.linears, [&](Operation *op) { return choices[indices[op]].formats.size() > 1; }))
      return success();
    const Activations *activations = read();
    if (!activations)
      return failure();
    Covariance sum(group.columns(), llvm::hardware_concurrency().compute_thread_count());
    for (size_t sample = 0; sample < activations->samples(); ++sample)
      sum.add((*activations)[sample]);
    std::vector<double> covariance = sum.release();
    for (qnt::LinearOp op : group.linears)
      if (size_t i = indices[op]; choices[i].formats.size() > 1)
        errors[i] = errorsOf(choices[i], covariance.data());
    return success();
  };
  if (failed(visitGroups(*c.module, comparison.samples(), open, visit)))
    return failure();
  for (size_t i = 0; i < choices.size(); ++i) {
    const LinearChoice &choice = choices[i];
    if (errors[i].empty())
      continue;
    auto smallest = llvm::min_element(
        choice.formats, [&](const Format &a, const Format &b) { return bytesOf(choice, a) < bytesOf(choice, b); });
    double error = errors[i][smallest - choice.formats.begin()];
    auto harm = harmOf(c, comparison, i, *smallest);
    if (failed(harm))
      return failure();
    // Outputs feel an error by its energy, as long as it is small.
    for (double &energy : errors[i])
      energy *= error > 0 ? std::max(*harm, 0.0) / error : 0;
  }
  return errors;
}
