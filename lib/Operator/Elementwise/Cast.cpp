// Cast, CastLike and Dropout.
#include "Pointwise.h"
#include "Register.h"

using namespace mlir;
using namespace qcc;

/// A float as its exponent alone, rounded as `mode` says: the code of an 8-bit exponent.
static Value exponentOf(ImplicitLocOpBuilder &b, Value value, StringRef mode, bool saturate) {
  auto integer = [&](int64_t v) -> Value { return arith::ConstantOp::create(b, b.getI32IntegerAttr(int32_t(v))); };
  auto pick = [&](arith::CmpIPredicate p, Value x, int64_t limit, Value then, Value otherwise) -> Value {
    return arith::SelectOp::create(b, arith::CmpIOp::create(b, p, x, integer(limit)), then, otherwise);
  };
  constexpr int64_t infinity = 0x7f800000, smallest = 0x00400000; // as f32 bits; the smallest is 2^-127
  Value bits = arith::AndIOp::create(b, arith::BitcastOp::create(b, b.getI32Type(), value), integer(0x7fffffff));
  int64_t increment = mode == "nearest" ? 0x400000 : mode == "down" ? 0 : 0x7fffff;
  Value code = arith::ShRUIOp::create(b, arith::AddIOp::create(b, bits, integer(increment)), integer(23));
  code = pick(arith::CmpIPredicate::ule, bits, smallest, integer(0), code);
  code = pick(arith::CmpIPredicate::uge, code, 255, integer(saturate ? 254 : 255), code);
  code = pick(arith::CmpIPredicate::ugt, bits, infinity, integer(255), code);
  return arith::TruncIOp::create(b, b.getI8Type(), code);
}

/// The number as the target type holds it: a consumer that is computed in place sees the rounded one too.
static Value convert(Element &e, Type from, Type to) {
  ImplicitLocOpBuilder &b = e.b;
  bool saturate = e.node.intAttr("saturate", 1);
  Value value = castNumber(b, e.in[0], from, to);
  if (isa<Float8E8M0FNUType>(to))
    return fromStorage(b, exponentOf(b, value, e.node.stringAttr("round_mode", "up"), saturate), to);
  if (!isFloat(to) || to.getIntOrFloatBitWidth() >= 32)
    return value;
  if (isa<Float8E5M2Type>(to) && saturate) { // infinities too, which the format has
    constexpr double largest = 57344;
    value = maximum(minimum(Real(b, value), largest), -largest).value();
  }
  return fromStorage(b, toStorage(b, value, to, saturate), to);
}

static Dim castContents(Infer &infer, ArrayRef<Dim> v) {
  Dimensions &d = infer.dim();
  Type to = infer.outputElement();
  unsigned bits = to.getIntOrFloatBitWidth();
  if (to.isInteger(1))
    return d.ifEqual(v[0], d.constant(0), d.constant(0), d.constant(1));
  if (auto value = constantOf(v[0])) {
    bool fits = isFloat(to)      ? std::abs(*value) <= 1 << 8 || (bits >= 32 && std::abs(*value) <= 1 << 24)
                : isUnsigned(to) ? *value >= 0 && (bits == 64 || *value < int64_t(1) << bits)
                                 : llvm::isIntN(bits, *value);
    return fits ? v[0] : Dim();
  }
  return bits >= 32 ? v[0] : Dim();
}

static FailureOr<Type> castType(const Node &node) {
  Type to = onnx::elementType(node.intAttr("to", 0), node.op.getContext());
  if (!to)
    return node.unsupported("it casts to element type " + Twine(node.intAttr("to", 0)) +
                            " of TensorProto.DataType; qcc has numbers and booleans alone");
  return to;
}

static LogicalResult inferDropout(Infer &infer) {
  if (infer.inputs() == 0 || !infer.has(0))
    return infer.error("has no operand");
  if (infer.has(2)) {
    auto training = infer.scalar(2);
    auto ratio = infer.has(1) ? infer.scalar(1) : std::optional(0.5);
    if (training != 0.0 && ratio != 0.0)
      return infer.unsupported("it drops elements at random, as in training; export the model for inference");
  }
  infer.result(0, infer.dims(0), infer.element(0));
  bool booleanMask = infer.version() >= 10;
  infer.result(1, infer.dims(0), booleanMask ? Type(IntegerType::get(infer.op.getContext(), 1)) : infer.element(0));
  return success();
}

/// In inference nothing is dropped.
static LogicalResult lowerDropout(const Node &node, Lowering &lowering) {
  if (node.hasOutput(0))
    lowering.alias(node.output(0), node.input(0));
  if (node.hasOutput(1))
    lowering.forEachElement(node.output(1), "mask", /*linear=*/true, 1,
                            [&](Kernel &k, const Index &) { return numberConstant(k.b, node.outputElement(1), 1); });
  return success();
}

/// The operand that gives the type is not read; its shape is its own.
static void addCastLike(OperatorRegistry &registry) {
  Operator op;
  op.type = "CastLike";
  op.pointwise = true;
  op.cost = 2;
  op.infer = [](Infer &infer) -> LogicalResult {
    if (infer.inputs() != 2 || !infer.has(0) || !infer.has(1))
      return infer.error("takes two operands");
    infer.result(0, infer.dims(0), infer.element(1));
    return success();
  };
  op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
  op.element = [](const Node &node, Kernel &k, const Index &index) {
    Element e{k.b, node, {k.load(node.input(0), index)}};
    return convert(e, e.type(), node.outputElement());
  };
  registry.add(op);
}

void qcc::registerCast(OperatorRegistry &registry) {
  Pointwise cast{"Cast", Takes::Anything};
  cast.rule = [](Element &e) { return convert(e, e.type(), e.node.outputElement()); };
  cast.cost = 2;
  cast.contents = castContents;
  cast.resultType = castType;
  cast.quotient = [](Infer &infer, Dim a, Dim b) { // to integers, towards zero
    auto to = dyn_cast<IntegerType>(infer.outputElement());
    bool known = to && to.getWidth() >= 32 && constantOf(b).value_or(0) > 0 && infer.dim().isNonNegative(a);
    return known ? infer.dim().floorDiv(a, b) : Dim();
  };
  add(registry, cast);
  addCastLike(registry);
  Operator dropout;
  dropout.type = "Dropout";
  dropout.infer = inferDropout, dropout.lower = lowerDropout;
  dropout.element = [](const Node &node, Kernel &k, const Index &index) { return k.load(node.input(0), index); };
  dropout.pointwise = true;
  dropout.readsOnce = [](const Node &node, unsigned i) { return i == 0 && !node.hasOutput(1); };
  registry.add(dropout);
}
