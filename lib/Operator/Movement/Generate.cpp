// Tensors made from attributes and lengths: Constant, ConstantOfShape, Shape, Size, Range, EyeLike.
#include "Register.h"
#include "qcc/Tile/Lowering.h"
#include "llvm/ADT/bit.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

/// Makes the node's result a weight of these bytes.
static LogicalResult becomeWeight(Infer &infer, RankedTensorType type, ElementsAttr data) {
  OpBuilder b(infer.op);
  auto loc = dyn_cast<NameLoc>(infer.op->getLoc());
  StringRef name = loc ? loc.getName().getValue() : "constant";
  infer.replace(0, onnx::WeightOp::create(b, infer.op->getLoc(), type, name, data));
  return success();
}

template <typename T>
static LogicalResult becomeNumbers(Infer &infer, ArrayRef<T> numbers, bool isScalar, Type element) {
  SmallVector<char> bytes(reinterpret_cast<const char *>(numbers.begin()),
                          reinterpret_cast<const char *>(numbers.end()));
  auto bytesType = RankedTensorType::get({int64_t(bytes.size())}, IntegerType::get(element.getContext(), 8));
  ElementsAttr data = bytes.empty() ? DenseElementsAttr::get(bytesType, ArrayRef<int8_t>())
                                    : DenseElementsAttr::getFromRawBuffer(bytesType, bytes);
  SmallVector<int64_t> shape;
  if (!isScalar)
    shape.push_back(int64_t(numbers.size()));
  return becomeWeight(infer, RankedTensorType::get(shape, element), data);
}

static LogicalResult inferConstant(Infer &infer) {
  Builder b(infer.op.getContext());
  if (auto tensor = infer.op.getAttrs().getAs<DictionaryAttr>("value"))
    return becomeWeight(infer, cast<RankedTensorType>(tensor.getAs<TypeAttr>("type").getValue()),
                        cast<ElementsAttr>(tensor.get("data")));
  for (bool isScalar : {true, false}) {
    if (infer.hasAttr(isScalar ? "value_int" : "value_ints")) {
      SmallVector<int64_t> numbers = {infer.intAttr("value_int", 0)};
      return becomeNumbers<int64_t>(infer, isScalar ? numbers : infer.intsAttr("value_ints").value_or(numbers),
                                    isScalar, b.getI64Type());
    }
    if (infer.hasAttr(isScalar ? "value_float" : "value_floats")) {
      SmallVector<float> numbers = {float(infer.floatAttr("value_float", 0))};
      if (auto list = infer.floatsAttr("value_floats"); list && !isScalar)
        numbers = llvm::map_to_vector<1>(*list, [](double v) { return float(v); });
      return becomeNumbers<float>(infer, numbers, isScalar, b.getF32Type());
    }
  }
  return infer.unsupported("its value is neither a dense tensor nor numbers");
}

/// The single number of a tensor attribute as a compute constant; zero when there is none.
static Value fillValue(const Node &node, Kernel &k, Type element) {
  auto tensor = node.tensorAttr("value");
  if (auto type = dyn_cast<IntegerType>(computeType(element))) {
    auto numbers = tensor ? tensor->integers(1) : std::nullopt;
    APInt bits(64, uint64_t(numbers ? (*numbers)[0] : 0));
    return arith::ConstantOp::create(k.b, k.b.getIntegerAttr(type, bits.trunc(type.getWidth())));
  }
  auto numbers = tensor ? tensor->numbers(1) : std::nullopt;
  return numberConstant(k.b, element, numbers ? (*numbers)[0] : 0);
}

static LogicalResult inferConstantOfShape(Infer &infer) {
  Dimensions &d = infer.dim();
  auto shape = infer.shapeOperand(0, "shape");
  if (failed(shape))
    return failure();
  auto value = infer.tensorAttr("value");
  if (value && value->type.getNumElements() != 1)
    return infer.error("has a 'value' of " + Twine(value->type.getNumElements()) + " elements");
  Type element = value ? value->type.getElementType() : Float32Type::get(infer.op.getContext());
  int64_t count = 1;
  for (Dim &length : *shape) {
    auto known = constantOf(length);
    if (known && *known < 0)
      return infer.error("has a shape with the length " + Twine(*known));
    if (d.isRuntime(length))
      length = d.max(length, d.constant(0));
    count = known && count >= 0 && *known <= Infer::maxContents ? count * *known : -1;
  }
  infer.result(0, *shape, element);
  auto numbers = value ? value->integers(1) : std::nullopt;
  if (numbers && count >= 0 && count <= Infer::maxContents)
    infer.resultContents(0, SmallVector<Dim>(count, d.constant((*numbers)[0])));
  return success();
}

