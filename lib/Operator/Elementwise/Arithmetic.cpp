// Operators whose result at an index depends on the operands at the same (broadcast) index alone.
#include "Register.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

namespace {
/// The operands of one element, loaded.
struct Element {
  ImplicitLocOpBuilder &b;
  const Node &node;
  SmallVector<Value> in;
  Type type() const { return node.element(0); } // the element type of operand 0
};
using Rule = std::function<Value(Element &)>;
} // namespace

static LogicalResult inferBroadcast(Infer &infer) {
  SmallVector<SmallVector<Dim>> shapes;
  for (unsigned i = 0; i < infer.inputs(); ++i)
    if (infer.has(i))
      shapes.push_back(infer.dims(i));
  infer.result(0, infer.broadcast(shapes), infer.element(0));
  return success();
}

static void add(OperatorRegistry &registry, StringRef type, Rule rule, int64_t cost = 1) {
  Operator op;
  op.type = type;
  op.infer = inferBroadcast;
  op.pointwise = true;
  op.cost = cost;
  op.readsOnce = [](const Node &, unsigned) { return true; };
  op.element = [rule](const Node &node, Kernel &k, const Index &index) {
    Element e{k.b, node, {}};
    for (unsigned i = 0; i < node.inputs(); ++i)
      e.in.push_back(node.has(i) ? k.load(node.input(i), k.broadcastIndex(index, node.dims(i))) : Value());
    return rule(e);
  };
  registry.add(op);
}

void qcc::registerArithmetic(OperatorRegistry &registry) {
  add(registry, "Add", [](Element &e) -> Value {
    if (isFloat(e.type()))
      return arith::AddFOp::create(e.b, e.in[0], e.in[1]);
    return arith::AddIOp::create(e.b, e.in[0], e.in[1]);
  });
  add(registry, "Exp", [](Element &e) -> Value { return math::ExpOp::create(e.b, e.in[0]); }, 12);
}
