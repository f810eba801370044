// qcc.Requantize: sums of products of codes as codes again, saturate(round(sum * factor) + zero).
#include "Quantize.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferRequantize(Infer &infer) {
  SmallVector<Dim> x = infer.dims(0);
  for (unsigned i : {1u, 2u})
    for (auto [a, b] : llvm::zip(infer.broadcast({x, infer.dims(i)}), x))
      infer.requireEqual(a, b);
  infer.result(0, x, infer.element(2));
  return success();
}

static Value requantize(const Node &node, Kernel &k, const Index &at) {
  auto load = [&](unsigned i) { return k.load(node.input(i), k.broadcastIndex(at, node.dims(i))); };
  Real sum(k.b, castNumber(k.b, load(0), node.element(0), k.b.getF32Type()));
  return integerCode(k.b, sum * Real(k.b, load(1)), load(2), node.outputElement());
}

void qcc::registerRequantize(OperatorRegistry &registry) {
  Operator op;
  op.domain = "qcc", op.type = "Requantize";
  op.infer = inferRequantize;
  op.element = requantize;
  op.pointwise = true;
  op.cost = 5;
  op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
  registry.add(op);
}
