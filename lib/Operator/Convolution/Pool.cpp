// MaxPool, AveragePool and LpPool.
#include "Power.h"
#include "Register.h"
#include "Sweep.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static FailureOr<Window> poolWindow(const Node &node, Dimensions &dims) {
  auto kernel = kernelShape(node, dims);
  return succeeded(kernel) ? windowOf(node, dims, spatialDims(node, 0), *kernel) : FailureOr<Window>();
}

static SmallVector<Dim> poolDims(const Node &node, const Window &window) {
  SmallVector<Dim> result = {node.dims(0)[0], node.dims(0)[1]};
  llvm::append_range(result, outputDims(window));
  return result;
}

/// Whether windows reach out of the input, as the attributes alone say it.
static bool isPadded(const Node &node) {
  auto pads = node.intsAttr("pads");
  StringRef autoPad = node.stringAttr("auto_pad", "NOTSET");
  return autoPad.starts_with("SAME") || node.intAttr("ceil_mode", 0) != 0 ||
         (autoPad != "VALID" && pads && llvm::any_of(*pads, [](int64_t pad) { return pad != 0; }));
}

static LogicalResult inferPool(Infer &infer) {
  if (infer.inputs() != 1 || !infer.has(0))
    return infer.error("takes one operand");
  if (infer.type() == "LpPool" && infer.intAttr("p", 2) < 1)
    return infer.error("has a norm p below 1");
  auto window = poolWindow(infer, infer.dim());
  if (failed(window))
    return failure();
  if (infer.element(0).isInteger(1) || (infer.type() != "MaxPool" && !isFloat(infer.element(0))))
    return infer.error("takes numbers" + Twine(infer.type() == "MaxPool" ? "" : " of a float type"));
  SmallVector<Dim> result = poolDims(infer, *window);
  infer.result(0, result, infer.element(0));
  if (infer.type() == "MaxPool")
    infer.result(1, result, IntegerType::get(infer.op.getContext(), 64));
  return success();
}

/// a > b of compute values of `element`.
static Value greater(Kernel &k, Type element, Value a, Value b) {
  if (isFloat(element))
    return arith::CmpFOp::create(k.b, arith::CmpFPredicate::OGT, a, b);
  return arith::CmpIOp::create(k.b, isUnsigned(element) ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt, a, b);
}

static void emitPool(const Node &node, Lowering &lowering, const Window &window, Planes &planes, Sweep &sweep,
                     llvm::function_ref<Value(Kernel &, const Index &, Value)> finish) {
  SmallVector<Dim> input = node.dims(0);
  sweep.window = window;
  sweep.units = {input[0], input[1]};
  sweep.image = [&](Kernel &k, ArrayRef<Value> unit) { return k.add(k.mul(unit[0], k.dim(input[1])), unit[1]); };
  sweep.store = [&](Kernel &k, const Index &at, Value result) { k.store(node.output(), at, finish(k, at, result)); };
  emitSweep(lowering, node.type().lower(), planes, sweep);
}

/// MaxPool with its second result: the element number of each maximum in the input.
static void emitMaxPoolIndices(const Node &node, Lowering &lowering, const Window &window) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> result = node.outputDims(), input = node.dims(0), spatial = spatialDims(node, 0);
  SmallVector<Dim> kernel = kernelDims(window);
  Type element = node.element(0);
  bool columnMajor = node.intAttr("storage_order", 0) != 0;
  lowering.forEach(result, "maxpool_indices", dims.product(kernel), [&](Kernel &k, ArrayRef<Value> at) {
    Value image = k.add(k.mul(at[0], k.dim(input[1])), at[1]), start = k.mul(image, k.dim(dims.product(spatial)));
    Value lowest = lowestNumber(k.b, element), none = k.constant(-1);
    SmallVector<Value> best = k.loop(
        k.constant(0), k.dim(dims.product(kernel)), {lowest, none},
        [&](Value tap, ValueRange so) -> SmallVector<Value> {
          SmallVector<Value> taps = k.delinearize(tap, kernel), clamped;
          Value zero = k.constant(0), no = arith::ConstantOp::create(k.b, k.b.getBoolAttr(false));
          Value valid = arith::ConstantOp::create(k.b, k.b.getBoolAttr(true));
          for (auto [i, axis] : llvm::enumerate(window)) {
            Value first = k.sub(k.mul(at[i + 2], k.constant(axis.stride)), k.dim(axis.before));
            Value position = k.add(first, k.mul(taps[i], k.constant(axis.dilation)));
            valid = k.select(k.less(position, zero), no, valid);
            valid = k.select(k.less(position, k.dim(axis.input)), valid, no);
            clamped.push_back(k.max(k.min(position, k.sub(k.dim(axis.input), k.constant(1))), zero));
          }
          Value number = zero;
          for (size_t j = 0; j < clamped.size(); ++j) { // the first axis is the fastest one in column-major order
            size_t i = columnMajor ? clamped.size() - 1 - j : j;
            number = k.add(k.mul(number, k.dim(window[i].input)), clamped[i]);
          }
          SmallVector<Value> coordinates(at.take_front(2));
          llvm::append_range(coordinates, clamped);
          Value value = k.load(node.input(0), coordinates);
          Value better = arith::OrIOp::create(k.b, greater(k, element, value, so[0]), k.less(so[1], zero));
          better = k.select(valid, better, no);
          return {k.select(better, value, so[0]), k.select(better, k.add(start, number), so[1])};
        });
    if (node.hasOutput(0))
      k.store(node.output(0), at, best[0]);
    k.store(node.output(1), at, best[1]);
  });
}

