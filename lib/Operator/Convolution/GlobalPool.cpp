// GlobalAveragePool, GlobalMaxPool and GlobalLpPool: reductions over all spatial axes.
#include "Power.h"
#include "Register.h"
#include "Window.h"
#include "qcc/Tile/Contraction.h"
#include "qcc/Tile/Sum.h"

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

/// One unit per image: `reduce` gets a loader of the image's elements and their number.
static LogicalResult emitGlobalPool(const Node &node, Lowering &lowering,
                                    function_ref<Value(Kernel &, Value length, function_ref<Value(Value)>)> reduce) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> input = node.dims(0), result = node.outputDims();
  Dim images = dims.mul(input[0], input[1]), size = dims.product(spatialDims(node, 0));
  Kernel k(lowering, node.type().lower(), lowering.loc);
  k.loop(k.lo(), k.hi(), [&](Value image) {
    Value length = k.dim(size), start = k.mul(image, length);
    Value value = reduce(k, length, [&](Value i) { return k.load(node.input(0), Index(input, k.add(start, i))); });
    k.store(node.output(), Index(result, image), value);
  });
  k.launch(images, dims.product(input));
  return success();
}

static LogicalResult lowerGlobalAveragePool(const Node &node, Lowering &lowering) {
  Type type = accumulatorOf(node.element(0));
  return emitGlobalPool(node, lowering, [&](Kernel &k, Value length, function_ref<Value(Value)> load) -> Value {
    Value sum = sumOf(k, k.constant(0), length, type, load);
    return arith::DivFOp::create(k.b, sum, arith::SIToFPOp::create(k.b, type, length));
  });
}

static LogicalResult lowerGlobalMaxPool(const Node &node, Lowering &lowering) {
  Type type = node.element(0);
  return emitGlobalPool(node, lowering, [&](Kernel &k, Value length, function_ref<Value(Value)> load) -> Value {
    return k.loop(k.constant(0), length, {lowestNumber(k.b, type)}, [&](Value i, ValueRange best) {
      Value value = load(i);
      Value better = arith::CmpFOp::create(k.b, arith::CmpFPredicate::OGT, value, best[0]);
      return SmallVector<Value>{k.select(better, value, best[0])};
    })[0];
  });
}

static LogicalResult lowerGlobalLpPool(const Node &node, Lowering &lowering) {
  Type type = accumulatorOf(node.element(0));
  int64_t p = node.intAttr("p", 2);
  return emitGlobalPool(node, lowering, [&](Kernel &k, Value length, function_ref<Value(Value)> load) {
    Value sum = sumOf(k, k.constant(0), length, type, [&](Value i) { return absolutePower(k, load(i), p); });
    return rootOf(k, sum, p);
  });
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
