#include "qcc/Calibration/Ranges.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "qcc/Algorithm/Histogram.h"
#include "qcc/Canonicalize/Dimensions.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static constexpr double keptFraction = 0.9999; // of the values, by the rule "percentile"

static func::FuncOp mainOf(ModuleOp module) { return module.lookupSymbol<func::FuncOp>("main"); }

std::optional<qcc::ValueRange> qcc::rangeOf(Value value) {
  size_t at = 0;
  DenseF32ArrayAttr numbers;
  if (auto result = dyn_cast<OpResult>(value)) {
    numbers = result.getOwner()->getAttrOfType<DenseF32ArrayAttr>(rangesAttr);
    at = 2 * result.getResultNumber();
  } else {
    auto argument = cast<BlockArgument>(value);
    if (auto main = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()))
      numbers = main.getArgAttrOfType<DenseF32ArrayAttr>(argument.getArgNumber(), rangesAttr);
  }
  if (!numbers || at + 2 > size_t(numbers.size()))
    return std::nullopt;
  return qcc::ValueRange{numbers[at], numbers[at + 1]};
}

void qcc::setRange(Value value, qcc::ValueRange range) {
  Builder b(value.getContext());
  auto result = dyn_cast<OpResult>(value);
  if (!result) {
    auto argument = cast<BlockArgument>(value);
    cast<func::FuncOp>(argument.getOwner()->getParentOp())
        .setArgAttr(argument.getArgNumber(), rangesAttr, b.getDenseF32ArrayAttr({range.lowest, range.highest}));
    return;
  }
  Operation *op = result.getOwner();
  SmallVector<float> numbers(2 * op->getNumResults(), 0);
  if (auto known = op->getAttrOfType<DenseF32ArrayAttr>(rangesAttr); known && known.size() == int64_t(numbers.size()))
    numbers.assign(known.asArrayRef().begin(), known.asArrayRef().end());
  numbers[2 * result.getResultNumber()] = range.lowest;
  numbers[2 * result.getResultNumber() + 1] = range.highest;
  op->setAttr(rangesAttr, b.getDenseF32ArrayAttr(numbers));
}

ArrayRef<RangeRule> qcc::allRangeRules() {
  static const RangeRule rules[] = {
      {"minmax", "The smallest and the largest value seen"},
      {"average", "The smallest and the largest value of a sample, as a moving average over samples"},
      {"percentile", "What 99.99 % of the values lie in"},
      {"mse", "The least squared error of rounding"},
      {"entropy", "The least divergence of the distribution that rounding leaves"},
  };
  return rules;
}

llvm::Error qcc::checkRangeRule(StringRef name) {
  std::string names;
  for (const RangeRule &rule : allRangeRules()) {
    if (rule.name == name)
      return llvm::Error::success();
    names += (names.empty() ? "" : ", ") + rule.name.str();
  }
  return llvm::createStringError("there are no ranges by '" + name + "'; there are " + names);
}

namespace {
/// What is kept of one value while samples pass.
class Observer {
public:
  Observer(const WantedRange &wanted, StringRef rule) : wanted(wanted), rule(rule) {}

  /// Returns false where the value is not finite.
  bool add(const NpzArray &array) {
    const auto *values = reinterpret_cast<const float *>(array.bytes.data());
    auto count = int64_t(array.bytes.size() / sizeof(float));
    if (!count)
      return true;
    if (rule == "average")
      average.add(values, count);
    else if (rule != "minmax")
      histogram.add(values, count);
    range.add(values, count);
    if (wanted.wantsChannels && array.shape.size() > 1)
      addChannels(values, array.shape);
    if (wanted.wantsHeads)
      addHeads(values, array.shape);
    return range.notFinite() == 0;
  }

  ObservedRange result() const {
    ObservedRange observed{chosen(), {}, most, heads};
    observed.range = {std::min(observed.range.lowest, 0.0f), std::max(observed.range.highest, 0.0f)};
    for (double sum : sums)
      observed.means.push_back(sum / double(std::max<int64_t>(1, perChannel)));
    return observed;
  }

private:
  qcc::ValueRange chosen() const {
    if (rule == "average")
      return average.range();
    if (rule == "percentile")
      return percentileRange(histogram, keptFraction);
    if (rule == "mse")
      return leastSquaresRange(histogram, wanted.codes);
    if (rule == "entropy")
      return entropyRange(histogram, wanted.codes);
    return range.range();
  }

  void addChannels(const float *values, ArrayRef<int64_t> shape) {
    int64_t channels = shape[1], inner = 1;
    for (int64_t length : shape.drop_front(2))
      inner *= length;
    sums.resize(size_t(channels)), most.resize(size_t(channels));
    perChannel += shape[0] * inner;
    for (int64_t image = 0; image < shape[0]; ++image)
      for (int64_t channel = 0; channel < channels; ++channel)
        for (int64_t i = 0; i < inner; ++i, ++values) {
          sums[channel] += *values;
          most[channel] = std::max(most[channel], std::abs(*values));
        }
  }

