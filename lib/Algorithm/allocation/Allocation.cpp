#include "qcc/Algorithm/Allocation.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

using namespace qcc;

namespace {

/// More bytes for less loss, in one tensor.
struct Step {
  int64_t bytes;
  double gain;
  size_t tensor;
  double efficiency() const { return gain / double(bytes); }
};

/// A partial answer: sums over the tensors so far, and how it came about.
struct State {
  int64_t bytes;
  double loss;
  int32_t parent; // in the states of the tensor before
  int32_t choice;
};

/// The choices of one tensor by bytes, each with less loss than all smaller ones. Indices into the tensor's choices.
std::vector<int> undominated(const std::vector<AllocationChoice> &choices) {
  std::vector<int> order(choices.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    const AllocationChoice &x = choices[size_t(a)], &y = choices[size_t(b)];
    return x.bytes != y.bytes ? x.bytes < y.bytes : x.loss != y.loss ? x.loss < y.loss : a < b;
  });
  std::vector<int> kept;
  for (int index : order)
    if (kept.empty() || choices[size_t(index)].loss < choices[size_t(kept.back())].loss)
      kept.push_back(index);
  return kept;
}

/// The steps along the lower convex hull of a tensor's choices, ever less efficient.
void hullSteps(const std::vector<AllocationChoice> &choices, const std::vector<int> &kept, size_t tensor,
               std::vector<Step> &steps) {
  std::vector<int> hull;
  auto slope = [&](int a, int b) {
    const AllocationChoice &x = choices[size_t(a)], &y = choices[size_t(b)];
    return (x.loss - y.loss) / double(y.bytes - x.bytes);
  };
  for (int index : kept) {
    while (hull.size() > 1 && slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), index))
      hull.pop_back();
    hull.push_back(index);
  }
  for (size_t i = 1; i < hull.size(); ++i) {
    const AllocationChoice &x = choices[size_t(hull[i - 1])], &y = choices[size_t(hull[i])];
    steps.push_back({y.bytes - x.bytes, x.loss - y.loss, tensor});
  }
}

class Knapsack {
public:
  Knapsack(const std::vector<std::vector<AllocationChoice>> &tensors, int64_t budget, int64_t limit)
      : tensors(tensors), budget(budget), limit(std::max<int64_t>(limit, 2)) {
    for (const auto &choices : tensors)
      kept.push_back(undominated(choices));
    restBytes.resize(tensors.size() + 1);
    restLoss.resize(tensors.size() + 1);
    for (size_t i = tensors.size(); i-- > 0;) {
      const AllocationChoice &least = tensors[i][size_t(kept[i].front())];
      restBytes[i] = restBytes[i + 1] + least.bytes;
      restLoss[i] = restLoss[i + 1] + least.loss;
      hullSteps(tensors[i], kept[i], i, steps);
    }
    std::sort(steps.begin(), steps.end(), [](const Step &a, const Step &b) {
      return a.efficiency() != b.efficiency() ? a.efficiency() > b.efficiency() : a.tensor < b.tensor;
    });
  }

  int64_t leastBytes() const { return restBytes[0]; }

  Allocation solve() {
    relax(0);
    const double relaxed = relaxedLoss(budget - restBytes[0]) + restLoss[0];
    upper = greedyLoss();
    std::vector<std::vector<State>> layers = {{{0, 0, -1, -1}}};
    bool isExact = true;
    for (size_t tensor = 0; tensor < tensors.size(); ++tensor)
      layers.push_back(extend(layers.back(), tensor, isExact));

    const std::vector<State> &last = layers.back();
    int32_t at = int32_t(last.size()) - 1; // states fall in loss as they grow in bytes
    Allocation result;
    result.bytes = last[size_t(at)].bytes;
    result.loss = last[size_t(at)].loss;
    result.lowerBound = isExact ? result.loss : std::min(result.loss, relaxed);
    result.choices.resize(tensors.size());
    for (size_t tensor = tensors.size(); tensor-- > 0;) {
      const State &state = layers[tensor + 1][size_t(at)];
      result.choices[tensor] = state.choice;
      at = state.parent;
    }
    return result;
  }

private:
  /// Prepares relaxedLoss for the tensors from `first` on.
  void relax(size_t first) {
    sumBytes.assign(1, 0);
    sumGain.assign(1, 0);
    for (const Step &step : steps)
      if (step.tensor >= first) {
        sumBytes.push_back(sumBytes.back() + step.bytes);
        sumGain.push_back(sumGain.back() + step.gain);
      }
  }

