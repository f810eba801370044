// Elements chosen by their position: Trilu, OneHot, ReverseSequence, CenterCropPad.
#include "Register.h"
#include "qcc/Tile/Bounds.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

/// The single integer that an operand is, as an i64.
static Value loadScalar(Kernel &k, const Node &node, unsigned i) {
  Value zero = k.constant(0),
        number = k.load(node.input(i), Index(node.dims(i), SmallVector<Value>(node.rank(i), zero), zero));
  return castNumber(k.b, number, node.element(i), k.b.getI64Type());
}

// ---- Trilu

static LogicalResult inferTrilu(Infer &infer) {
  if (infer.rank(0) < 2)
    return infer.error("has an operand of rank " + Twine(infer.rank(0)) + "; it must be at least 2");
  if (infer.has(1)) {
    if (auto diagonal = infer.contents(1); diagonal && diagonal->size() == 1)
      infer.resolve("k", *diagonal);
    else if (!isa<IntegerType>(infer.element(1)) ||
             !llvm::all_of(infer.dims(1), [](Dim dim) { return constantOf(dim) == 1; }))
      return infer.error("has a diagonal that is no single integer");
  }
  infer.result(0, infer.dims(0), infer.element(0));
  return success();
}

static Value triluElement(const Node &node, Kernel &k, const Index &index) {
  SmallVector<Value> at = index.coords(k);
  Value row = at[at.size() - 2], column = at.back();
  if (auto known = node.resolved("k"))
    row = k.add(row, k.dim(known->front()));
  else if (node.has(1))
    row = k.add(row, loadScalar(k, node, 1));
  bool upper = node.intAttr("upper", 1) != 0;
  Value kept = arith::CmpIOp::create(k.b, upper ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle, column, row);
  return k.select(kept, k.load(node.input(0), index), numberConstant(k.b, node.element(0), 0));
}

// ---- OneHot

static LogicalResult inferOneHot(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> result = infer.dims(0);
  auto axis = infer.axis(infer.intAttr("axis", -1), infer.rank(0) + 1);
  if (failed(axis))
    return failure();
  Dim depth;
  if (auto number = infer.scalar(1)) {
    depth = d.constant(int64_t(*number));
  } else {
    constexpr int64_t int64 = 7; // in TensorProto.DataType
    if (!isa<IntegerType>(infer.element(1))) {
      auto integer = infer.make("Cast", 13, infer.input(1), infer.attribute("to", int64));
      if (failed(integer))
        return failure();
      infer.op->setOperand(1, *integer);
    }
    auto known = infer.shapeOperand(1, "depth");
    if (failed(known))
      return failure();
    if (known->size() != 1)
      return infer.error("has a depth of " + Twine(known->size()) + " elements");
    depth = d.isRuntime(known->front()) ? d.max(known->front(), d.constant(0)) : known->front();
  }
  infer.requireEqual(d.product(infer.dims(2)), d.constant(2));
  result.insert(result.begin() + *axis, depth);
  infer.result(0, result, infer.element(2));
  return success();
}

static Value oneHotElement(const Node &node, Kernel &k, const Index &index) {
  SmallVector<Value> at = index.coords(k);
  int64_t axis = node.intAttr("axis", -1);
  axis = axis < 0 ? axis + int64_t(at.size()) : axis;
  Value position = at[axis], depth = k.dim(index.shape()[axis]);
  at.erase(at.begin() + axis);
  Value hot = castNumber(k.b, k.load(node.input(0), Index(node.dims(0), at)), node.element(0), k.b.getI64Type());
  hot = k.select(k.less(hot, k.constant(0)), k.add(hot, depth), hot);
  auto value = [&](int64_t i) {
    return k.load(node.input(2), Index(node.dims(2), ValueRange(k.constant(i)), k.constant(i)));
  };
  return k.select(k.equal(hot, position), value(1), value(0));
}

// ---- ReverseSequence

namespace {
struct Sequences {
  int64_t batch, time;
  explicit Sequences(const Node &node) : batch(node.intAttr("batch_axis", 1)), time(node.intAttr("time_axis", 0)) {}
};
} // namespace

