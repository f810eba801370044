// GlobalAveragePool, GlobalMaxPool and GlobalLpPool: reductions over all spatial axes.
#include "../Reduction/Fold.h"
#include "Power.h"
#include "Register.h"
#include "Window.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferGlobalPool(Infer &infer) {
  if (infer.inputs() != 1 || !infer.has(0) || infer.rank(0) < 3)
    return infer.error("takes one operand of at least three dimensions");
  if (!isFloat(infer.element(0)))
    return infer.error("takes numbers of a float type");
  if (infer.intAttr("p", 2) < 1)
    return infer.error("has a norm p below 1");
  SmallVector<Dim> result = infer.dims(0);
  for (Dim &dim : MutableArrayRef(result).drop_front(2))
    dim = infer.dim().constant(1);
  infer.result(0, result, infer.element(0));
  return success();
}

/// One unit per image: the fold of its elements, each passed through `term`, and what `finish` makes of it.
static LogicalResult emitGlobalPool(const Node &node, Lowering &lowering, Fold fold,
                                    function_ref<Value(Kernel &, Value)> term,
                                    function_ref<Value(Kernel &, Value folded, Value length)> finish) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> input = node.dims(0), result = node.outputDims();
  Type type = accumulatorOf(node.element(0)), wide = wideType(fold, type);
  Dim images = dims.mul(input[0], input[1]), size = dims.product(spatialDims(node, 0));
  Kernel k(lowering, node.type().lower(), lowering.loc);
  Team team(k, size);
  k.loop(k.lo(), k.hi(), [&](Value image) {
    Value length = k.dim(size), start = k.mul(image, length);
    Value folded = foldRow(
        k, fold, type, size, [&](Value i) { return term(k, k.load(node.input(0), Index(input, k.add(start, i)))); }, {},
        &team);
    team.once(
        [&] { k.store(node.output(), Index(result, image), castNumber(k.b, finish(k, folded, length), wide, type)); });
  });
  k.launch(images, dims.product(input));
  return success();
}

static LogicalResult lowerGlobalAveragePool(const Node &node, Lowering &lowering) {
  return emitGlobalPool(
      node, lowering, Fold::Sum, [](Kernel &, Value value) { return value; },
      [](Kernel &k, Value sum, Value length) -> Value {
        return arith::DivFOp::create(k.b, sum, arith::SIToFPOp::create(k.b, sum.getType(), length));
      });
}

static LogicalResult lowerGlobalMaxPool(const Node &node, Lowering &lowering) {
  return emitGlobalPool(
      node, lowering, Fold::Largest, [](Kernel &, Value value) { return value; },
      [](Kernel &, Value largest, Value) { return largest; });
}

static LogicalResult lowerGlobalLpPool(const Node &node, Lowering &lowering) {
  int64_t p = node.intAttr("p", 2);
  return emitGlobalPool(
      node, lowering, Fold::Sum, [=](Kernel &k, Value value) { return absolutePower(k, value, p); },
      [=](Kernel &k, Value sum, Value) { return rootOf(k, sum, p); });
}

void qcc::registerGlobalPool(OperatorRegistry &registry) {
  auto add = [&](StringRef type, LogicalResult (*lower)(const Node &, Lowering &)) {
    Operator op;
    op.type = type;
    op.infer = inferGlobalPool;
    op.lower = lower;
    op.acceptsEpilogue = true;
    op.readsOnce = [](const Node &, unsigned) { return true; };
    registry.add(op);
  };
  add("GlobalAveragePool", lowerGlobalAveragePool);
  add("GlobalMaxPool", lowerGlobalMaxPool);
  add("GlobalLpPool", lowerGlobalLpPool);
}