  /// What the linear relaxation takes off the remaining tensors' greatest losses (a number below 0) for `bytes` more
  /// than their least: whole steps by efficiency, and a part of the next.
  double relaxedLoss(int64_t bytes) const {
    const size_t next = size_t(std::upper_bound(sumBytes.begin(), sumBytes.end(), bytes) - sumBytes.begin());
    if (next == sumBytes.size())
      return -sumGain.back();
    const double part = double(bytes - sumBytes[next - 1]) / double(sumBytes[next] - sumBytes[next - 1]);
    return -(sumGain[next - 1] + part * (sumGain[next] - sumGain[next - 1]));
  }

  /// The loss of an allocation that is certainly within the budget: steps by efficiency while they fit, a tensor's
  /// later ones only after its earlier ones.
  double greedyLoss() const {
    std::vector<char> isStopped(tensors.size(), 0);
    int64_t left = budget - restBytes[0];
    double loss = restLoss[0];
    for (const Step &step : steps) {
      if (isStopped[step.tensor] || step.bytes > left) {
        isStopped[step.tensor] = 1;
        continue;
      }
      left -= step.bytes;
      loss -= step.gain;
    }
    return loss;
  }

  std::vector<State> extend(const std::vector<State> &states, size_t tensor, bool &isExact) {
    relax(tensor + 1);
    // Sums of floats in another order may fall a little short of the same answer's.
    const double allowed = upper + 1e-12 * (std::abs(upper) + std::abs(restLoss[0]));
    std::vector<State> grown;
    for (size_t i = 0; i < states.size(); ++i)
      for (int choice : kept[tensor]) {
        const AllocationChoice &added = tensors[tensor][size_t(choice)];
        const int64_t bytes = states[i].bytes + added.bytes, left = budget - bytes - restBytes[tensor + 1];
        const double loss = states[i].loss + added.loss;
        if (left >= 0 && loss + restLoss[tensor + 1] + relaxedLoss(left) <= allowed)
          grown.push_back({bytes, loss, int32_t(i), int32_t(choice)});
      }
    std::sort(grown.begin(), grown.end(),
              [](const State &a, const State &b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.loss < b.loss; });
    std::vector<State> result;
    for (const State &state : grown)
      if (result.empty() || state.loss < result.back().loss)
        result.push_back(state);
    if (int64_t(result.size()) > limit) {
      isExact = false;
      thin(result, tensor + 1);
    }
    return result;
  }

  /// Of each run of neighbours keeps the one that promises most; the smallest, which always fits, stays too.
  void thin(std::vector<State> &states, size_t next) const {
    std::vector<State> result = {states.front()};
    const int64_t count = int64_t(states.size()), runs = limit - 1;
    auto promise = [&](const State &state) { return state.loss + relaxedLoss(budget - state.bytes - restBytes[next]); };
    for (int64_t run = 0; run < runs; ++run) {
      auto begin = states.begin() + 1 + (count - 1) * run / runs,
           end = states.begin() + 1 + (count - 1) * (run + 1) / runs;
      if (begin != end)
        result.push_back(
            *std::min_element(begin, end, [&](const State &a, const State &b) { return promise(a) < promise(b); }));
    }
    states = std::move(result);
  }

  const std::vector<std::vector<AllocationChoice>> &tensors;
  int64_t budget, limit;
  std::vector<std::vector<int>> kept; // by tensor: undominated
  std::vector<int64_t> restBytes;     // of the tensors from here on, with the smallest choices
  std::vector<double> restLoss;
  std::vector<Step> steps; // of all tensors by efficiency
  std::vector<int64_t> sumBytes;
  std::vector<double> sumGain;
  double upper = 0;
};

} // namespace

Result<Allocation> qcc::allocate(const std::vector<std::vector<AllocationChoice>> &tensors, int64_t budget,
                                 const AllocationOptions &options) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].empty())
      return Refusal{"tensor " + std::to_string(i) + " has no format to choose from"};
    for (const AllocationChoice &choice : tensors[i])
      if (choice.bytes < 0 || choice.bytes > std::numeric_limits<int64_t>::max() / int64_t(tensors.size() + 1) ||
          !std::isfinite(choice.loss))
        return Refusal{"tensor " + std::to_string(i) + " has a choice of " + std::to_string(choice.bytes) +
                       " bytes and a loss of " + std::to_string(choice.loss)};
  }
  Knapsack knapsack(tensors, budget, options.states);
  if (knapsack.leastBytes() > budget)
    return Refusal{"the smallest formats take " + std::to_string(knapsack.leastBytes()) + " bytes, more than the " +
                   std::to_string(budget) + " there are"};
  return knapsack.solve();
}
