// Operators on codes with scales and zeros, which become sums of products of codes, or the operator on numbers between
// DequantizeLinear and QuantizeLinear.
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Numbers.h"

using namespace mlir;
using namespace qcc;

// ONNX's numbers of element types.
static constexpr int64_t float32 = 1, uint8 = 2, int8 = 3;

namespace {
/// Builds the nodes that a node becomes; once one of them fails, all further ones do.
class Rewrite {
public:
  explicit Rewrite(Infer &infer) : infer(infer) {}

  Infer &infer;
  bool failed = false;

  /// An operand, null where it is absent.
  Value operand(unsigned i) { return infer.has(i) ? infer.input(i) : Value(); }
  Value make(StringRef type, int64_t version, ValueRange inputs, ArrayRef<NamedAttribute> attrs = {},
             StringRef domain = "") {
    if (failed)
      return {};
    auto made = infer.make(type, version, inputs, attrs, domain);
    failed |= mlir::failed(made);
    return failed ? Value() : *made;
  }
  /// A scale or the like in float32, null where it is absent.
  Value real(Value value) {
    if (!value || failed || cast<ShapedType>(value.getType()).getElementType().isF32())
      return value;
    return make("Cast", 13, {value}, {infer.attribute("to", float32)});
  }
  Value times(Value x, Value y) { return !x ? y : !y ? x : make("Mul", 14, {x, y}); }
  /// x * y / z of scales.
  Value factor(Value x, Value y, Value z = {}) {
    Value product = times(real(x), real(y));
    return z ? make("Div", 14, {product, real(z)}) : product;
  }
  /// A list of numbers along axis `axis` of `rank` axes; what is one number or has more axes stays as it is.
  Value along(Value value, int64_t rank, int64_t axis) {
    if (!value || failed)
      return value;
    SmallVector<Dim> dims = dimsOf(value.getType());
    if (dims.size() != 1)
      return value;
    SmallVector<Dim> shape(constantOf(dims[0]) == 1 ? 0 : rank, infer.dim().constant(1));
    if (!shape.empty())
      shape[axis] = dims[0];
    return infer.reshape(value, shape);
  }
  Value dequantize(unsigned x, unsigned scale, unsigned zero) {
    return make("DequantizeLinear", 21, {operand(x), along(operand(scale), 1, 0), along(operand(zero), 1, 0)});
  }
  /// As codes of operand `like`'s type.
  Value quantize(Value x, unsigned scale, unsigned zero, unsigned like) {
    int64_t type = isUnsigned(infer.element(like)) ? uint8 : int8;
    return make("QuantizeLinear", 21, {x, along(operand(scale), 1, 0), along(operand(zero), 1, 0)},
                {infer.attribute("output_dtype", type)});
  }
  Value requantize(Value sums, Value factor, Value zero) {
    return make("Requantize", 1, {sums, factor, zero}, {}, "qcc");
  }
  LogicalResult finish(Value value) {
    if (!failed)
      infer.replace(0, infer.checked(value));
    return LogicalResult::success(!failed);
  }
};
} // namespace

static LogicalResult requireOperands(Infer &infer, ArrayRef<unsigned> operands) {
  for (unsigned i : operands)
    if (!infer.has(i))
      return infer.error("lacks operand " + Twine(i));
  return success();
}

static LogicalResult requireCodes(Infer &infer, ArrayRef<unsigned> operands) {
  if (failed(requireOperands(infer, operands)))
    return failure();
  for (unsigned i : operands)
    if (!isa<IntegerType>(infer.element(i)) || infer.element(i).getIntOrFloatBitWidth() != 8)
      return infer.unsupported("operand " + Twine(i) + " has a type other than int8 and uint8");
  return success();
}

