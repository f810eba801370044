// RNN: one gate, whose activation is the hidden state.
#include "Recurrence.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"

using namespace mlir;
using namespace qcc;

static constexpr StringRef defaults[] = {"Tanh"};

static FailureOr<SmallVector<RecurrentActivation>> activations(const Node &node) {
  return activationsOf(node, node.stringAttr("direction", "forward") == "bidirectional" ? 2 : 1, defaults);
}

static LogicalResult inferRnn(Infer &infer) {
  if (failed(activations(infer)))
    return failure();
  return inferRecurrence(infer, 1);
}

static LogicalResult lowerRnn(const Node &node, Lowering &lowering) {
  auto functions = activations(node);
  if (failed(functions))
    return failure();
  Recurrence r(node, lowering, 1);
  r.begin();
  r.forEachStep([&](Value t) {
    Kernel k(lowering, "rnn", lowering.loc);
    RecurrentStep s(r, k, t);
    auto compute = [&] {
      Real sum = s.input(0) + s.bias(0, 0) + s.bias(1, 0);
      sum = s.addProduct({0}, {sum}, r.states, s.before())[0];
      Real hidden = s.activate(*functions, 1, 0, s.clipped(sum));
      s.store(hidden, r.states, s.after());
      s.storeResult(hidden);
    };
    s.forEachBlock(compute, [&] {
      s.store(s.load(r.states, s.before()), r.states, s.after());
      s.storeResult(std::nullopt);
    });
    s.launch(1);
  });
  r.end();
  return success();
}

void qcc::registerRnn(OperatorRegistry &registry) { registry.add("", "RNN", inferRnn, lowerRnn); }
