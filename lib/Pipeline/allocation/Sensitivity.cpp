#include "Sensitivity.h"
#include "../ProgressLine.h"
#include "../QuantizeWeights.h"
#include "../RunMethod.h"
#include "qcc/Algorithm/BlockScales.h"
#include "qcc/Calibration/MethodErrors.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Pack/WeightMatrix.h"
#include "qcc/Program/Divergence.h"
#include "qcc/Target/Linear.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <numeric>

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
  auto first = run(changeable->program(), 1);
  if (failed(first))
    return failure();
  if (!first->front().empty()) {
    ArrayRef<int64_t> shape = first->front().front().shape;
    for (int64_t size : shape.drop_back(shape.empty() ? 0 : 1))
      rowsOfSample *= std::max<int64_t>(1, size);
  }
  auto results = run(changeable->program(), std::max(samples, samplesOf(comparedRows).size()));
  if (failed(results))
    return failure();
  expected = std::move(*results);
  return success();
}

Samples OutputComparison::samplesOf(int64_t rows) const {
  Samples some = data;
  some.truncate(size_t((rows + rowsOfSample - 1) / rowsOfSample));
  return some;
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

FailureOr<double> OutputComparison::harmOf(ArrayRef<std::pair<size_t, std::vector<float>>> weights) {
  for (const auto &[linear, rows] : weights)
    changeable->replace(linear, rows);
  auto results = run(changeable->program(), samplesOf(comparedRows).size());
  changeable->restore();
  if (failed(results))
    return failure();
  return compare(*results);
}

/// What a weight becomes when it is rounded to nearest.
static std::vector<float> rounded(qnt::WeightOp weight, const Format &format) {
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  return decodeAll(format, format.encode(rowsOf(weight), type.getDimSize(0), type.getDimSize(1)));
}

static bool sameFormats(const LinearChoice &a, const LinearChoice &b) {
  return llvm::equal(a.formats, b.formats, [](const Format &x, const Format &y) { return x.name == y.name; });
}

std::vector<ChoiceUnit> qcc::unitsOf(ArrayRef<LinearChoice> choices) {
  std::vector<ChoiceUnit> units;
  for (size_t i = 0; i < choices.size(); ++i) {
    const LinearChoice &choice = choices[i];
    if (choice.formats.size() < 2)
      continue;
    bool scales = choice.method.scalesInputs();
    Value x = qnt::LinearOp(choice.op).getX();
    auto unit = llvm::find_if(units, [&](const ChoiceUnit &known) {
      const LinearChoice &other = choices[known.front()];
      return scales && qnt::LinearOp(other.op).getX() == x && other.method.name() == choice.method.name() &&
             sameFormats(other, choice);
    });
    if (unit == units.end())
      units.push_back({i});
    else
      unit->push_back(i);
  }
  return units;
}

/// All that a unit's harms depend on, besides the program and the data.
static std::string askedOf(const ChoiceUnit &unit, const LinearChoice &choice) {
  std::string text = "harms by " + choice.method.name() + " of";
  for (size_t i : unit)
    text += " " + std::to_string(i);
  for (const Format &format : choice.formats)
    text += " " + format.name;
  return text;
}

namespace {
/// Measures one unit after another.
class Sensitivity {
public:
  Sensitivity(OutputComparison &comparison, ArrayRef<LinearChoice> choices, bool onGpus)
      : comparison(comparison), choices(choices), onGpus(onGpus) {}

  /// `activations` are what the unit reads.
  FailureOr<std::vector<double>> harmsOf(const ChoiceUnit &unit, Value x, const Activations &activations) {
    const LinearChoice &choice = choices[unit.front()];
    std::vector<size_t> bySize(choice.formats.size());
    std::iota(bySize.begin(), bySize.end(), 0);
    llvm::sort(bySize, [&](size_t a, size_t b) {
      return bytesOf(choice, choice.formats[a]) < bytesOf(choice, choice.formats[b]);
    });
    const size_t middle = bySize[(bySize.size() - 1) / 2];
    LinearGroup group{x, {}};
    std::vector<std::pair<size_t, std::vector<float>>> replaced;
    for (size_t i : unit) {
      group.linears.push_back(choices[i].op);
      replaced.push_back({i, rounded(weightOf(choices[i].op), choice.formats[middle])});
    }
    auto type = cast<RankedTensorType>(qnt::LinearOp(choice.op).getWeight().getType());
    auto act = llvm::cantFail(chooseComputeType(choice.formats[middle], choice.act, onGpus)); // asked for before
    auto errors = methodErrors(group, choice.method, choice.formats, middle,
                               activationFormat(act, choice.formats[middle], type.getDimSize(0), type.getDimSize(1)),
                               activations);
    if (!errors)
      return emitError(group.linears.front().getLoc())
             << "formats cannot be compared: " << llvm::toString(errors.takeError());
    FailureOr<double> harm = comparison.harmOf(replaced);
    if (failed(harm))
      return failure();
    // Outputs feel an error by its energy, as long as it is small; each operation is taken to have its share.
    std::vector<double> harms(choice.formats.size(), 0);
    for (const FormatErrors &error : *errors)
      for (size_t format = 0; format < harms.size() && error.toNearest > 0; ++format)
        harms[format] += std::max(*harm, 0.0) * error.byMethod[format] / error.toNearest / double(unit.size());
    return harms;
  }

private:
  OutputComparison &comparison;
  ArrayRef<LinearChoice> choices;
  bool onGpus;
};
} // namespace

FailureOr<std::vector<std::vector<double>>> qcc::measureSensitivity(Compilation &c, OutputComparison &comparison,
                                                                    ArrayRef<LinearChoice> choices,
                                                                    ArrayRef<ChoiceUnit> units) {
  constexpr int64_t observedRows = 8192; // of outputs, for statistics of what operations read
  const Samples observed = comparison.samplesOf(observedRows);
  std::optional<GroupCache> known;
  if (failed(openCache(c, known)))
    return failure();
  if (known)
    known->start(*c.module, observed);
  std::vector<std::vector<double>> harms(units.size());
  std::vector<std::string> keys(units.size());
  llvm::DenseMap<Operation *, size_t> unitOfFirst;
  size_t open = 0, done = 0;
  for (auto [i, unit] : llvm::enumerate(units)) {
    const LinearChoice &choice = choices[unit.front()];
    if (known) {
      keys[i] = known->keyOf(askedOf(unit, choice));
      if (auto numbers = known->loadNumbers(keys[i], choice.formats.size()))
        harms[i] = std::move(*numbers);
    }
    if (harms[i].empty())
      unitOfFirst[choice.op] = i, ++open;
  }
  Sensitivity sensitivity(comparison, choices, isForGpus(c));
  ProgressLine line;
  auto openPiece = [&](OwningOpRef<ModuleOp> module) {
    return openModule(c, comparison.codeCache(), std::move(module));
  };
  auto visit = [&](LinearGroup &group, ReadActivations read) -> LogicalResult {
    const Activations *activations = nullptr;
    for (qnt::LinearOp op : group.linears) {
      auto unit = unitOfFirst.find(op);
      if (unit == unitOfFirst.end())
        continue;
      if (!activations && !(activations = read()))
        return failure();
      auto found = sensitivity.harmsOf(units[unit->second], group.x, *activations);
      if (failed(found))
        return failure();
      harms[unit->second] = std::move(*found);
      if (known)
        known->storeNumbers(keys[unit->second], harms[unit->second], op.getLoc());
      ++done;
      line.show(llvm::formatv("{0} of {1} choices of a format compared", done, open).str(),
                double(done) / double(open));
      c.releaseMemory();
    }
    return success();
  };
  if (failed(visitGroups(*c.module, observed, openPiece, visit)))
    return failure();
  return harms;
}