static LogicalResult lowerMaxPool(const Node &node, Lowering &lowering) {
  auto window = poolWindow(node, lowering.dims);
  if (failed(window))
    return failure();
  if (node.hasOutput(1)) {
    emitMaxPoolIndices(node, lowering, *window);
    return success();
  }
  Type element = node.element(0);
  Planes planes(lowering, node.input(0), *window, computeType(element), !isPadded(node));
  planes.read = [](Kernel &, Value value) { return value; };
  planes.outside = [=](Kernel &k) { return lowestNumber(k.b, element); };
  Sweep sweep;
  sweep.accumulator = computeType(element);
  sweep.initial = planes.outside;
  sweep.combine = [=](Kernel &k, Value best, Value value, Value) {
    return k.select(greater(k, element, value, best), value, best);
  };
  emitPool(node, lowering, *window, planes, sweep, [](Kernel &, const Index &, Value best) { return best; });
  return success();
}

/// How many taps of the window at `position` fall between `low` and `high` of the input, as f32.
static Value tapsWithin(Kernel &k, const WindowAxis &axis, Value position, Value low, Value high) {
  Value start = k.sub(k.mul(position, k.constant(axis.stride)), k.dim(axis.before));
  auto firstAt = [&](Value bound) {
    Value distance = k.max(k.sub(bound, start), k.constant(0));
    return k.min(k.div(k.add(distance, k.constant(axis.dilation - 1)), k.constant(axis.dilation)), k.dim(axis.kernel));
  };
  return k.sub(firstAt(high), firstAt(low));
}

static LogicalResult lowerAveragePool(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  auto window = poolWindow(node, dims);
  if (failed(window))
    return failure();
  Type accumulator = accumulatorOf(node.element(0));
  bool padded = isPadded(node), countsPadding = node.intAttr("count_include_pad", 0) != 0;
  Planes planes(lowering, node.input(0), *window, accumulator, !padded);
  Sweep sweep;
  sweep.accumulator = accumulator;
  sweep.initial = [=](Kernel &k) { return numberConstant(k.b, accumulator, 0); };
  sweep.combine = [](Kernel &k, Value sum, Value value, Value) { return plus(k, sum, value); };
  emitPool(node, lowering, *window, planes, sweep, [&](Kernel &k, const Index &at, Value sum) -> Value {
    Value count = k.constant(1);
    SmallVector<Value> position = at.coords(k);
    for (auto [i, axis] : llvm::enumerate(*window)) {
      // Padding counts where that is asked for, but not what a rounded up length adds behind it.
      Value low = k.constant(0), high = k.dim(axis.input);
      if (countsPadding)
        low = k.sub(low, k.dim(axis.before)), high = k.add(high, k.dim(axis.after));
      Value taps = padded ? tapsWithin(k, axis, position[i + 2], low, high) : k.dim(axis.kernel);
      count = k.mul(count, taps);
    }
    count = arith::TruncIOp::create(k.b, k.b.getI32Type(), count);
    return arith::DivFOp::create(k.b, sum, arith::SIToFPOp::create(k.b, accumulator, count));
  });
  return success();
}

static LogicalResult lowerLpPool(const Node &node, Lowering &lowering) {
  auto window = poolWindow(node, lowering.dims);
  if (failed(window))
    return failure();
  Type element = node.element(0), accumulator = accumulatorOf(element);
  int64_t p = node.intAttr("p", 2);
  Planes planes(lowering, node.input(0), *window, accumulator, !isPadded(node));
  planes.read = [=](Kernel &k, Value value) { return absolutePower(k, value, p); };
  Sweep sweep;
  sweep.accumulator = accumulator;
  sweep.initial = [=](Kernel &k) { return numberConstant(k.b, accumulator, 0); };
  sweep.combine = [](Kernel &k, Value sum, Value value, Value) { return plus(k, sum, value); };
  emitPool(node, lowering, *window, planes, sweep,
           [&](Kernel &k, const Index &, Value sum) { return rootOf(k, sum, p); });
  return success();
}

void qcc::registerPool(OperatorRegistry &registry) {
  auto add = [&](StringRef type, LogicalResult (*lower)(const Node &, Lowering &)) {
    Operator op;
    op.type = type;
    op.infer = inferPool;
    op.lower = lower;
    op.acceptsEpilogue = true;
    op.readsOnce = [](const Node &node, unsigned) { return isPadded(node) && node.outputs() == 1; };
    registry.add(op);
  };
  add("MaxPool", lowerMaxPool);
  add("AveragePool", lowerAveragePool);
  add("LpPool", lowerLpPool);
}
