// LSTM. Gates stand in the order input, output, forget, cell.
#include "Recurrence.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t inputGate = 0, outputGate = 1, forgetGate = 2, cellGate = 3, gateCount = 4;
static constexpr unsigned firstCell = 6, peepholes = 7, lastCell = 2;
static constexpr StringRef defaults[] = {"Sigmoid", "Tanh", "Tanh"}; // f of the gates, g of the cell, h of the result

static FailureOr<SmallVector<RecurrentActivation>> activations(const Node &node) {
  return activationsOf(node, node.stringAttr("direction", "forward") == "bidirectional" ? 2 : 1, defaults);
}

static LogicalResult inferLstm(Infer &infer) {
  if (failed(activations(infer)))
    return failure();
  return inferRecurrence(infer, gateCount);
}

static LogicalResult lowerLstm(const Node &node, Lowering &lowering) {
  auto functions = activations(node);
  if (failed(functions))
    return failure();
  Recurrence r(node, lowering, gateCount);
  Value cells = r.allocateRows(1);
  r.begin();
  r.fillRows(cells, firstCell);
  r.forEachStep([&](Value t) {
    Kernel k(lowering, "lstm", lowering.loc);
    RecurrentStep s(r, k, t);
    auto activate = [&](int64_t which, const Real &x) { return s.activate(*functions, 3, which, s.clipped(x)); };
    auto compute = [&] {
      SmallVector<Real> gates;
      for (int64_t gate = 0; gate < gateCount; ++gate)
        gates.push_back(s.input(gate) + s.bias(0, gate) + s.bias(1, gate));
      gates = s.addProduct({0, 1, 2, 3}, gates, r.states, s.before());
      // Peepholes stand in the order input, output, forget.
      auto peep = [&](int64_t gate, const Real &cell) {
        return node.has(peepholes) ? gates[gate] + s.parameter(peepholes, 3, gate) * cell : gates[gate];
      };
      Real cell = s.load(cells);
      Real in = activate(0, peep(inputGate, cell));
      Real forget = node.intAttr("input_forget", 0) ? 1.0 - in : activate(0, peep(forgetGate, cell));
      Real next = forget * cell + in * activate(1, gates[cellGate]);
      Real hidden = activate(0, peep(outputGate, next)) * activate(2, next);
      s.store(next, cells);
      s.store(hidden, r.states, s.after());
      s.storeResult(hidden);
    };
    s.forEachBlock(compute, [&] {
      s.store(s.load(r.states, s.before()), r.states, s.after());
      s.storeResult(std::nullopt);
    });
    s.launch(gateCount);
  });
  r.end();
  r.storeRows(cells, lowering.dims.constant(0), lastCell);
  return success();
}

void qcc::registerLstm(OperatorRegistry &registry) { registry.add("", "LSTM", inferLstm, lowerLstm); }
