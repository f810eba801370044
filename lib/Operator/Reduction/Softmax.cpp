// Softmax, LogSoftmax and Hardmax, and the position of a line's extremum.
#include "Lanes.h"
#include "Register.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

/// Before operator set 13 the axis and all after it are one.
static FailureOr<SmallVector<Dim>> flagsOf(const Node &node, const Dimensions &dims) {
  bool flattens = node.version() < 13;
  int64_t rank = node.rank(0);
  if (flattens && node.intAttr("axis", 1) == rank) // lines of one element
    return SmallVector<Dim>(rank, dims.constant(0));
  auto axis = node.axis(node.intAttr("axis", flattens ? 1 : -1), rank);
  if (failed(axis))
    return failure();
  return oneAxis(dims, rank, *axis, flattens ? rank - *axis : 1);
}

static LogicalResult inferNormalized(Infer &infer) {
  if (infer.inputs() != 1 || !infer.has(0))
    return infer.error("takes one operand");
  if (!isFloat(infer.element(0)))
    return infer.error("cannot compute with elements that are no floats");
  if (infer.rank(0) == 0)
    return infer.error("has a scalar operand");
  if (failed(flagsOf(infer, infer.dim())))
    return failure();
  infer.result(0, infer.dims(0), infer.element(0));
  return success();
}

/// The lines of the node's operand. Axes that are treated as one must be one in memory.
static Lanes linesOf(const Node &node, Lowering &lowering, ArrayRef<Dim> flags) {
  if (llvm::count_if(flags, [](Dim flag) { return constantOf(flag) == 1; }) > 1)
    lowering.storage(node.input(0));
  return Lanes(lowering, node.type().lower(), Axes(lowering, node.input(0), flags));
}

/// Whether intermediate values can stand in the result until they are replaced: its elements hold them exactly.
static bool holdsIntermediates(const Node &node) { return node.element(0).getIntOrFloatBitWidth() >= 32; }

static LogicalResult lowerSoftmax(const Node &node, Lowering &lowering) {
  bool inResult = holdsIntermediates(node), isFused = lowering.isFused(node.input(0));
  bool logarithmic = node.type() == "LogSoftmax";
  Lanes lines = linesOf(node, lowering, *flagsOf(node, lowering.dims));
  Kernel &k = lines.k;
  Type element = computeType(node.element(0)), wide = wideType(Fold::Sum, element);
  bool isDevice = bool(lowering.facts.device);
  Value out = k.pointer(node.output());
  auto keep = [&](Value i, Value lane, Value x) { k.storeAt(out, lines.number(i, lane), node.element(0), x); };
  auto kept = [&](Value i, Value lane) { return k.loadAt(out, lines.number(i, lane), node.element(0)); };
  // A producer that is computed here is computed once: the first pass leaves it in the result.
  auto input = [&](Value i, Value lane) { return isFused && inResult ? kept(i, lane) : lines.load(i, lane); };
  lines.launch(25, [&] {
    auto largest = lines.fold(Fold::Largest, element, [&](Value i, Value lane) {
      Value x = lines.load(i, lane);
      if (isFused && inResult)
        keep(i, lane, x);
      return x;
    });
    auto shifted = [&](Value i, Value lane) { return Real(k.b, input(i, lane)) - Real(k.b, lines.get(largest, lane)); };
    bool keepsPowers = inResult && !logarithmic;
    auto sums = lines.fold(Fold::Sum, element, [&](Value i, Value lane) {
      Value power = exp(shifted(i, lane)).value();
      if (keepsPowers)
        keep(i, lane, power);
      return power;
    });
    auto factors = lines.compute(element, [&](Value lane) {
      Value sum = lines.get(sums, lane);
      if (isDevice) // every thread would divide in double precision, which is slow there
        sum = castNumber(k.b, sum, wide, element);
      if (logarithmic)
        return log(Real(k.b, castNumber(k.b, sum, sum.getType(), element))).value();
      return castNumber(k.b, (1.0 / Real(k.b, sum)).value(), sum.getType(), element);
    });
    lines.eachElement([&](Value i, Value lane) {
      Real factor(k.b, lines.get(factors, lane));
      Real value = logarithmic ? shifted(i, lane) - factor
                               : (keepsPowers ? Real(k.b, kept(i, lane)) : exp(shifted(i, lane))) * factor;
      keep(i, lane, value.value());
    });
  });
  return success();
}