static LogicalResult inferReverseSequence(Infer &infer) {
  Sequences axes(infer);
  if (infer.rank(0) < 2 || axes.batch + axes.time != 1 || axes.batch * axes.time != 0)
    return infer.error("takes the axes 0 and 1 for batch and time");
  if (infer.rank(1) != 1 || !isa<IntegerType>(infer.element(1)))
    return infer.error("has lengths that are no list of integers");
  infer.requireEqual(infer.dims(0)[axes.batch], infer.dims(1)[0]);
  infer.result(0, infer.dims(0), infer.element(0));
  return success();
}

static LogicalResult lowerReverseSequence(const Node &node, Lowering &lowering) {
  Sequences axes(node);
  Value source = node.input(0);
  SmallVector<Dim> shape = node.dims(0);
  Dim run = lowering.dims.product(ArrayRef<Dim>(shape).drop_front(2));
  SmallVector<Dim> merged = {shape[0], shape[1], run};
  lowering.storage(source); // its elements are numbered
  Kernel k(lowering, "reverse_sequence", lowering.loc);
  Value base = k.pointer(node.output()), length = k.dim(shape[axes.time]);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, {shape[0], shape[1]});
    Value time = at[axes.time];
    Value end = castNumber(k.b, k.load(node.input(1), {at[axes.batch]}), node.element(1), k.b.getI64Type());
    Value clamped = k.max(k.min(end, length), k.constant(0));
    k.check(k.equal(clamped, end));
    at[axes.time] = k.select(k.less(time, clamped), k.sub(k.sub(clamped, k.constant(1)), time), time);
    at.push_back(k.constant(0));
    Value from = k.linearize(at, merged), to = k.mul(unit, k.dim(run));
    k.loop(k.constant(0), k.dim(run),
           [&](Value i) { k.move(source, Index(shape, k.add(from, i)), base, k.add(to, i)); });
  });
  k.launch(lowering.dims.mul(shape[0], shape[1]), lowering.dims.product(shape));
  return success();
}

// ---- CenterCropPad

/// A Slice of the axes that are too long, and a Pad of those that are too short.
static LogicalResult inferCenterCropPad(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> in = infer.dims(0);
  int64_t rank = int64_t(in.size());
  SmallVector<int64_t> axes = infer.intsAttr("axes").value_or(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  auto target = infer.shapeOperand(1, "shape", int64_t(axes.size()));
  if (failed(target))
    return failure();
  if (target->size() != axes.size())
    return infer.error("has " + Twine(target->size()) + " lengths for " + Twine(axes.size()) + " axes");
  Value value = infer.input(0);
  SmallVector<Dim> pads(2 * rank, d.constant(0));
  Dim zero = d.constant(0);
  for (auto [given, wanted] : llvm::zip(axes, *target)) {
    auto axis = infer.axis(given, rank);
    if (failed(axis))
      return failure();
    if (constantOf(wanted).value_or(0) < 0)
      return infer.error("has the length " + Twine(*constantOf(wanted)));
    Dim length = d.isRuntime(wanted) ? d.max(wanted, zero) : wanted;
    Dim kept = d.min(in[*axis], length), spare = d.sub(length, kept);
    value = infer.slice(value, *axis, d.floorDiv(d.sub(in[*axis], kept), d.constant(2)), kept);
    pads[*axis] = d.floorDiv(spare, d.constant(2));
    pads[rank + *axis] = d.sub(spare, pads[*axis]);
  }
  Value list = infer.integers({d.constant(2 * rank)}, pads, IntegerType::get(infer.op.getContext(), 64));
  auto padded = infer.make("Pad", 13, {value, list});
  if (failed(padded))
    return failure();
  infer.replace(0, *padded);
  return success();
}

void qcc::registerArrange(OperatorRegistry &registry) {
  Operator trilu;
  trilu.type = "Trilu";
  trilu.infer = inferTrilu;
  trilu.readsOnce = [](const Node &, unsigned i) { return i == 0; };
  trilu.element = triluElement;
  registry.add(trilu);
  Operator oneHot;
  oneHot.type = "OneHot";
  oneHot.infer = inferOneHot;
  oneHot.cost = 3;
  oneHot.element = oneHotElement;
  registry.add(oneHot);
  registry.add("", "ReverseSequence", inferReverseSequence, lowerReverseSequence);
  registry.add("", "CenterCropPad", inferCenterCropPad, nullptr);
}
