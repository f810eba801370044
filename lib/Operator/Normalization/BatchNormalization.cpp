// BatchNormalization: with the statistics given, or in training mode with those of the batch.
#include "../Reduction/Fold.h"
#include "Register.h"
#include "Rows.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static bool isTraining(const Node &node) { return node.version() >= 14 && node.intAttr("training_mode", 0) != 0; }

static LogicalResult inferBatchNorm(Infer &infer) {
  if (infer.inputs() != 5)
    return infer.error("takes an operand, scale, bias, mean and variance");
  for (unsigned i = 0; i < 5; ++i)
    if (!infer.has(i) || !isFloat(infer.element(i)) || (i && infer.rank(i) != 1))
      return infer.error("takes an operand and four lists of numbers of a float type");
  if (infer.rank(0) < 1)
    return infer.error("takes an operand with channels");
  if (infer.version() < 9 && infer.intAttr("spatial", 1) == 0)
    return infer.unsupported("'spatial' is 0, statistics for every position: export with operator set 9 or newer");
  for (unsigned i = 1; i < infer.outputs(); ++i)
    if (infer.hasOutput(i) && (!isTraining(infer) || i > 2))
      return infer.unsupported("its results besides the first exist in training mode from operator set 14 on alone");
  SmallVector<Dim> x = infer.dims(0);
  Dim channels = x.size() == 1 ? infer.dim().constant(1) : x[1];
  for (unsigned i = 1; i < 5; ++i)
    infer.requireEqual(infer.dims(i)[0], channels);
  infer.result(0, x, infer.element(0));
  for (unsigned i : {1u, 2u})
    infer.result(i, infer.dims(3), infer.element(i + 2));
  return success();
}

/// The statistics of the batch, an array of means and one of variances in `type`; also the running ones.
static std::pair<Value, Value> emitBatchStatistics(const Node &node, Lowering &lowering, Type type) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> x = node.dims(0);
  if (x.size() == 1)
    x.push_back(dims.constant(1));
  Dim channels = x[1], spatial = dims.product(ArrayRef(x).drop_front(2)), bytes = dims.constant(storageBytes(type));
  double momentum = node.floatAttr("momentum", 0.9);
  Value means = lowering.allocate(dims.mul(channels, bytes)), variances = lowering.allocate(dims.mul(channels, bytes));
  Kernel k(lowering, "batch_statistics", lowering.loc);
  Value meanArray = k.argument(means), varianceArray = k.argument(variances);
  Type wide = wideType(Fold::Sum, type);
  k.loop(k.lo(), k.hi(), [&](Value channel) {
    auto average = [&](llvm::function_ref<Value(Value)> term) -> Value {
      Value sum = k.loop(k.constant(0), k.dim(x[0]), numberConstant(k.b, wide, 0), [&](Value n, ValueRange sums) {
        Value start = k.mul(k.add(k.mul(n, k.dim(channels)), channel), k.dim(spatial));
        auto element = [&](Value i) { return term(k.load(node.input(0), Index(node.dims(0), k.add(start, i)))); };
        return SmallVector<Value>{foldRow(k, Fold::Sum, type, spatial, element, sums[0])};
      })[0];
      Value count = k.dim(dims.mul(x[0], spatial));
      Value result = arith::DivFOp::create(k.b, sum, arith::SIToFPOp::create(k.b, wide, count));
      return castNumber(k.b, result, wide, type);
    };
    Value mean = average([](Value value) { return value; });
    Value variance = average([&](Value value) {
      Value centered = arith::SubFOp::create(k.b, value, mean);
      return multiply(k, centered, centered);
    });
    k.storeAt(meanArray, channel, type, mean);
    k.storeAt(varianceArray, channel, type, variance);
    for (auto [i, current] : {std::pair(1u, mean), std::pair(2u, variance)})
      if (node.hasOutput(i)) {
        Type element = node.element(i + 2), compute = computeType(element);
        Value kept = multiply(k, k.load(node.input(i + 2), channel), numberConstant(k.b, compute, momentum));
        Value added = multiply(k, castNumber(k.b, current, type, element), numberConstant(k.b, compute, 1 - momentum));
        k.store(node.output(i), channel, plus(k, kept, added));
      }
  });
  k.launch(channels, dims.product(x));
  return {means, variances};
}

static LogicalResult lowerBatchNorm(const Node &node, Lowering &lowering) {
  Type type = accumulatorOf(node.element(0));
  std::pair<Value, Value> batch;
  if (isTraining(node))
    batch = emitBatchStatistics(node, lowering, type);
  SmallVector<Dim> x = node.dims(0);
  double epsilon = node.floatAttr("epsilon", 1e-5);
  lowering.forEachElement(node.output(), "batchnormalization", false, 4, [&](Kernel &k, const Index &index) {
    Value channel = x.size() == 1 ? k.constant(0) : index.coords(k)[1];
    auto parameter = [&](unsigned i) { return castNumber(k.b, k.load(node.input(i), channel), node.element(i), type); };
    Value mean = batch.first ? k.loadAt(k.argument(batch.first), channel, type) : parameter(3);
    Value variance = batch.second ? k.loadAt(k.argument(batch.second), channel, type) : parameter(4);
    Value factor = multiply(k, parameter(1), inverseDeviation(k, variance, epsilon));
    Value centered = arith::SubFOp::create(k.b, k.load(node.input(0), index), mean);
    return scaleAndShift(k, centered, factor, parameter(2));
  });
  return success();
}

void qcc::registerBatchNormalization(OperatorRegistry &registry) {
  Operator op;
  op.type = "BatchNormalization";
  op.infer = inferBatchNorm;
  op.lower = lowerBatchNorm;
  op.acceptsEpilogue = true;
  op.readsOnce = [](const Node &node, unsigned i) { return i == 0 && !isTraining(node); };
  registry.add(op);
}
