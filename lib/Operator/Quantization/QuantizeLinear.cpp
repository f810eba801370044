// QuantizeLinear and DequantizeLinear: a scale and a zero for a tensor, for each position of an axis, or for blocks.
#include "Quantize.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

Value qcc::integerCode(ImplicitLocOpBuilder &b, const Real &x, Value zero, Type to) {
  unsigned bits = to.getIntOrFloatBitWidth();
  double lowest = isUnsigned(to) ? 0 : -std::ldexp(1.0, int(bits) - 1);
  double highest = std::ldexp(1.0, int(bits) - !isUnsigned(to)) - 1;
  Real rounded = x.unary<math::RoundEvenOp>();
  if (zero) {
    Type wide = b.getI32Type(), from = computeType(to);
    Value extended =
        isUnsigned(to) ? Value(arith::ExtUIOp::create(b, wide, zero)) : Value(arith::ExtSIOp::create(b, wide, zero));
    assert(zero.getType() == from && "a zero has the type of the codes");
    (void)from;
    rounded = rounded + Real(b, arith::SIToFPOp::create(b, rounded.type(), extended));
  }
  rounded = select(rounded > lowest, rounded, lowest);
  rounded = select(rounded < highest, rounded, highest);
  Value code = arith::FPToSIOp::create(b, b.getI32Type(), rounded.value());
  return arith::TruncIOp::create(b, computeType(to), code);
}

Value qcc::roundedTo(ImplicitLocOpBuilder &b, Value value, Type type, bool saturate) {
  if (type.getIntOrFloatBitWidth() >= 32)
    return value;
  if (isa<Float8E5M2Type>(type) && saturate) { // infinities too, which the format has
    constexpr double largest = 57344;
    Real x(b, value);
    value = select(x > largest, largest, select(x < -largest, -largest, x)).value();
  }
  return fromStorage(b, toStorage(b, value, type, saturate), type);
}

static bool isCode(Type type) {
  return (isa<IntegerType>(type) && type.getIntOrFloatBitWidth() > 1 && type.getIntOrFloatBitWidth() <= 16) ||
         (isFloat(type) && type.getIntOrFloatBitWidth() <= 8);
}

/// Whether every element has the operand's only one.
static bool isSingle(ArrayRef<Dim> dims) {
  return llvm::all_of(dims, [](Dim dim) { return constantOf(dim) == 1; });
}

static FailureOr<int64_t> axisOf(const Node &node) {
  return node.rank(0) == 1 ? FailureOr<int64_t>(0) : node.axis(node.intAttr("axis", 1), node.rank(0));
}

/// Checks that operand `i`, a scale or a zero, has one number for all, for each position of the axis, or for each
/// block.
static LogicalResult checkGranularity(Infer &infer, unsigned i) {
  SmallVector<Dim> x = infer.dims(0), dims = infer.dims(i);
  if (isSingle(dims))
    return success();
  auto axis = axisOf(infer);
  if (failed(axis))
    return failure();
  Dimensions &d = infer.dim();
  int64_t block = infer.intAttr("block_size", 0);
  if (block < 0)
    return infer.error("has a negative block_size");
  if (block) {
    if (dims.size() != x.size())
      return infer.error("has blocks, but operand " + Twine(i) + " has another rank than the first one");
    for (size_t a = 0; a < x.size(); ++a)
      infer.requireEqual(dims[a], int64_t(a) == *axis ? d.ceilDiv(x[a], block) : x[a]);
    return success();
  }
  if (dims.size() != 1)
    return infer.error("has operand " + Twine(i) + " of rank " + Twine(dims.size()) +
                       ": it takes one number, one for each position of an axis, or a block_size");
  infer.requireEqual(d.ifEqual(dims[0], d.constant(1), x[*axis], dims[0]), x[*axis]);
  return success();
}

/// The scale or zero of the element at an index.
static Value parameterAt(const Node &node, Kernel &k, unsigned i, const Index &at) {
  SmallVector<Dim> dims = node.dims(i);
  if (isSingle(dims))
    return k.load(node.input(i), Index(dims, SmallVector<Value>(dims.size(), k.constant(0)), k.constant(0)));
  SmallVector<Value> coordinates = at.coords(k);
  int64_t axis = *axisOf(node), block = node.intAttr("block_size", 0);
  if (block) {
    coordinates[axis] = k.div(coordinates[axis], k.constant(block));
    return k.load(node.input(i), coordinates);
  }
  SmallVector<Dim> along = {node.dims(0)[axis]};
  return k.load(node.input(i), k.broadcastIndex(Index(along, ValueRange(coordinates[axis]), coordinates[axis]), dims));
}