/// Shapes are contents: what is left of these nodes is made by `qcc.Dimensions`.
static LogicalResult inferShape(Infer &infer) {
  int64_t rank = infer.rank(0);
  auto bound = [&](StringRef name, int64_t otherwise) {
    int64_t value = infer.intAttr(name, otherwise);
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  int64_t start = bound("start", 0), end = std::max(start, bound("end", rank));
  SmallVector<Dim> dims = infer.dims(0);
  ArrayRef<Dim> part = ArrayRef<Dim>(dims).slice(start, end - start);
  infer.replace(0,
                infer.integers({infer.dim().constant(end - start)}, part, IntegerType::get(infer.op.getContext(), 64)));
  return success();
}

static LogicalResult inferSize(Infer &infer) {
  Dim count = infer.dim().product(infer.dims(0));
  infer.replace(0, infer.integers({}, {count}, IntegerType::get(infer.op.getContext(), 64)));
  return success();
}

// ---- Range

/// The number of elements of start, start + delta, ... below limit, when the operands' numbers are known.
static std::optional<Dim> knownCount(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> numbers;
  for (unsigned i = 0; i < 3; ++i)
    if (auto contents = infer.contents(i))
      numbers.push_back(contents->front());
  if (numbers.size() == 3) {
    Dim span = d.sub(numbers[1], numbers[0]), delta = numbers[2];
    auto step = constantOf(delta);
    if (!step || *step == 0)
      return std::nullopt;
    if (*step < 0)
      span = d.sub(d.constant(0), span);
    return d.max(d.constant(0), d.ceilDiv(span, std::abs(*step)));
  }
  auto start = infer.scalar(0), limit = infer.scalar(1), delta = infer.scalar(2);
  if (!start || !limit || !delta)
    return std::nullopt;
  double count = std::ceil((*limit - *start) / *delta);
  return d.constant(count > 0 && count < 0x1p62 ? int64_t(count) : 0);
}

static LogicalResult inferRange(Infer &infer) {
  Dimensions &d = infer.dim();
  for (unsigned i = 0; i < 3; ++i) {
    if (!infer.has(i) || !llvm::all_of(infer.dims(i), [](Dim dim) { return constantOf(dim) == 1; }))
      return infer.error("takes three scalars");
    if (auto contents = infer.contents(i))
      infer.resolve(i == 0 ? "start" : i == 1 ? "limit" : "delta", *contents);
  }
  auto count = knownCount(infer);
  if (!count)
    count = infer.counted("range");
  infer.result(0, {*count}, infer.element(0));
  auto start = infer.contents(0), delta = infer.contents(2);
  auto length = constantOf(*count);
  if (start && delta && length && *length <= Infer::maxContents) {
    SmallVector<Dim> values;
    for (int64_t i = 0; i < *length; ++i)
      values.push_back(d.add(start->front(), d.mul(delta->front(), d.constant(i))));
    infer.resultContents(0, values);
  }
  return success();
}

static bool isKnownLength(const Node &node) { return !node.resolved("counts"); }

/// Operand `i` (0: start, 2: delta) as a compute value.
static Value rangeNumber(const Node &node, Kernel &k, unsigned i, StringRef name) {
  if (auto known = node.resolved(name))
    return castNumber(k.b, k.dim(known->front()), k.b.getI64Type(), node.outputElement());
  return k.load(node.input(i), Index(node.dims(i), SmallVector<Value>(node.rank(i), k.constant(0)), k.constant(0)));
}

static Value rangeElement(const Node &node, Kernel &k, const Index &index) {
  Type element = node.outputElement();
  Value i = castNumber(k.b, index.linear(k), k.b.getI64Type(), element);
  Value start = rangeNumber(node, k, 0, "start"), delta = rangeNumber(node, k, 2, "delta");
  if (isFloat(element))
    return arith::AddFOp::create(k.b, start, arith::MulFOp::create(k.b, i, delta));
  return k.add(start, k.mul(i, delta));
}

/// Counts the elements on the device where the operands are data, and makes the count the value of its symbol.
static void countRange(const Node &node, Lowering &lowering, Dim count) {
  Value counter = lowering.allocate(lowering.dims.constant(8));
  Kernel k(lowering, "range_count", lowering.loc);
  Type element = node.outputElement(), f64 = k.b.getF64Type(), i64 = k.b.getI64Type();
  Value start = rangeNumber(node, k, 0, "start"), delta = rangeNumber(node, k, 2, "delta");
  Value limit = rangeNumber(node, k, 1, "limit"), number;
  Value zero = numberConstant(k.b, element, 0), one = k.constant(1);
  if (isFloat(element)) {
    auto wide = [&](Value v) { return castNumber(k.b, v, element, f64); };
    Value quotient = arith::DivFOp::create(k.b, arith::SubFOp::create(k.b, wide(limit), wide(start)), wide(delta));
    Value ceil = math::CeilOp::create(k.b, quotient);
    Value most = numberConstant(k.b, f64, 0x1p62);
    Value inRange = arith::CmpFOp::create(k.b, arith::CmpFPredicate::OLT, ceil, most);
    Value positive = arith::CmpFOp::create(k.b, arith::CmpFPredicate::OGT, ceil, numberConstant(k.b, f64, 0));
    Value good = k.both(inRange, positive);
    number =
        k.select(good, castNumber(k.b, k.select(good, ceil, numberConstant(k.b, f64, 0)), f64, i64), k.constant(0));
  } else {
    k.check(arith::CmpIOp::create(k.b, arith::CmpIPredicate::ne, delta, zero));
    auto wide = [&](Value v) { return castNumber(k.b, v, element, i64); };
    Value step = wide(delta), span = k.sub(wide(limit), wide(start));
    Value down = k.less(step, k.constant(0));
    step = k.max(k.select(down, k.sub(k.constant(0), step), step), one);
    span = k.max(k.select(down, k.sub(k.constant(0), span), span), k.constant(0));
    number = k.div(k.add(span, k.sub(step, one)), step);
  }
  k.storeAt(k.argument(counter), k.constant(0), i64, number);
  k.launch(lowering.dims.constant(1), lowering.dims.constant(1));
  lowering.define(count, lowering.read(counter, i64, 0));
}

static LogicalResult lowerRange(const Node &node, Lowering &lowering) {
  if (!isKnownLength(node))
    countRange(node, lowering, node.resolved("counts")->front());
  lowering.forEachElement(node.output(), "range", false, 2,
                          [&](Kernel &k, const Index &index) { return rangeElement(node, k, index); });
  return success();
}

// ---- EyeLike

static LogicalResult inferEyeLike(Infer &infer) {
  if (infer.rank(0) != 2)
    return infer.error("has an operand of rank " + Twine(infer.rank(0)) + "; it must be 2");
  Type element = infer.element(0);
  if (infer.hasAttr("dtype")) {
    element = onnx::elementType(infer.intAttr("dtype", 0), infer.op.getContext());
    if (!element)
      return infer.unsupported("its element type has no numbers");
  }
  infer.result(0, infer.dims(0), element);
  return success();
}

static Value eyeElement(const Node &node, Kernel &k, const Index &index) {
  SmallVector<Value> at = index.coords(k);
  Value onDiagonal = k.equal(k.sub(at[1], at[0]), k.constant(node.intAttr("k", 0)));
  Type element = node.outputElement();
  return k.select(onDiagonal, numberConstant(k.b, element, 1), numberConstant(k.b, element, 0));
}

void qcc::registerGenerate(OperatorRegistry &registry) {
  registry.add("", "Constant", inferConstant, nullptr);
  registry.add("", "Shape", inferShape, nullptr);
  registry.add("", "Size", inferSize, nullptr);
  Operator fill;
  fill.type = "ConstantOfShape";
  fill.infer = inferConstantOfShape;
  fill.pointwise = true;
  fill.element = [](const Node &node, Kernel &k, const Index &) { return fillValue(node, k, node.outputElement()); };
  registry.add(fill);
  Operator range;
  range.type = "Range";
  range.infer = inferRange;
  range.inPlace = isKnownLength;
  range.element = rangeElement;
  range.lower = lowerRange;
  registry.add(range);
  Operator eye;
  eye.type = "EyeLike";
  eye.infer = inferEyeLike;
  eye.element = eyeElement;
  registry.add(eye);
}
