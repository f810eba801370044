#include "AllocateFormats.h"
#include "../QuantizeWeights.h"
#include "../RunMethod.h"
#include "LinearTimes.h"
#include "Sensitivity.h"
#include "qcc/Algorithm/Allocation.h"
#include "qcc/Operator/Node.h"
#include "qcc/Target/Linear.h"
#include "llvm/Support/FormatVariadic.h"

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

namespace {
/// What the linear operations may cost together.
struct Budget {
  bool isTime = false; // in nanoseconds for each token; else in bytes
  int64_t amount = INT64_MAX;
};
} // namespace

/// By `4.5bpw`, of the weights that are rounded, by `80MB`, of all weights, or by `2.5ms`, of one token.
static FailureOr<Budget> budgetOf(Compilation &c, ArrayRef<LinearChoice> choices) {
  static const std::pair<StringRef, double> sizes[] = {{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
  static const std::pair<StringRef, double> times[] = {{"us", 1e3}, {"ms", 1e6}};
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
    return Budget{false, others + int64_t(number * weights / 8)};
  }
  for (auto [unit, nanoseconds] : times)
    if (StringRef digits = text; digits.consume_back(unit) && isPositive(digits))
      return Budget{true, int64_t(number * nanoseconds)};
  for (auto [unit, bytes] : sizes) {
    StringRef digits = text;
    if (!digits.consume_back(unit) || !isPositive(digits))
      continue;
    int64_t others = 0;
    c.module->walk([&](onnx::WeightOp weight) {
      if (auto tensor = isUnused(weight) ? std::nullopt : constantOf(weight.getResult()))
        others += int64_t(tensor->bytes.size() + 63) / 64 * 64;
    });
    return Budget{false, int64_t(number * bytes) - others};
  }
  return report(c) << "--budget=" << text
                   << ": expected bits per weight, a size or the time of a token, such as 4.5bpw, 80MB or 2.5ms";
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

namespace {
/// Finds allocations and tries them out.
class Allocator {
public:
  Allocator(Compilation &c, OutputComparison &comparison, ArrayRef<LinearChoice> choices, ArrayRef<ChoiceUnit> units)
      : c(c), comparison(comparison), choices(choices), units(units) {}

  /// Finds what every choice costs.
  LogicalResult findCosts(bool inTime) {
    std::optional<LinearTimes> times;
    if (inTime)
      times.emplace(c, choices);
    auto costOf = [&](const LinearChoice &choice, const Format &format) {
      return times ? times->nanosecondsOf(choice, format) : FailureOr<int64_t>(bytesOf(choice, format));
    };
    costs.resize(choices.size());
    for (auto [choice, own] : llvm::zip(choices, costs))
      for (const Format &format : choice.formats) {
        auto cost = costOf(choice, format);
        if (failed(cost))
          return failure();
        own.push_back(*cost);
        if (choice.formats.size() == 1)
          fixed += *cost;
      }
    for (const ChoiceUnit &unit : units) {
      std::vector<AllocationChoice> &sums = tensors.emplace_back(choices[unit.front()].formats.size());
      for (auto [format, sum] : llvm::enumerate(sums))
        for (size_t i : unit)
          sum.bytes += costs[i][format];
    }
    isTime = inTime, isMeasured = times && times->isMeasured();
    return success();
  }

  void setHarms(ArrayRef<std::vector<double>> harms) {
    for (auto [sums, losses] : llvm::zip(tensors, harms))
      for (auto [sum, loss] : llvm::zip(sums, losses))
        sum.loss = loss;
  }

  Result<Allocation> within(int64_t cost) const {
    if (int64_t least = leastCost(); isTime && least > cost)
      return Refusal{"the fastest formats take " + llvm::formatv("{0:f2}", double(least) * 1e-6).str() +
                     " ms for a token"};
    return allocate(tensors, cost - fixed);
  }

  int64_t leastCost() const {
    int64_t sum = fixed;
    for (const auto &sums : tensors)
      sum += llvm::min_element(sums, byCost)->bytes;
    return sum;
  }

  /// The cheapest allocation, of at most this cost, whose losses' sum is within `most`.
  std::optional<Allocation> smallest(int64_t cost, double most) const {
    int64_t low = leastCost(), high = fixed;
    for (const auto &sums : tensors)
      high += llvm::max_element(sums, byCost)->bytes;
    high = std::min(high, cost);
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
    llvm::SmallVector<size_t> chosen(choices.size(), 0); // by choice
    for (auto [unit, index, losses] : llvm::zip(units, allocation.choices, tensors))
      for (size_t i : unit) {
        chosen[i] = size_t(index);
        all[i].harm = losses[size_t(index)].loss / double(unit.size());
        all[i].formats = {choices[i].formats[size_t(index)]};
        if (all[i].formats.front().isPlain()) // whose numbers a method has no choice of
          all[i].method = *Method::parse("rtn");
      }
    for (size_t i = 0; i < all.size() && isTime; ++i)
      all[i].nanoseconds = costs[i][chosen[i]], all[i].isTimeMeasured = isMeasured;
  }

  /// The harm of the program in these formats, quantized as it would be.
  FailureOr<double> measure(const Allocation &allocation) const {
    std::vector<LinearChoice> all(choices.begin(), choices.end());
    apply(allocation, all);
    OwningOpRef<ModuleOp> module = c.module->clone();
    size_t i = 0;
    WalkResult result = module->walk([&](qnt::LinearOp op) {
      all[i].op = op;
      return failed(setChoice(c, all[i++])) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted() || failed(runMethodsOn(c, *module)))
      return failure();
    return comparison.harm(std::move(module), c.options.measuredSamples);
  }

private:
  Compilation &c;
  OutputComparison &comparison;
  ArrayRef<LinearChoice> choices;
  ArrayRef<ChoiceUnit> units;
  std::vector<std::vector<int64_t>> costs;            // by choice and format
  std::vector<std::vector<AllocationChoice>> tensors; // by unit; `bytes` are costs
  int64_t fixed = 0;                                  // cost of operations that have no choice
  bool isTime = false, isMeasured = false;

  static bool byCost(const AllocationChoice &a, const AllocationChoice &b) { return a.bytes < b.bytes; }
};
} // namespace

/// Harms do not quite add up, and activations are rounded too: the bound for their sum is corrected by what comes out,
/// until that is within the bound and not far below.
static FailureOr<Allocation> allocateForDivergence(Compilation &c, const Allocator &allocator, int64_t budget) {
  constexpr int attempts = 5;
  constexpr double near = 0.8, margin = 0.95;
  const double most = c.options.mostDivergence;
  double bound = most;
  std::optional<Allocation> best;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    auto found = allocator.smallest(budget, bound);
    if (!found || (best && found->bytes >= best->bytes))
      break;
    auto harm = allocator.measure(*found);
    if (failed(harm))
      return failure();
    if (*harm <= most)
      best = *found;
    if (*harm <= most && *harm >= near * most)
      break;
    const double correction = *harm > 0 ? margin * most / *harm : 2;
    bound = (*harm <= most ? std::max(bound, found->loss) : std::min(bound, found->loss)) * correction;
  }
  if (best)
    return *best;
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
  FailureOr<Budget> budget = options.budget.empty() ? Budget() : budgetOf(c, choices);
  if (failed(budget))
    return failure();
  OutputComparison comparison(c);
  std::vector<ChoiceUnit> units = unitsOf(choices);
  Allocator allocator(c, comparison, choices, units);
  if (failed(allocator.findCosts(budget->isTime)))
    return failure();
  auto refuse = [&](const std::string &why) { return report(c) << "--budget=" << options.budget << ": " << why; };
  // Before anything is run: whether there is an answer at all.
  if (Result<Allocation> any = allocator.within(budget->amount); !any)
    return refuse(any.reason());
  // A bound is kept on the samples that the finished program is measured on.
  bool keepsBound = options.mostDivergence > 0;
  if (failed(comparison.start(keepsBound ? options.measuredSamples : 0)))
    return failure();
  auto harms = measureSensitivity(c, comparison, choices, units);
  if (failed(harms))
    return failure();
  allocator.setHarms(*harms);
  Allocation chosen;
  if (keepsBound) {
    auto found = allocateForDivergence(c, allocator, budget->amount);
    if (failed(found))
      return failure();
    chosen = std::move(*found);
  } else {
    Result<Allocation> found = allocator.within(budget->amount);
    if (!found)
      return refuse(found.reason());
    chosen = std::move(*found);
  }
  allocator.apply(chosen, choices);
  return success();
}