/// The position of each line's largest or smallest element, the first or the last of equal ones. NaN counts as more
/// extreme than every number.
static Lanes::PerLane positions(Lanes &lines, Fold fold, Type element, bool last) {
  Kernel &k = lines.k;
  auto extremum = lines.fold(fold, element, [&](Value i, Value lane) { return lines.load(i, lane); });
  Value none = last ? k.constant(0) : k.dim(lines.length());
  return lines.fold(last ? Fold::Largest : Fold::Smallest, k.b.getI64Type(), [&](Value i, Value lane) -> Value {
    Value x = lines.load(i, lane), found = lines.get(extremum, lane), same;
    if (isFloat(element)) {
      Value isNaN = arith::CmpFOp::create(k.b, arith::CmpFPredicate::UNO, x, x);
      same = arith::OrIOp::create(k.b, Real(k.b, x) == Real(k.b, found), isNaN);
    } else
      same = arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, x, found);
    return k.select(same, i, none);
  });
}

static LogicalResult lowerHardmax(const Node &node, Lowering &lowering) {
  Lanes lines = linesOf(node, lowering, *flagsOf(node, lowering.dims));
  Kernel &k = lines.k;
  Type element = node.element(0);
  Value out = k.pointer(node.output());
  lines.launch(3, [&] {
    auto best = positions(lines, Fold::Largest, computeType(element), false);
    lines.eachElement([&](Value i, Value lane) {
      Value isBest = arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, i, lines.get(best, lane));
      Value value = k.select(isBest, numberConstant(k.b, element, 1), numberConstant(k.b, element, 0));
      k.storeAt(out, lines.number(i, lane), element, value);
    });
  });
  return success();
}

static LogicalResult inferExtremum(Infer &infer) {
  if (infer.inputs() != 1 || !infer.has(0))
    return infer.error("takes one operand");
  if (infer.element(0).getIntOrFloatBitWidth() < 8)
    return infer.error("cannot compute with elements of this type");
  SmallVector<Dim> dims = infer.dims(0);
  auto axis = infer.axis(infer.intAttr("axis", 0), int64_t(dims.size()));
  if (failed(axis))
    return failure();
  Dim length = dims[*axis], one = infer.dim().constant(1);
  if (constantOf(length) == 0)
    return infer.error("has no element along axis " + Twine(*axis) + " to choose");
  infer.requireEqual(infer.dim().max(length, one), length);
  if (infer.intAttr("keepdims", 1))
    dims[*axis] = one;
  else
    dims.erase(dims.begin() + *axis);
  infer.result(0, dims, IntegerType::get(infer.op.getContext(), 64));
  return success();
}

static LogicalResult lowerExtremum(const Node &node, Lowering &lowering) {
  Type element = isFloat(node.element(0)) ? computeType(node.element(0)) : node.element(0);
  int64_t axis = *node.axis(node.intAttr("axis", 0), node.rank(0));
  Axes axes(lowering, node.input(0), oneAxis(lowering.dims, node.rank(0), axis));
  Lanes lines(lowering, node.type().lower(), axes);
  Kernel &k = lines.k;
  SmallVector<Dim> result = node.outputDims();
  lines.launch(3, [&] {
    Fold fold = node.type() == "ArgMax" ? Fold::Largest : Fold::Smallest;
    auto best = positions(lines, fold, element, node.intAttr("select_last_index", 0));
    lines.eachLane([&](Value lane) { k.store(node.output(), Index(result, lines.line(lane)), lines.get(best, lane)); });
  });
  return success();
}

void qcc::registerSoftmax(OperatorRegistry &registry) {
  auto add = [&](StringRef type, auto infer, auto lower, std::function<bool(const Node &, unsigned)> readsOnce) {
    Operator op;
    op.type = type;
    op.infer = infer, op.lower = lower, op.readsOnce = std::move(readsOnce);
    registry.add(op);
  };
  auto whenKept = [](const Node &node, unsigned) { return holdsIntermediates(node); };
  add("Softmax", inferNormalized, lowerSoftmax, whenKept);
  add("LogSoftmax", inferNormalized, lowerSoftmax, whenKept);
  add("Hardmax", inferNormalized, lowerHardmax, {});
  add("ArgMax", inferExtremum, lowerExtremum, {});
  add("ArgMin", inferExtremum, lowerExtremum, {});
}
