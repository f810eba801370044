// Running sums and products along an axis.
#include "Lanes.h"
#include "Register.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferScan(Infer &infer) {
  if (infer.inputs() != 2 || !infer.has(0) || !infer.has(1))
    return infer.error("takes two operands");
  int64_t rank = infer.rank(0);
  if (rank == 0)
    return infer.error("has a scalar operand");
  if (infer.element(0).getIntOrFloatBitWidth() < 8)
    return infer.error("cannot compute with elements of this type");
  auto axis = infer.shapeOperand(1, "axis", 1);
  if (failed(axis))
    return failure();
  if (axis->size() != 1)
    return infer.error("has an axis operand of " + Twine(axis->size()) + " elements");
  if (auto known = constantOf(axis->front())) {
    if (failed(infer.axis(*known, rank)))
      return failure();
  } else { // the axis that arrives with the data exists
    Dimensions &d = infer.dim();
    Dim one = d.constant(1), exists = d.constant(0);
    for (int64_t i = -rank; i < rank; ++i)
      exists = d.ifEqual(axis->front(), d.constant(i), one, exists);
    infer.requireEqual(exists, one);
  }
  infer.result(0, infer.dims(0), infer.element(0));
  return success();
}

static LogicalResult lowerScan(const Node &node, Lowering &lowering) {
  Fold fold = node.type() == "CumSum" ? Fold::Sum : Fold::Product;
  bool exclusive = node.intAttr("exclusive", 0), reversed = node.intAttr("reverse", 0);
  Type element = isFloat(node.element(0)) ? computeType(node.element(0)) : node.element(0);
  Type wide = wideType(fold, element);
  Dim axis = node.resolved("axis")->front();
  auto known = constantOf(axis);
  Lanes lines(
      lowering, node.type().lower(),
      known ? Axes(lowering, node.input(0), oneAxis(lowering.dims, node.rank(0), *node.axis(*known, node.rank(0))))
            : Axes(lowering, node.input(0), axis),
      /*inTeams=*/false);
  Kernel &k = lines.k;
  Value out = k.pointer(node.output());
  lines.launch(2, [&] {
    lines.scan(wide, identity(k, fold, wide), reversed, [&](Value i, Value lane, Value before) {
      Value next = castNumber(k.b, lines.load(i, lane), element, wide);
      Value now = combine(k, fold, wide, before, next);
      Value value = castNumber(k.b, exclusive ? before : now, wide, element);
      k.storeAt(out, lines.number(i, lane), node.element(0), value);
      return now;
    });
  });
  return success();
}

void qcc::registerScan(OperatorRegistry &registry) {
  for (StringRef type : {"CumSum", "CumProd"}) {
    Operator op;
    op.type = type;
    op.infer = inferScan, op.lower = lowerScan;
    op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
    registry.add(op);
  }
}
