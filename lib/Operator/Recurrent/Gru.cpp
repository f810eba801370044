// GRU. Gates stand in the order update, reset, hidden.
#include "Recurrence.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t updateGate = 0, resetGate = 1, hiddenGate = 2, gateCount = 3;
static constexpr StringRef defaults[] = {"Sigmoid", "Tanh"}; // f of the gates, g of the hidden state

static FailureOr<SmallVector<RecurrentActivation>> activations(const Node &node) {
  return activationsOf(node, node.stringAttr("direction", "forward") == "bidirectional" ? 2 : 1, defaults);
}

static LogicalResult inferGru(Infer &infer) {
  if (failed(activations(infer)))
    return failure();
  return inferRecurrence(infer, gateCount);
}

static LogicalResult lowerGru(const Node &node, Lowering &lowering) {
  auto functions = activations(node);
  if (failed(functions))
    return failure();
  Recurrence r(node, lowering, gateCount);
  bool resetsProduct = node.intAttr("linear_before_reset", 0) != 0;
  // Where the reset gate applies to the state before its product, every block needs all of the reset state.
  Value updates, resetStates;
  if (!resetsProduct)
    updates = r.allocateRows(1), resetStates = r.allocateRows(1);
  r.begin();
  r.forEachStep([&](Value t) {
    auto emit = [&](StringRef name, int64_t products, llvm::function_ref<void(RecurrentStep &)> compute,
                    llvm::function_ref<void(RecurrentStep &)> keep) {
      Kernel k(lowering, name, lowering.loc);
      RecurrentStep s(r, k, t);
      s.forEachBlock([&] { compute(s); }, [&] { keep(s); });
      s.launch(products);
    };
    auto activate = [&](RecurrentStep &s, int64_t which, const Real &x) {
      return s.activate(*functions, 2, which, s.clipped(x));
    };
    auto gate = [&](RecurrentStep &s, int64_t i) { return s.input(i) + s.bias(0, i) + s.bias(1, i); };
    auto finish = [&](RecurrentStep &s, const Real &update, const Real &candidate) {
      Real hidden = (1.0 - update) * candidate + update * s.load(r.states, s.before());
      s.store(hidden, r.states, s.after());
      s.storeResult(hidden);
    };
    auto keep = [&](RecurrentStep &s) {
      s.store(s.load(r.states, s.before()), r.states, s.after());
      s.storeResult(std::nullopt);
    };
    if (resetsProduct) {
      auto compute = [&](RecurrentStep &s) {
        SmallVector<Real> sums = {gate(s, updateGate), gate(s, resetGate), s.bias(1, hiddenGate)};
        sums = s.addProduct({updateGate, resetGate, hiddenGate}, sums, r.states, s.before());
        Real update = activate(s, 0, sums[0]), reset = activate(s, 0, sums[1]);
        finish(s, update, activate(s, 1, s.input(hiddenGate) + s.bias(0, hiddenGate) + reset * sums[2]));
      };
      emit("gru", gateCount, compute, keep);
      return;
    }
    auto computeGates = [&](RecurrentStep &s) {
      SmallVector<Real> sums =
          s.addProduct({updateGate, resetGate}, {gate(s, updateGate), gate(s, resetGate)}, r.states, s.before());
      s.store(activate(s, 0, sums[0]), updates);
      s.store(activate(s, 0, sums[1]) * s.load(r.states, s.before()), resetStates);
    };
    emit("gru_gates", 2, computeGates, [](RecurrentStep &) {});
    auto computeState = [&](RecurrentStep &s) {
      SmallVector<Real> sums = s.addProduct({hiddenGate}, {gate(s, hiddenGate)}, resetStates);
      finish(s, s.load(updates), activate(s, 1, sums[0]));
    };
    emit("gru_state", 1, computeState, keep);
  });
  r.end();
  return success();
}

void qcc::registerGru(OperatorRegistry &registry) { registry.add("", "GRU", inferGru, lowerGru); }