static LogicalResult inferQLinearConv(Infer &infer) {
  if (failed(requireCodes(infer, {0, 2, 3, 5, 7})) || failed(requireOperands(infer, {1, 4, 6})))
    return failure();
  Rewrite r(infer);
  int64_t rank = infer.rank(0);
  auto single = [&](unsigned i) { return r.along(r.operand(i), 1, 0); };
  SmallVector<NamedAttribute> attrs(infer.op.getAttrs().getValue());
  Value sums = r.make("ConvInteger", 10, {infer.input(0), infer.input(3), single(2), infer.input(5)}, attrs);
  if (infer.has(8))
    sums = r.make("Add", 14, {sums, r.along(infer.input(8), rank, 1)});
  Value factor = r.factor(single(1), r.along(infer.input(4), rank, 1), single(6));
  return r.finish(r.requantize(sums, factor, single(7)));
}

static LogicalResult inferQLinearMatMul(Infer &infer) {
  if (failed(requireCodes(infer, {0, 2, 3, 5, 7})) || failed(requireOperands(infer, {1, 4, 6})))
    return failure();
  Rewrite r(infer);
  Value sums = r.make("MatMulInteger", 10, {infer.input(0), infer.input(3), infer.input(2), infer.input(5)});
  // Scales of rows of the left operand stand along the rows.
  int64_t rank = std::max<int64_t>(infer.rank(0), 2);
  Value factor =
      r.factor(r.along(infer.input(1), rank, rank - 2), r.along(infer.input(4), 1, 0), r.along(infer.input(6), 1, 0));
  return r.finish(r.requantize(sums, factor, r.along(infer.input(7), 1, 0)));
}

/// com.microsoft's MatMulIntegerToFloat (A, B, scales, zeros, bias) and DynamicQuantizeMatMul, which quantizes A first
/// (A, B, scale of B, zero of B, bias).
static LogicalResult inferMatMulToFloat(Infer &infer) {
  bool quantizes = infer.type() == "DynamicQuantizeMatMul";
  if (failed(requireOperands(infer, quantizes ? ArrayRef<unsigned>{0, 1, 2} : ArrayRef<unsigned>{0, 1, 2, 3})))
    return failure();
  Rewrite r(infer);
  Value a = infer.input(0), scaleOfA = r.operand(2), zeroOfA = r.operand(4);
  Value scaleOfB = r.operand(quantizes ? 2 : 3), zeroOfB = r.operand(quantizes ? 3 : 5);
  if (quantizes) {
    auto all = infer.makeAll("DynamicQuantizeLinear", 11, 3, {a});
    if (failed(all))
      return failure();
    a = (*all)[0], scaleOfA = (*all)[1], zeroOfA = (*all)[2];
  }
  Value sums = r.make("MatMulInteger", 10, {a, infer.input(1), zeroOfA, zeroOfB});
  Value result = r.times(r.real(sums), r.factor(r.along(scaleOfA, 1, 0), r.along(scaleOfB, 1, 0)));
  if (Value bias = r.operand(quantizes ? 4 : 6))
    result = r.make("Add", 14, {result, bias});
  return r.finish(result);
}

/// com.microsoft's QGemm: codes where the result has a scale, else floats.
static LogicalResult inferQGemm(Infer &infer) {
  if (failed(requireCodes(infer, {0, 3})) || failed(requireOperands(infer, {1, 2, 4, 5})))
    return failure();
  Rewrite r(infer);
  auto matrix = [&](unsigned i, StringRef transposed) {
    return infer.intAttr(transposed, 0) ? r.make("Transpose", 13, {infer.input(i)}) : infer.input(i);
  };
  Value sums = r.make("MatMulInteger", 10, {matrix(0, "transA"), matrix(3, "transB"), infer.input(2), infer.input(5)});
  if (infer.has(6))
    sums = r.make("Add", 14, {sums, infer.input(6)});
  Value factor = r.factor(r.along(infer.input(1), 1, 0), r.along(infer.input(4), 1, 0), r.along(r.operand(7), 1, 0));
  if (double alpha = infer.floatAttr("alpha", 1); alpha != 1)
    factor = r.times(factor, infer.number(alpha));
  if (infer.has(8))
    return r.finish(r.requantize(sums, factor, r.along(infer.input(8), 1, 0)));
  if (infer.has(7))
    return infer.unsupported("its result has a scale without a zero");
  return r.finish(r.times(r.real(sums), factor));
}

