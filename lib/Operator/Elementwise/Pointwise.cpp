#include "Pointwise.h"

using namespace mlir;
using namespace qcc;

static bool accepts(Takes takes, Type element) {
  switch (takes) {
  case Takes::Anything:
    return true;
  case Takes::Numbers: // the smaller ones are storage alone, without an arithmetic
    return element.getIntOrFloatBitWidth() >= 8;
  case Takes::Floats:
    return isFloat(element);
  case Takes::Integers:
    return isa<IntegerType>(element) && element.getIntOrFloatBitWidth() >= 8;
  case Takes::Booleans:
    return element.isInteger(1);
  }
  return false;
}

static LogicalResult checkOperands(Infer &infer, const Pointwise &p) {
  if (infer.inputs() < p.minOperands || infer.inputs() > p.maxOperands || infer.outputs() == 0)
    return infer.error("has " + Twine(infer.inputs()) + " operands and " + Twine(infer.outputs()) + " results");
  for (unsigned i = 0; i < infer.inputs(); ++i) {
    if (!infer.has(i)) {
      if (i < p.minOperands)
        return infer.error("lacks its operand " + Twine(i));
      continue;
    }
    Type element = infer.element(i);
    std::string text;
    llvm::raw_string_ostream(text) << element;
    if (!p.mixed && element != infer.element(0))
      return infer.error("has operands of different element types, its operand " + Twine(i) + " is of " + text);
    if (i == 0 && !accepts(p.takes, element))
      return infer.error("cannot compute with elements of " + text);
  }
  return success();
}

/// The operands' common shape; fails where two lengths are known to fit neither each other nor 1.
static FailureOr<SmallVector<Dim>> commonShape(Infer &infer) {
  SmallVector<SmallVector<Dim>> shapes;
  for (unsigned i = 0; i < infer.inputs(); ++i)
    if (infer.has(i))
      shapes.push_back(infer.dims(i));
  SmallVector<Dim> result = infer.broadcast(shapes);
  for (const auto &shape : shapes)
    for (auto [length, common] : llvm::zip(llvm::reverse(shape), llvm::reverse(result)))
      if (auto a = constantOf(length), b = constantOf(common); a && b && *a != 1 && a != b)
        return infer.error("has operands whose lengths " + Twine(*a) + " and " + Twine(*b) +
                           " do not fit each other: equal ones or 1 would");
  return result;
}

/// What a value holds: integers, or floats that are integers.
static std::optional<SmallVector<Dim>> contentsOf(Infer &infer, Value value) {
  if (auto known = infer.contentsOf(value))
    return known;
  auto tensor = qcc::constantOf(value);
  auto numbers = tensor ? tensor->numbers(Infer::maxContents) : std::nullopt;
  if (!numbers)
    return std::nullopt;
  SmallVector<Dim> result;
  for (double number : *numbers) {
    if (number != std::floor(number) || std::abs(number) > 0x1p53)
      return std::nullopt;
    result.push_back(infer.dim().constant(int64_t(number)));
  }
  return result;
}

/// The whole number that a constant is the reciprocal of, exactly.
static std::optional<SmallVector<Dim>> reciprocalOf(Infer &infer, Value value) {
  auto tensor = qcc::constantOf(value);
  auto numbers = tensor ? tensor->numbers(Infer::maxContents) : std::nullopt;
  if (!numbers || numbers->size() != 1)
    return std::nullopt;
  double inverse = 1 / numbers->front();
  int exponent;
  if (std::frexp(inverse, &exponent) != 0.5 || inverse < 1 || inverse > 0x1p30)
    return std::nullopt;
  return SmallVector<Dim>{infer.dim().constant(int64_t(inverse))};
}

