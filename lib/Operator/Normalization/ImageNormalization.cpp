// InstanceNormalization and GroupNormalization: channels of an image normalized by their own elements.
#include "Register.h"
#include "Rows.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static bool isInstance(const Node &node) { return node.type() == "InstanceNormalization"; }

/// GroupNormalization has one scale per group up to operator set 20, one per channel from 21 on.
static bool scalesGroups(const Node &node) { return !isInstance(node) && node.version() < 21; }

static LogicalResult inferImageNorm(Infer &infer) {
  if (infer.inputs() != 3 || !infer.has(0) || !infer.has(1) || !infer.has(2) || infer.rank(0) < 3)
    return infer.error("takes an operand of at least three dimensions, a scale and a bias");
  if (!isFloat(infer.element(0)))
    return infer.error("takes numbers of a float type");
  Dim channels = infer.dims(0)[1];
  int64_t groups = infer.intAttr("num_groups", 1);
  if (!isInstance(infer) && (groups < 1 || constantOf(channels).value_or(0) % groups))
    return infer.error("has " + Twine(groups) + " groups, which do not divide its channels");
  for (unsigned i : {1u, 2u}) {
    if (infer.rank(i) != 1 || !isFloat(infer.element(i)))
      return infer.error("has a scale or bias that is no list of numbers");
    infer.requireEqual(infer.dims(i)[0], scalesGroups(infer) ? infer.dim().constant(groups) : channels);
  }
  infer.result(0, infer.dims(0), infer.element(0));
  return success();
}

static LogicalResult lowerImageNorm(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> x = node.dims(0);
  Type element = node.element(0), type = accumulatorOf(element);
  Dim spatial = dims.product(ArrayRef(x).drop_front(2));
  Dim groups = isInstance(node) ? x[1] : dims.constant(node.intAttr("num_groups", 1));
  Dim channels = isInstance(node) ? dims.constant(1) : dims.floorDiv(x[1], groups); // of a group
  Rows rows;
  rows.count = dims.mul(x[0], groups), rows.length = dims.mul(channels, spatial);
  rows.type = type;
  rows.epsilon = node.floatAttr("epsilon", 1e-5);
  rows.keeps = lowering.isFused(node.input(0)) || element != type;
  rows.load = [&](Kernel &k, Value row) -> std::function<Value(Value)> {
    Value start = k.mul(row, k.dim(rows.length));
    return [=, &k, &node](Value i) { return k.load(node.input(0), Index(x, k.add(start, i))); };
  };
  rows.store = [&](Kernel &k, const Team &team, Value row, const Moments &moments,
                   llvm::function_ref<Value(Value)> element) {
    Value batch = k.div(row, k.dim(groups)), group = k.rem(row, k.dim(groups)), length = k.dim(spatial);
    k.loop(k.constant(0), k.dim(channels), [&](Value c) {
      Value channel = k.add(k.mul(group, k.dim(channels)), c);
      auto parameter = [&](unsigned i) {
        Value value = k.load(node.input(i), scalesGroups(node) ? group : channel);
        return castNumber(k.b, value, node.element(i), type);
      };
      Value scale = parameter(1), bias = parameter(2), from = k.mul(c, length);
      Value start = k.add(k.mul(row, k.dim(rows.length)), from);
      team.each(k.constant(0), length, [&](Value i) {
        SmallVector<Value> at = {batch, channel};
        llvm::append_range(at, k.delinearize(i, ArrayRef(x).drop_front(2)));
        Value y = scaleAndShift(k, moments.normalize(k, element(k.add(from, i))), scale, bias);
        k.store(node.output(), Index(x, at, k.add(start, i)), y);
      });
    });
  };
  emitRows(lowering, node.type().lower(), rows);
  return success();
}

void qcc::registerImageNormalization(OperatorRegistry &registry) {
  for (StringRef type : {"InstanceNormalization", "GroupNormalization"}) {
    Operator op;
    op.type = type;
    op.infer = inferImageNorm;
    op.lower = lowerImageNorm;
    op.acceptsEpilogue = true;
    op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
    registry.add(op);
  }
}
