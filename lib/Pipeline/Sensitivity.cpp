#include "Sensitivity.h"
#include "ProgressLine.h"
#include "RunMethod.h"
#include "qcc/Algorithm/BlockScales.h"
#include "qcc/Algorithm/Covariance.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Pack/WeightMatrix.h"
#include "qcc/Program/Divergence.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Threading.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static qnt::WeightOp weightOf(qnt::LinearOp op) { return op.getWeight().getDefiningOp<qnt::WeightOp>(); }

int64_t qcc::bytesOf(const LinearChoice &choice, const Format &format) {
  auto type = cast<RankedTensorType>(qnt::LinearOp(choice.op).getWeight().getType());
  return PackedLayout::of(format, type.getDimSize(0), type.getDimSize(1)).bytes();
}

FailureOr<OutputComparison::Outputs> OutputComparison::run(Program &program, size_t samples) {
  std::vector<std::string> names;
  for (const Manifest::Value &output : program.manifest().outputs)
    names.push_back(output.name);
  Outputs results;
  for (size_t i = 0; i < std::min(data.size(), samples); ++i) {
    auto result = runProgram(program, data[i], names);
    if (!result)
      return emitError(UnknownLoc::get(&c.context)) << "sample " << i << ": " << llvm::toString(result.takeError());
    results.push_back(std::move(*result));
  }
  return results;
}

LogicalResult OutputComparison::start(size_t samples) {
  if (failed(readSamples(c, data)))
    return failure();
  auto opened = ChangeableProgram::open(c, cache, c.module->clone());
  if (!opened)
    return emitError(UnknownLoc::get(&c.context))
           << "formats cannot be compared: " << llvm::toString(opened.takeError());
  changeable = std::move(*opened);
  auto results = run(changeable->program(), samples);
  if (failed(results))
    return failure();
  expected = std::move(*results);
  return success();
}

FailureOr<double> OutputComparison::compare(const Outputs &outputs) {
  Divergence divergence;
  std::string error;
  for (auto [reference, subject] : llvm::zip(expected, outputs))
    if (!divergence.add(reference, subject, error))
      return emitError(UnknownLoc::get(&c.context)) << error;
  if (double kld = divergence.kld(); !std::isnan(kld))
    return kld;
  double sum = 0;
  for (const auto &[name, relative] : divergence.relativeErrors())
    sum += relative * relative;
  return sum;
}

FailureOr<double> OutputComparison::harm(OwningOpRef<ModuleOp> changed, size_t samples) {
  auto program = openModule(c, cache, std::move(changed));
  if (!program)
    return emitError(UnknownLoc::get(&c.context))
           << "formats cannot be compared: " << llvm::toString(program.takeError());
  auto results = run(**program, samples);
  if (failed(results))
    return failure();
  return compare(*results);
}

FailureOr<double> OutputComparison::harmOf(size_t linear, ArrayRef<float> rows) {
  changeable->replace(linear, rows);
  auto results = run(changeable->program(), comparedSamples);
  changeable->restore();
  if (failed(results))
    return failure();
  return compare(*results);
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

/// What a weight becomes when it is rounded to nearest.
static std::vector<float> rounded(qnt::WeightOp weight, const Format &format) {
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  return decodeAll(format, format.encode(rowsOf(weight), type.getDimSize(0), type.getDimSize(1)));
}

/// All that an operation's harms depend on, besides the program and the data.
static std::string askedOf(const LinearChoice &choice, size_t index) {
  std::string text = "harms of " + std::to_string(index);
  for (const Format &format : choice.formats)
    text += " " + format.name;
  return text + " on " + std::to_string(OutputComparison::comparedSamples);
}

FailureOr<std::vector<std::vector<double>>> qcc::measureSensitivity(Compilation &c, OutputComparison &comparison,
                                                                    ArrayRef<LinearChoice> choices) {
  std::optional<GroupCache> known;
  if (failed(openCache(c, known)))
    return failure();
  if (known)
    known->start(*c.module, comparison.samples());
  std::vector<std::vector<double>> harms(choices.size());
  std::vector<std::string> keys(choices.size());
  llvm::DenseMap<Operation *, size_t> indices;
  size_t open = 0, done = 0;
  for (auto [i, choice] : llvm::enumerate(choices)) {
    indices[choice.op] = i;
    if (choice.formats.size() < 2)
      continue;
    if (known) {
      keys[i] = known->keyOf(askedOf(choice, i));
      if (auto numbers = known->loadNumbers(keys[i], choice.formats.size()))
        harms[i] = std::move(*numbers);
    }
    open += harms[i].empty();
  }
  ProgressLine line;
  auto openPiece = [&](OwningOpRef<ModuleOp> module) {
    return openModule(c, comparison.codeCache(), std::move(module));
  };
  auto visit = [&](LinearGroup &group, ReadActivations read) -> LogicalResult {
    auto isOpen = [&](Operation *op) { return choices[indices[op]].formats.size() > 1 && harms[indices[op]].empty(); };
    if (llvm::none_of(group.linears, isOpen))
      return success();
    const Activations *activations = read();
    if (!activations)
      return failure();
    Covariance sum(group.columns(), llvm::hardware_concurrency().compute_thread_count());
    for (size_t sample = 0; sample < activations->samples(); ++sample)
      sum.add((*activations)[sample]);
    std::vector<double> covariance = sum.release();
    for (qnt::LinearOp op : group.linears) {
      if (!isOpen(op))
        continue;
      size_t i = indices[op];
      const LinearChoice &choice = choices[i];
      std::vector<double> errors = errorsOf(choice, covariance.data());
      auto smallest = llvm::min_element(
          choice.formats, [&](const Format &a, const Format &b) { return bytesOf(choice, a) < bytesOf(choice, b); });
      double error = errors[size_t(smallest - choice.formats.begin())];
      auto harm = comparison.harmOf(i, rounded(weightOf(op), *smallest));
      if (failed(harm))
        return failure();
      // Outputs feel an error by its energy, as long as it is small.
      for (double &energy : errors)
        energy *= error > 0 ? std::max(*harm, 0.0) / error : 0;
      harms[i] = std::move(errors);
      if (known)
        known->storeNumbers(keys[i], harms[i], op.getLoc());
      ++done;
      line.show(llvm::formatv("{0} of {1} operations' formats compared", done, open).str(),
                double(done) / double(open));
      c.releaseMemory();
    }
    return success();
  };
  if (failed(visitGroups(*c.module, comparison.samples(), openPiece, visit)))
    return failure();
  return harms;
}