/// What a rounding holds of a quotient of floats that are integers, computed as one of integers.
static void inferRounded(Infer &infer, const Pointwise &p) {
  auto node = infer.input(0).getDefiningOp<onnx::NodeOp>();
  if (!node || !node.getDomain().empty() || node->getNumOperands() != 2 || !isFloat(infer.element(0)))
    return;
  std::optional<SmallVector<Dim>> dividend = contentsOf(infer, node->getOperand(0)), divisor;
  if (node.getOpType() == "Div")
    divisor = contentsOf(infer, node->getOperand(1));
  else if (node.getOpType() == "Mul") {
    divisor = reciprocalOf(infer, node->getOperand(1));
    if (!divisor) {
      dividend = contentsOf(infer, node->getOperand(1));
      divisor = reciprocalOf(infer, node->getOperand(0));
    }
  }
  auto type = cast<RankedTensorType>(infer.input(0).getType());
  if (!dividend || !divisor || divisor->empty() || !type.hasStaticShape() ||
      type.getNumElements() != int64_t(dividend->size()) ||
      (divisor->size() != 1 && divisor->size() != dividend->size()))
    return;
  SmallVector<Dim> result;
  for (auto [i, x] : llvm::enumerate(*dividend)) {
    result.push_back(p.quotient(infer, x, (*divisor)[divisor->size() == 1 ? 0 : i]));
    if (!result.back())
      return;
  }
  infer.resultContents(0, result);
}

/// The element of a tensor of static `shape` that broadcasting reads for element `number` of `result`.
static int64_t broadcastNumber(int64_t number, ArrayRef<int64_t> result, ArrayRef<int64_t> shape) {
  int64_t at = 0, stride = 1;
  for (int64_t i = int64_t(result.size()) - 1, j = int64_t(shape.size()) - 1; j >= 0; --i, --j) {
    at += shape[j] == 1 ? 0 : number % result[i] * stride;
    number /= result[i], stride *= shape[j];
  }
  return at;
}

static void inferContents(Infer &infer, const Pointwise &p) {
  auto type = cast<RankedTensorType>(infer.output().getType());
  if (!type.hasStaticShape() || type.getNumElements() > Infer::maxContents || type.getNumElements() == 0)
    return;
  SmallVector<SmallVector<Dim>> operands;
  for (unsigned i = 0; i < infer.inputs(); ++i) {
    auto known = infer.has(i) ? contentsOf(infer, infer.input(i)) : std::nullopt;
    if (!known || int64_t(known->size()) != cast<RankedTensorType>(infer.input(i).getType()).getNumElements())
      return;
    operands.push_back(*known);
  }
  SmallVector<Dim> result;
  for (int64_t number = 0; number < type.getNumElements(); ++number) {
    SmallVector<Dim> element;
    for (auto [i, contents] : llvm::enumerate(operands)) {
      auto shape = cast<RankedTensorType>(infer.input(i).getType()).getShape();
      element.push_back(contents[broadcastNumber(number, type.getShape(), shape)]);
    }
    result.push_back(p.contents(infer, element));
    if (!result.back())
      return;
  }
  infer.resultContents(0, result);
}

static LogicalResult inferPointwise(Infer &infer, const Pointwise &p) {
  if (failed(checkOperands(infer, p)))
    return failure();
  auto shape = commonShape(infer);
  if (failed(shape))
    return failure();
  FailureOr<Type> element = p.resultType ? p.resultType(infer) : FailureOr<Type>(infer.element(0));
  if (failed(element))
    return failure();
  infer.result(0, *shape, *element);
  if (p.contents)
    inferContents(infer, p);
  if (p.quotient && !infer.contentsOf(infer.output()))
    inferRounded(infer, p);
  return success();
}

/// Operand `i` at an index of the result. A constant number becomes part of the code, which can be simplified with it.
static Value operand(const Node &node, unsigned i, Kernel &k, const Index &index) {
  auto number = node.scalar(i);
  if (number && std::abs(*number) <= 0x1p53)
    return numberConstant(k.b, node.element(i), *number);
  return k.load(node.input(i), k.broadcastIndex(index, node.dims(i)));
}

void qcc::add(OperatorRegistry &registry, Pointwise p) {
  Operator op;
  op.domain = p.domain, op.type = p.type;
  op.pointwise = true;
  op.cost = p.cost;
  op.infer = [p](Infer &infer) { return inferPointwise(infer, p); };
  // A stretched operand is read many times: what computes it is better stored.
  op.readsOnce = [](const Node &node, unsigned i) { return node.dims(i) == node.outputDims(); };
  op.element = [rule = p.rule](const Node &node, Kernel &k, const Index &index) {
    Element e{k.b, node, {}};
    for (unsigned i = 0; i < node.inputs(); ++i)
      e.in.push_back(node.has(i) ? operand(node, i, k, index) : Value());
    return rule(e);
  };
  registry.add(op);
}
