// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: the losses of the samples, then their sum or mean.
#include "Register.h"
#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

/// A node of qcc's own that has an element for each label; the attribute `ignore_index` goes along.
static Value perLabel(Infer &infer, StringRef type, ValueRange inputs, Type element) {
  OpBuilder b(infer.op);
  SmallVector<NamedAttribute> attrs;
  if (infer.hasAttr("ignore_index"))
    attrs.push_back(infer.attribute("ignore_index", infer.intAttr("ignore_index", 0)));
  Type result = infer.dim().tensor(dimsOf(infer.input(1).getType()), element);
  return onnx::NodeOp::create(b, infer.op->getLoc(), TypeRange{result}, b.getStringAttr(type), b.getStringAttr("qcc"),
                              b.getI64IntegerAttr(1), b.getDictionaryAttr(attrs), DictionaryAttr(), DenseI64ArrayAttr(),
                              inputs, 0)
      ->getResult(0);
}

static LogicalResult inferLoss(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(1))
    return infer.error("lacks an operand");
  SmallVector<Dim> scores = infer.dims(0), labels = infer.dims(1);
  if (scores.size() < 2 || labels.size() + 1 != scores.size())
    return infer.error("has labels of rank " + Twine(labels.size()) + " for scores of rank " + Twine(scores.size()));
  if (!isFloat(infer.element(0)) || !isa<IntegerType>(infer.element(1)))
    return infer.error("needs scores that are floats and labels that are integers");
  for (size_t i = 0; i < labels.size(); ++i)
    infer.requireEqual(labels[i], scores[i == 0 ? 0 : i + 1]);
  bool weighted = infer.has(2);
  if (weighted) {
    if (infer.rank(2) != 1 || infer.element(2) != infer.element(0))
      return infer.error("needs one weight for each class, of the type of the scores");
    infer.requireEqual(infer.dims(2)[0], scores[1]);
  }
  Value logarithms = infer.checked(infer.input(0));
  if (infer.type() == "SoftmaxCrossEntropyLoss") {
    auto made = infer.make("LogSoftmax", 13, {logarithms}, {infer.attribute("axis", 1)});
    if (failed(made))
      return failure();
    logarithms = *made;
    infer.replace(1, logarithms);
  }
  SmallVector<Value> operands = {logarithms, infer.input(1)};
  if (weighted)
    operands.push_back(infer.input(2));
  Value loss = perLabel(infer, "ClassLoss", operands, infer.element(0));
  StringRef reduction = infer.stringAttr("reduction", "mean");
  auto reduce = [&](StringRef type, Value value) {
    return infer.make(type, 18, {value}, {infer.attribute("keepdims", int64_t(0))});
  };
  FailureOr<Value> result = loss;
  if (reduction == "mean" && !weighted && !infer.hasAttr("ignore_index"))
    result = reduce("ReduceMean", loss);
  else if (reduction != "none")
    result = reduce("ReduceSum", loss);
  if (succeeded(result) && reduction == "mean" && (weighted || infer.hasAttr("ignore_index"))) {
    operands.erase(operands.begin());
    auto total = reduce("ReduceSum", perLabel(infer, "ClassWeight", operands, infer.element(0)));
    if (failed(total))
      return failure();
    result = infer.make("Div", 14, {*result, *total});
  }
  if (failed(result))
    return failure();
  infer.replace(0, *result);
  return success();
}

namespace {
/// The class of one sample: where it is ignored, or out of range, class 0 stands in.
struct Label {
  Value number, isIgnored;
};
} // namespace

static Label labelAt(const Node &node, Kernel &k, Value labels, Dim classes, const Index &index) {
  Type element = cast<ShapedType>(labels.getType()).getElementType();
  Value number = castNumber(k.b, k.load(labels, index), element, k.b.getI64Type());
  Value isIgnored = node.hasAttr("ignore_index") ? k.equal(number, k.constant(node.intAttr("ignore_index", 0)))
                                                 : Value(arith::ConstantOp::create(k.b, k.b.getBoolAttr(false)));
  Value zero = k.constant(0);
  Value above = arith::CmpIOp::create(k.b, arith::CmpIPredicate::sge, number, zero);
  Value inside = k.both(above, k.less(number, k.dim(classes)));
  k.check(arith::OrIOp::create(k.b, inside, isIgnored));
  return {k.select(inside, number, zero), isIgnored};
}

static Value weightOf(const Node &node, unsigned operand, Kernel &k, const Label &label) {
  Value zero = numberConstant(k.b, node.outputElement(), 0);
  Value weight = node.has(operand) ? k.load(node.input(operand), ArrayRef<Value>(label.number))
                                   : numberConstant(k.b, node.outputElement(), 1);
  return k.select(label.isIgnored, zero, weight);
}

void qcc::registerLoss(OperatorRegistry &registry) {
  registry.add("", "NegativeLogLikelihoodLoss", inferLoss, nullptr);
  registry.add("", "SoftmaxCrossEntropyLoss", inferLoss, nullptr);
  auto add = [&](StringRef type, auto element) {
    Operator op;
    op.domain = "qcc", op.type = type;
    op.cost = 8;
    op.infer = [](Infer &) { return success(); };
    op.element = element;
    registry.add(op);
  };
  add("ClassLoss", [](const Node &node, Kernel &k, const Index &index) {
    Label label = labelAt(node, k, node.input(1), node.dims(0)[1], index);
    SmallVector<Value> at = index.coords(k);
    at.insert(at.begin() + 1, label.number);
    Real value(k.b, k.load(node.input(0), at)), weight(k.b, weightOf(node, 2, k, label));
    Value zero = numberConstant(k.b, node.outputElement(), 0);
    return k.select(label.isIgnored, zero, (-value * weight).value());
  });
  add("ClassWeight", [](const Node &node, Kernel &k, const Index &index) {
    Dim classes = node.has(1) ? node.dims(1)[0] : k.lowering.dims.constant(INT64_MAX);
    return weightOf(node, 1, k, labelAt(node, k, node.input(0), classes, index));
  });
}