/// com.microsoft's operators of two tensors of codes: (A, scale, zero, B, scale, zero, scale and zero of the result).
static LogicalResult inferQLinearBinary(Infer &infer) {
  if (failed(requireCodes(infer, {0, 3})) || failed(requireOperands(infer, {1, 4, 6})))
    return failure();
  Rewrite r(infer);
  Value x = r.dequantize(0, 1, 2), y = r.dequantize(3, 4, 5);
  Value result = r.make(infer.type() == "QLinearAdd" ? "Add" : "Mul", 14, {x, y});
  return r.finish(r.quantize(result, 6, 7, 0));
}

/// com.microsoft's operators of one tensor of codes: (X, scale, zero, scale and zero of the result).
static LogicalResult inferQLinearUnary(Infer &infer) {
  if (failed(requireCodes(infer, {0})) || failed(requireOperands(infer, {1, 3})))
    return failure();
  Rewrite r(infer);
  StringRef type = infer.type();
  bool channelsLast = infer.intAttr("channels_last", 0) != 0;
  Value x = r.dequantize(0, 1, 2), result;
  if (type == "QLinearSigmoid") {
    result = r.make("Sigmoid", 13, {x});
  } else if (type == "QLinearLeakyRelu") {
    result = r.make("LeakyRelu", 16, {x}, {infer.floatAttribute("alpha", infer.floatAttr("alpha", 0.01))});
  } else if (type == "QLinearSoftmax") { // the axis means another thing before operator set 13
    int64_t version = infer.intAttr("opset", 13);
    result = r.make("Softmax", version < 13 ? 11 : 13, {x}, {infer.attribute("axis", infer.intAttr("axis", -1))});
  } else {
    int64_t rank = infer.rank(0);
    if (rank < 3)
      return infer.error("takes an operand of at least three dimensions");
    auto spatial = llvm::to_vector(llvm::seq<int64_t>(channelsLast ? 1 : 2, channelsLast ? rank - 1 : rank));
    result = r.make("ReduceMean", 13, {x}, {infer.attribute("axes", ArrayRef<int64_t>(spatial))});
  }
  return r.finish(r.quantize(result, 3, 4, 0));
}

/// com.microsoft's QLinearConcat: (scale and zero of the result, then each operand with its own).
static LogicalResult inferQLinearConcat(Infer &infer) {
  if (infer.inputs() < 5 || (infer.inputs() - 2) % 3)
    return infer.error("takes a scale, a zero, and operands with a scale and a zero each");
  SmallVector<Value> parts;
  Rewrite r(infer);
  for (unsigned i = 2; i < infer.inputs(); i += 3) {
    if (failed(requireCodes(infer, {i})) || failed(requireOperands(infer, {i + 1})))
      return failure();
    parts.push_back(r.dequantize(i, i + 1, i + 2));
  }
  Value whole = r.failed ? Value() : r.make("Concat", 13, parts, {infer.attribute("axis", infer.intAttr("axis", 0))});
  return r.finish(r.quantize(whole, 0, 1, 2));
}

void qcc::registerQLinear(OperatorRegistry &registry) {
  auto add = [&](StringRef domain, StringRef type, LogicalResult (*infer)(Infer &)) {
    registry.add(domain, type, infer, [](const Node &node, Lowering &) {
      return node.error("remains after shape inference, which replaces it");
    });
  };
  add("", "QLinearConv", inferQLinearConv);
  add("com.microsoft", "QLinearConv", inferQLinearConv);
  add("", "QLinearMatMul", inferQLinearMatMul);
  for (StringRef type : {"MatMulIntegerToFloat", "DynamicQuantizeMatMul"})
    add("com.microsoft", type, inferMatMulToFloat);
  add("com.microsoft", "QGemm", inferQGemm);
  for (StringRef type : {"QLinearAdd", "QLinearMul"})
    add("com.microsoft", type, inferQLinearBinary);
  for (StringRef type : {"QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearGlobalAveragePool"})
    add("com.microsoft", type, inferQLinearUnary);
  add("com.microsoft", "QLinearConcat", inferQLinearConcat);
}