  void addHeads(const float *values, ArrayRef<int64_t> shape) {
    const int64_t count = shape[1], rows = shape[2], size = shape[3];
    heads.resize(size_t(count * size), qcc::ValueRange{INFINITY, -INFINITY});
    for (int64_t row = 0; row < shape[0] * count * rows; ++row)
      for (int64_t i = 0; i < size; ++i, ++values) {
        qcc::ValueRange &seen = heads[size_t(row / rows % count * size + i)];
        seen = {std::min(seen.lowest, *values), std::max(seen.highest, *values)};
      }
  }

  const WantedRange &wanted;
  StringRef rule;
  MinMax range;
  MovingAverage average;
  Histogram histogram;
  std::vector<double> sums;
  std::vector<float> most;
  std::vector<qcc::ValueRange> heads;
  int64_t perChannel = 0;
};
} // namespace

/// How people know the value.
static std::string describe(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto main = cast<func::FuncOp>(argument.getOwner()->getParentOp());
    if (auto name = main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx.name"))
      return "input '" + name.str() + "'";
  }
  auto loc = dyn_cast<NameLoc>(value.getLoc());
  return loc ? "what node '" + loc.getName().str() + "' gives" : "a value";
}

/// A copy of the program that gives the wanted values, named by their positions; arguments are known without it.
static OwningOpRef<ModuleOp> exposeValues(ModuleOp module, ArrayRef<WantedRange> wanted,
                                          std::vector<std::string> &names) {
  IRMapping mapping;
  OwningOpRef<ModuleOp> copy = cast<ModuleOp>(module->clone(mapping));
  func::FuncOp main = mainOf(*copy);
  Operation *end = main.getBody().front().getTerminator();
  SmallVector<Value> results(end->getOperands());
  SmallVector<Type> types(main.getResultTypes());
  size_t own = results.size();
  for (auto [i, want] : llvm::enumerate(wanted)) {
    names.push_back("observed value " + std::to_string(i));
    Value value = mapping.lookup(want.value);
    results.push_back(value), types.push_back(value.getType());
  }
  end->setOperands(results);
  Builder b(module.getContext());
  main.setType(b.getFunctionType(main.getArgumentTypes(), types));
  for (auto [i, name] : llvm::enumerate(names))
    main.setResultAttr(unsigned(own + i), "onnx.name", b.getStringAttr(name));
  return copy;
}

FailureOr<std::vector<ObservedRange>> qcc::observeRanges(ModuleOp module, ArrayRef<WantedRange> wanted,
                                                         const Samples &samples, OpenModule open, StringRef rule) {
  Location loc = UnknownLoc::get(module.getContext());
  if (llvm::Error error = checkRangeRule(rule))
    return emitError(loc) << "--ranges: " << llvm::toString(std::move(error));
  std::vector<Observer> observers;
  for (const WantedRange &want : wanted)
    observers.emplace_back(want, rule);
  // What an input is stands in the data.
  std::vector<WantedRange> made;
  std::vector<size_t> places;
  for (auto [i, want] : llvm::enumerate(wanted))
    if (isa<OpResult>(want.value))
      made.push_back(want), places.push_back(i);
  std::vector<std::string> outputs;
  auto program = open(exposeValues(module, made, outputs));
  if (!program)
    return emitError(loc) << "the program cannot be run on the calibration data: "
                          << llvm::toString(program.takeError());
  auto add = [&](size_t place, const NpzArray &array, size_t sample) -> LogicalResult {
    if (observers[place].add(array))
      return success();
    return emitError(loc) << "sample " << sample << " of the calibration data: " << describe(wanted[place].value)
                          << " holds infinities or NaNs, which no scale covers";
  };
  for (size_t sample = 0; sample < samples.size(); ++sample) {
    std::vector<NpzArray> inputs = samples[sample], results;
    for (auto [place, want] : llvm::enumerate(wanted)) {
      auto argument = dyn_cast<BlockArgument>(want.value);
      if (!argument)
        continue;
      auto name = mainOf(module).getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx.name");
      for (const NpzArray &array : inputs)
        if (name && array.name == name.getValue() && failed(add(place, array, sample)))
          return failure();
    }
    std::string error;
    (*program)->reset();
    if (!outputs.empty() && !(*program)->run(inputs, outputs, results, error))
      return emitError(loc) << "sample " << sample << " of the calibration data: " << error;
    for (auto [place, array] : llvm::zip(places, results))
      if (failed(add(place, array, sample)))
        return failure();
  }
  std::vector<ObservedRange> observed;
  for (const Observer &observer : observers)
    observed.push_back(observer.result());
  return observed;
}
