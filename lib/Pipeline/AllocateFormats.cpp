#include "AllocateFormats.h"
#include "QuantizeWeights.h"
#include "Sensitivity.h"
#include "qcc/Algorithm/Allocation.h"
#include "qcc/Operator/Node.h"
#include "qcc/Target/Linear.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace qcc;

static auto report(Compilation &c) { return emitError(UnknownLoc::get(&c.context)); }

static int64_t weightCount(const LinearChoice &choice) {
  return cast<RankedTensorType>(qnt::LinearOp(choice.op).getWeight().getType()).getNumElements();
}

/// Whether it is to be left in float32 whatever the budget.
static bool staysFloat(const LinearChoice &choice) {
  return choice.formats.size() == 1 && choice.formats.front().element->bits() == 32;
}

/// Bytes that the linear operations' weights may take, by `4.5bpw`, of those that are rounded, or `80MB`, of all
/// weights.
static FailureOr<int64_t> budgetOf(Compilation &c, ArrayRef<LinearChoice> choices) {
  static const std::pair<StringRef, double> units[] = {{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
  StringRef text = c.options.budget;
  double number = 0;
  auto isPositive = [&](StringRef digits) { return !digits.getAsDouble(number) && number > 0 && number < 1e9; };
  if (StringRef digits = text; digits.consume_back("bpw") && isPositive(digits)) {
    double weights = 0;
    int64_t others = 0;
    for (const LinearChoice &choice : choices)
      if (staysFloat(choice))
        others += bytesOf(choice, choice.formats.front());
      else
        weights += double(weightCount(choice));
    return others + int64_t(number * weights / 8);
  }
  for (auto [unit, bytes] : units) {
    StringRef digits = text;
    if (!digits.consume_back(unit) || !isPositive(digits))
      continue;
    int64_t others = 0;
    c.module->walk([&](onnx::WeightOp weight) {
      if (auto tensor = isUnused(weight) ? std::nullopt : constantOf(weight.getResult()))
        others += int64_t(tensor->bytes.size() + 63) / 64 * 64;
    });
    return int64_t(number * bytes) - others;
  }
  return report(c) << "--budget=" << text << ": expected bits per weight or a size, such as 4.5bpw or 80MB";
}

/// Formats that a compute type cannot be had with are none to choose from.
static LogicalResult keepPossible(LinearChoice &choice, bool onGpus) {
  std::vector<Format> possible;
  std::string why;
  for (const Format &format : choice.formats) {
    auto act = chooseComputeType(format, choice.act, onGpus);
    if (act)
      possible.push_back(format);
    else
      why = llvm::toString(act.takeError());
  }
  if (possible.empty())
    return emitError(choice.actLoc) << why;
  choice.formats = std::move(possible);
  return success();
}

static bool sameFormats(const LinearChoice &a, const LinearChoice &b) {
  return llvm::equal(a.formats, b.formats, [](const Format &x, const Format &y) { return x.name == y.name; });
}

/// Indices of choices that get one format: those whose input a method scales together, so that the scale can become
/// part of what makes it.
static std::vector<std::vector<size_t>> unitsOf(ArrayRef<LinearChoice> choices) {
  std::vector<std::vector<size_t>> units;
  for (size_t i = 0; i < choices.size(); ++i) {
    const LinearChoice &choice = choices[i];
    if (choice.formats.size() < 2)
      continue;
    bool scales = choice.method.scalesInputs();
    Value x = qnt::LinearOp(choice.op).getX();
    auto unit = llvm::find_if(units, [&](const std::vector<size_t> &known) {
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

namespace {
/// Finds allocations and tries them out.
class Allocator {
public:
  Allocator(Compilation &c, OutputComparison &comparison, ArrayRef<LinearChoice> choices,
            ArrayRef<std::vector<double>> harms)
      : c(c), comparison(comparison), choices(choices), units(unitsOf(choices)) {
    for (const std::vector<size_t> &unit : units) {
      std::vector<AllocationChoice> &sums = tensors.emplace_back(choices[unit.front()].formats.size());
      for (size_t i : unit)
        for (auto [format, sum, harm] : llvm::zip(choices[i].formats, sums, harms[i]))
          sum.bytes += bytesOf(choices[i], format), sum.loss += harm;
    }
    for (const LinearChoice &choice : choices)
      if (choice.formats.size() == 1)
        fixed += bytesOf(choice, choice.formats.front());
  }

  Result<Allocation> within(int64_t bytes) const { return allocate(tensors, bytes - fixed); }

  /// The smallest allocation, of at most these bytes, whose losses' sum is within `most`.
  std::optional<Allocation> smallest(int64_t bytes, double most) const {
    int64_t low = fixed, high = fixed;
    for (const auto &sums : tensors) {
      auto byBytes = [](const AllocationChoice &a, const AllocationChoice &b) { return a.bytes < b.bytes; };
      low += llvm::min_element(sums, byBytes)->bytes, high += llvm::max_element(sums, byBytes)->bytes;
    }
    high = std::min(high, bytes);
    std::optional<Allocation> best;
    while (low <= high) {
      int64_t middle = low + (high - low) / 2;
      Result<Allocation> found = within(middle);
      if (found && found->loss <= most)
        best = *found, high = fixed + found->bytes - 1;
      else
        low = middle + 1;
    }
    return best;
  }

  void apply(const Allocation &allocation, std::vector<LinearChoice> &all) const {
    for (auto [unit, index] : llvm::zip(units, allocation.choices))
      for (size_t i : unit)
        all[i].formats = {choices[i].formats[index]};
  }

  /// The harm of the program in these formats, its weights rounded to nearest.
  FailureOr<double> measure(const Allocation &allocation) const {
    std::vector<LinearChoice> all(choices.begin(), choices.end());
    apply(allocation, all);
    OwningOpRef<ModuleOp> module = c.module->clone();
    size_t i = 0;
    WalkResult result = module->walk([&](qnt::LinearOp op) {
      all[i].op = op, all[i].method = *Method::parse("rtn");
      return failed(setChoice(c, all[i++])) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      return failure();
    return comparison.harm(std::move(module), c.options.measuredSamples);
  }

private:
  Compilation &c;
  OutputComparison &comparison;
  ArrayRef<LinearChoice> choices;
  std::vector<std::vector<size_t>> units;
  std::vector<std::vector<AllocationChoice>> tensors; // by unit
  int64_t fixed = 0;                                  // bytes of operations that have no choice
};
} // namespace

/// Harms do not quite add up, and activations are rounded too: the bound for their sum is corrected by what comes out.
static FailureOr<Allocation> allocateForDivergence(Compilation &c, const Allocator &allocator, int64_t budget) {
  constexpr int attempts = 6;
  double most = c.options.mostDivergence, bound = most;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    auto found = allocator.smallest(budget, bound);
    if (!found)
      break;
    auto harm = allocator.measure(*found);
    if (failed(harm))
      return failure();
    if (*harm <= most)
      return *found;
    bound = std::min(bound, found->loss) * 0.95 * most / *harm;
  }
  return report(c) << "no choice of formats keeps the KL divergence within --max-kld=" << most
                   << (c.options.budget.empty() ? "" : " and --budget=" + c.options.budget);
}

LogicalResult qcc::allocateFormats(Compilation &c, std::vector<LinearChoice> &choices) {
  const CompileOptions &options = c.options;
  for (LinearChoice &choice : choices) {
    auto weight = qnt::LinearOp(choice.op).getWeight().getDefiningOp<qnt::WeightOp>();
    if (weight.getOrder() == "encoded") // it keeps its codes
      choice.formats = {*findFormat(weight.getFormat())};
    if (choice.formats.size() > 1 && failed(keepPossible(choice, isForGpus(c))))
      return failure();
  }
  bool isFree = llvm::any_of(choices, [](const LinearChoice &choice) { return choice.formats.size() > 1; });
  bool isBound = !options.budget.empty() || options.mostDivergence > 0;
  if (!isFree)
    return success();
  if (!isBound)
    return report(c) << "several formats to choose from need --budget or --max-kld";
  if (options.calibration.empty())
    return report(c) << "choosing among formats needs data: give --calib=FILE";
  FailureOr<int64_t> budget = options.budget.empty() ? INT64_MAX : budgetOf(c, choices);
  OutputComparison comparison(c);
  // A bound is kept on the samples that the finished program is measured on.
  bool keepsBound = options.mostDivergence > 0;
  if (failed(budget) ||
      failed(comparison.start(keepsBound ? options.measuredSamples : OutputComparison::comparedSamples)))
    return failure();
  auto harms = measureSensitivity(c, comparison, choices);
  if (failed(harms))
    return failure();
  Allocator allocator(c, comparison, choices, *harms);
  Allocation chosen;
  if (keepsBound) {
    auto found = allocateForDivergence(c, allocator, *budget);
    if (failed(found))
      return failure();
    chosen = std::move(*found);
  } else {
    Result<Allocation> found = allocator.within(*budget);
    if (!found)
      return report(c) << "--budget=" << options.budget << ": " << found.reason();
    chosen = std::move(*found);
  }
  allocator.apply(chosen, choices);
  return success();
}
