// CausalConvWithState: a depthwise convolution over what came before and the input, and the end of both as the next
// state.
#include "Convolution.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

static constexpr unsigned weights = 1, bias = 2, past = 3;

static bool isActivated(const Node &node) { return node.stringAttr("activation", "none") != "none"; }

static LogicalResult inferCausalConv(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(weights) || infer.rank(0) != 3 || infer.rank(weights) != 3)
    return infer.error("takes an input and weights of three dimensions");
  if (!isFloat(infer.element(0)) || infer.element(0) != infer.element(weights))
    return infer.error("takes an input and weights of one float type");
  StringRef activation = infer.stringAttr("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return infer.error("has the unknown activation '" + activation + "'");
  Dimensions &d = infer.dim();
  SmallVector<Dim> kernel = infer.dims(weights);
  Dim before = d.sub(kernel[2], d.constant(1));
  if (!infer.resolved("length")) { // the input becomes what came before and the input
    SmallVector<Dim> x = infer.dims(0);
    infer.requireEqual(kernel[0], x[1]);
    infer.requireEqual(kernel[1], d.constant(1));
    infer.resolve("length", {x[2]});
    FailureOr<Value> whole;
    if (infer.has(past)) {
      if (infer.rank(past) != 3)
        return infer.error("has a state of another rank than the input");
      for (auto [is, must] : llvm::zip(infer.dims(past), SmallVector<Dim>{x[0], x[1], before}))
        infer.requireEqual(is, must);
      whole = infer.make("Concat", 13, {infer.input(past), infer.input(0)}, {infer.attribute("axis", 2)});
    } else {
      Dim zero = d.constant(0);
      Value pads = infer.integers({d.constant(6)}, {zero, zero, before, zero, zero, zero},
                                  IntegerType::get(infer.op.getContext(), 64));
      whole = infer.make("Pad", 13, {infer.input(0), pads});
    }
    if (failed(whole) || failed(checkBias(infer, bias, x[1])))
      return failure();
    infer.op->setOperand(0, *whole);
  }
  SmallVector<Dim> result = infer.dims(0);
  Dim length = (*infer.resolved("length"))[0];
  if (infer.hasOutput(1))
    infer.replace(1, infer.slice(infer.input(0), 2, length, before));
  result[2] = length;
  infer.result(0, result, infer.element(0));
  return success();
}

static LogicalResult lowerCausalConv(const Node &node, Lowering &lowering) {
  SmallVector<Dim> whole = node.dims(0), result = node.outputDims();
  Type element = node.element(0), accumulator = accumulatorOf(element);
  Dim none = lowering.dims.constant(0);
  Convolution c;
  c.input = node.input(0), c.weights = node.input(weights);
  c.groups = whole[1];
  WindowAxis axis;
  axis.input = whole[2], axis.kernel = node.dims(weights)[2], axis.output = result[2];
  axis.before = axis.after = none;
  c.window = {axis};
  c.accumulator = accumulator;
  c.inPlace = true;
  c.read = [](Kernel &, Value value) { return value; };
  c.readWeight = [](Kernel &, Value value, Value) { return value; };
  c.store = [&](Kernel &k, Value channel, const Index &at, Value sum) {
    if (node.has(bias))
      sum = plus(k, sum, k.load(node.input(bias), channel));
    Real x(k.b, sum);
    k.store(node.output(), at, isActivated(node) ? (x / (exp(-x) + 1.0)).value() : sum);
  };
  emitDepthwise(lowering, "causalconv", c);
  return success();
}

void qcc::registerCausalConv(OperatorRegistry &registry) {
  registry.add("", "CausalConvWithState", inferCausalConv, lowerCausalConv);
}