static LogicalResult inferQuantize(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(1))
    return infer.error("takes an operand and a scale");
  MLIRContext *context = infer.op.getContext();
  Type x = infer.element(0);
  if (!isFloat(infer.element(1)) || !(isFloat(x) || x.isInteger(32)))
    return infer.error("takes numbers and a scale of a float type");
  Type code = IntegerType::get(context, 8, IntegerType::Unsigned);
  if (int64_t type = infer.intAttr("output_dtype", 0))
    code = onnx::elementType(type, context);
  if (infer.has(2))
    code = infer.element(2);
  if (!code || !isCode(code))
    return infer.unsupported(
        "its result has a type that is neither an integer of up to 16 bits nor a float of up to 8");
  if (int64_t type = infer.intAttr("precision", 0);
      type && !isa_and_present<FloatType>(onnx::elementType(type, context)))
    return infer.error("has a precision that is no float type");
  if (failed(checkGranularity(infer, 1)) || (infer.has(2) && failed(checkGranularity(infer, 2))))
    return failure();
  infer.result(0, infer.dims(0), code);
  return success();
}

/// The type that the quotient is rounded to: `precision`, or that of both operands where they have one.
static Type precisionOf(const Node &node) {
  if (int64_t type = node.intAttr("precision", 0))
    return onnx::elementType(type, node.op.getContext());
  Type x = node.element(0);
  return x == node.element(1) ? x : Float32Type::get(node.op.getContext());
}

static Value quantize(const Node &node, Kernel &k, const Index &at) {
  auto &b = k.b;
  Type to = node.outputElement(), precision = precisionOf(node), compute = computeType(precision);
  auto operand = [&](Value value, Type from) { return roundedTo(b, castNumber(b, value, from, compute), precision); };
  Real x(b, operand(k.load(node.input(0), at), node.element(0)));
  Real scale(b, operand(parameterAt(node, k, 1, at), node.element(1)));
  Real quotient(b, roundedTo(b, (x / scale).value(), precision));
  if (!isFloat(to))
    return integerCode(b, quotient, node.has(2) ? parameterAt(node, k, 2, at) : Value(), to);
  if (node.has(2)) {
    Value zero = castNumber(b, parameterAt(node, k, 2, at), to, compute);
    quotient = quotient + Real(b, zero);
  }
  return roundedTo(b, castNumber(b, quotient.value(), compute, to), to, node.intAttr("saturate", 1) != 0);
}

static LogicalResult inferDequantize(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(1))
    return infer.error("takes an operand and a scale");
  Type x = infer.element(0), result = infer.element(1);
  if (!isCode(x) && !x.isInteger(32))
    return infer.error("takes codes: integers, or floats of up to 8 bits");
  if (infer.has(2) && infer.element(2) != x)
    return infer.error("has a zero of another type than its operand's");
  if (int64_t type = infer.intAttr("output_dtype", 0))
    result = onnx::elementType(type, infer.op.getContext());
  if (!result || !isFloat(result))
    return infer.error("has a scale or a result that is of no float type");
  if (failed(checkGranularity(infer, 1)) || (infer.has(2) && failed(checkGranularity(infer, 2))))
    return failure();
  infer.result(0, infer.dims(0), result);
  return success();
}

static Value dequantize(const Node &node, Kernel &k, const Index &at) {
  auto &b = k.b;
  Type from = node.element(0), f32 = b.getF32Type(), i32 = b.getI32Type();
  Value code = k.load(node.input(0), at), zero = node.has(2) ? parameterAt(node, k, 2, at) : Value(), value;
  if (isFloat(from)) {
    value = code;
    if (zero)
      value = arith::SubFOp::create(b, value, zero);
  } else {
    value = castNumber(b, code, from, i32);
    if (zero)
      value = arith::SubIOp::create(b, value, castNumber(b, zero, from, i32));
    value = arith::SIToFPOp::create(b, f32, value);
  }
  Value scale = castNumber(b, parameterAt(node, k, 1, at), node.element(1), f32);
  return castNumber(b, arith::MulFOp::create(b, value, scale), f32, node.outputElement());
}

void qcc::registerQuantizeLinear(OperatorRegistry &registry) {
  auto add = [&](StringRef domain, StringRef type, auto infer, auto element, int64_t cost) {
    Operator op;
    op.domain = domain, op.type = type;
    op.infer = infer;
    op.element = element;
    op.pointwise = true;
    op.cost = cost;
    op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
    registry.add(op);
  };
  for (StringRef domain : {"", "com.microsoft"}) {
    add(domain, "QuantizeLinear", inferQuantize, quantize, 5);
    add(domain, "DequantizeLinear", inferDequantize, dequantize, 3);
  }
}
