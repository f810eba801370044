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
  if (node.hasAttr(roundsStatesAttr))
    r.rounded = r.allocateRows(1);
  r.forEachStep([&](Value t) {
    if (r.rounded)
      r.roundStates(t);
    Kernel k(lowering, "lstm", lowering.loc);
    RecurrentStep s(r, k, t);
    // What is clipped are the gates and the cell's new part; the cell itself is not, which ONNX leaves open.
    auto activate = [&](int64_t which, const Real &x) {
      return s.activate(*functions, 3, which, which == 2 ? x : s.clipped(x));
    };
    auto compute = [&] {
      SmallVector<Real> gates;
      for (int64_t gate = 0; gate < gateCount; ++gate)
        gates.push_back(s.input(gate) + s.bias(0, gate) + s.bias(1, gate));
      gates = r.rounded ? s.addProduct({0, 1, 2, 3}, gates, r.rounded)
                        : s.addProduct({0, 1, 2, 3}, gates, r.states, s.before());
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

/// com.microsoft.DynamicQuantizeLSTM: the matrices are codes, and so is what is multiplied with them, with a scale for
/// all of the input and one for the hidden states of each step.
static LogicalResult inferDynamicQuantizeLstm(Infer &infer) {
  constexpr unsigned matrices = 1, others = 3, scales = 8; // two matrices; two scales, each with its zero behind it
  constexpr int64_t float32 = 1;                           // in ONNX's enumeration of types
  if (infer.inputs() < scales + 4 || !infer.has(0) || infer.rank(0) != 3 || !infer.element(0).isF32())
    return infer.error("takes an input of float32 and three dimensions, matrices, and their scales and zeros");
  SmallVector<Value> operands;
  auto make = [&](StringRef type, int64_t version, ValueRange inputs, ArrayRef<NamedAttribute> attrs = {}) {
    if (llvm::is_contained(inputs, Value())) // what it is made of could not be made
      return Value();
    auto made = infer.make(type, version, inputs, attrs);
    return succeeded(made) ? *made : Value();
  };
  auto codes = infer.makeAll("DynamicQuantizeLinear", 11, 3, {infer.input(0)});
  if (failed(codes))
    return failure();
  operands.push_back(make("DequantizeLinear", 13, *codes));
  for (unsigned i : {0u, 1u}) {
    unsigned matrix = matrices + i, scale = scales + 2 * i, zero = scale + 1;
    if (!infer.has(matrix) || infer.rank(matrix) != 3 || !infer.has(scale) || infer.rank(scale) < 1 ||
        infer.rank(scale) > 2)
      return infer.error("takes matrices (directions, elements, gates) with a scale for each direction or each gate");
    auto perGate = [&](unsigned operand) {
      SmallVector<Dim> dims = infer.dims(operand);
      Dim one = infer.dim().constant(1);
      Value wide = make("Cast", 13, {infer.input(operand)}, {infer.attribute("to", float32)});
      return wide ? infer.reshape(wide, {dims[0], one, dims.size() == 2 ? dims[1] : one}) : wide;
    };
    Value value = make("Cast", 13, {infer.input(matrix)}, {infer.attribute("to", float32)});
    if (infer.has(zero)) {
      if (infer.rank(zero) != infer.rank(scale))
        return infer.error("has zeros and scales that do not go together");
      value = make("Sub", 14, {value, perGate(zero)});
    }
    value = make("Mul", 14, {value, perGate(scale)});
    operands.push_back(make("Transpose", 13, {value}, {infer.attribute("perm", ArrayRef<int64_t>{0, 2, 1})}));
  }
  if (llvm::is_contained(operands, Value()))
    return failure();
  for (unsigned i = others; i < scales; ++i)
    operands.push_back(infer.has(i) ? infer.input(i) : Value());
  SmallVector<NamedAttribute> attrs(infer.op.getAttrs().getValue());
  attrs.push_back(infer.attribute(roundsStatesAttr, 1));
  auto made = infer.makeAll("LSTM", 14, infer.outputs(), operands, attrs);
  if (failed(made))
    return failure();
  for (auto [i, value] : llvm::enumerate(*made))
    infer.replace(unsigned(i), value);
  return success();
}

void qcc::registerLstm(OperatorRegistry &registry) {
  registry.add("", "LSTM", inferLstm, lowerLstm);
  registry.add("com.microsoft", "DynamicQuantizeLSTM", inferDynamicQuantizeLstm, nullptr);
}
