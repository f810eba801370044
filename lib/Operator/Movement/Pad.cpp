#include "Register.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

static FailureOr<SmallVector<Dim>> padsOf(Infer &infer) {
  Dimensions &d = infer.dim();
  int64_t rank = infer.rank(0);
  SmallVector<Dim> pads;
  if (infer.version() < 11) {
    for (int64_t pad : infer.intsAttr("pads").value_or(SmallVector<int64_t>()))
      pads.push_back(d.constant(pad));
  } else {
    auto operand = infer.shapeOperand(1, "given_pads", infer.has(3) ? std::nullopt : std::optional(2 * rank));
    if (failed(operand))
      return failure();
    pads = *operand;
  }
  SmallVector<Dim> axes;
  if (infer.has(3)) {
    auto operand = infer.shapeOperand(3, "axes");
    if (failed(operand))
      return failure();
    axes = *operand;
    for (Dim axis : axes)
      if (auto known = constantOf(axis); known && failed(infer.axis(*known, rank)))
        return failure();
  } else {
    for (int64_t i = 0; i < rank; ++i)
      axes.push_back(d.constant(i));
  }
  if (pads.size() != 2 * axes.size())
    return infer.error("has " + Twine(pads.size()) + " pads for " + Twine(axes.size()) + " axes");
  SmallVector<Dim> all(2 * rank, d.constant(0));
  for (size_t j = 0; j < axes.size(); ++j)
    for (int64_t i = 0; i < rank; ++i)
      for (size_t end : {0, 1}) {
        Dim &pad = all[i + int64_t(end) * rank], mine = pads[j + end * axes.size()];
        pad = d.ifEqual(axes[j], d.constant(i), mine, d.ifEqual(axes[j], d.constant(i - rank), mine, pad));
      }
  return all;
}

static LogicalResult inferPad(Infer &infer) {
  Dimensions &d = infer.dim();
  StringRef mode = infer.stringAttr("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return infer.error("has the unknown mode '" + mode + "'");
  auto pads = padsOf(infer);
  if (failed(pads))
    return failure();
  if (llvm::all_of(*pads, [](Dim pad) { return constantOf(pad) == 0; })) {
    infer.replace(0, infer.input(0));
    return success();
  }
  SmallVector<Dim> in = infer.dims(0), result;
  for (size_t i = 0; i < in.size(); ++i) {
    Dim length = d.add(in[i], d.add((*pads)[i], (*pads)[in.size() + i]));
    if (constantOf(length).value_or(0) < 0)
      return infer.error("removes more than a dimension of length " + Twine(constantOf(in[i]).value_or(0)) + " has");
    if (!d.isNonNegative((*pads)[i]) || !d.isNonNegative((*pads)[in.size() + i]))
      length = d.max(d.constant(0), length);
    if (mode != "constant" && length != in[i])
      infer.requireEqual(d.max(in[i], d.constant(1)), in[i]); // there is something to repeat
    result.push_back(length);
  }
  infer.resolve("pads", *pads);
  infer.result(0, result, infer.element(0));
  return success();
}

namespace {
/// Where a result position before or behind the operand along one axis takes its element from.
struct Border {
  Kernel &k;
  StringRef mode;

  Value modulo(Value a, Value length) { // of any sign; length > 0
    Value rest = k.b.createOrFold<arith::RemSIOp>(a, length);
    return k.select(k.less(rest, k.constant(0)), k.add(rest, length), rest);
  }
  Value source(Value position, Value length) {
    Value zero = k.constant(0), one = k.constant(1);
    if (mode == "wrap")
      return modulo(position, k.max(length, one));
    if (mode == "reflect") {
      Value period = k.mul(k.sub(length, one), k.constant(2));
      Value turn = modulo(position, k.max(period, one));
      Value reflected = k.select(k.less(turn, length), turn, k.sub(period, turn));
      return k.max(zero, reflected);
    }
    return k.max(zero, k.min(position, k.sub(length, one)));
  }
};
} // namespace

static LogicalResult lowerPad(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> in = node.dims(0), out = node.outputDims(), pads = *node.resolved("pads");
  StringRef mode = node.stringAttr("mode", "constant");
  bool isConstant = mode == "constant";
  Type element = node.element(0);
  ArrayRef<Dim> outer = ArrayRef<Dim>(out).drop_back();
  Kernel k(lowering, "pad", lowering.loc);
  Border border{k, mode};
  Value base = k.pointer(node.output()), zero = k.constant(0);
  Value fill = numberConstant(k.b, element, node.version() < 11 ? node.floatAttr("value", 0) : 0);
  if (isConstant && node.version() >= 11 && node.has(2))
    fill = k.load(node.input(2), Index(node.dims(2), SmallVector<Value>(node.rank(2), zero), zero));
  Value row = k.dim(out.back()), length = k.dim(in.back()), begin = k.dim(pads[in.size() - 1]);
  Value leftEnd = k.max(zero, k.min(begin, row));
  Value insideEnd = k.max(leftEnd, k.min(k.add(begin, length), row));
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, outer);
    Value inside;
    for (size_t i = 0; i < outer.size(); ++i) {
      if (constantOf(pads[i]) == 0 && constantOf(pads[in.size() + i]) == 0)
        continue;
      Value position = k.sub(at[i], k.dim(pads[i])), size = k.dim(in[i]);
      Value within = arith::CmpIOp::create(k.b, arith::CmpIPredicate::ult, position, size);
      if (isConstant)
        inside = inside ? k.both(inside, within) : within;
      at[i] = border.source(position, size);
    }
    Value start = k.mul(unit, row);
    // A row outside of the operand is filled as if it had nothing inside.
    Value left = inside ? k.select(inside, leftEnd, row) : leftEnd;
    Value right = inside ? k.select(inside, insideEnd, row) : insideEnd;
    at.push_back({});
    auto outside = [&](Value i) {
      if (isConstant)
        return k.storeAt(base, k.add(start, i), element, fill);
      at.back() = border.source(k.sub(i, begin), length);
      k.move(node.input(0), Index(in, at), base, k.add(start, i));
    };
    k.loop(zero, left, outside);
    k.loop(left, right, [&](Value i) {
      at.back() = k.sub(i, begin);
      k.move(node.input(0), Index(in, at), base, k.add(start, i));
    });
    k.loop(right, row, outside);
  });
  k.launch(dims.product(outer), dims.product(out));
  return success();
}

void qcc::registerPad(OperatorRegistry &registry) {
  Operator op;
  op.type = "Pad";
  op.infer = inferPad;
  op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
  op.lower = lowerPad;
  registry.add(op);
}
