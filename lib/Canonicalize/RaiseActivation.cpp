#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

/// Constants come from files in the type of the elements, written with a few digits by hand at times. What is taken for
/// another number may not change a result in f32 by more than its own rounding does after some layers.
static double toleranceOf(Type element) {
  constexpr double byHand = 1e-5;
  double rounding = std::ldexp(1.0, -int(cast<FloatType>(element).getFPMantissaWidth()));
  return std::max(byHand, 2 * rounding); // two roundings meet in a product of constants
}

static bool near(double value, double expected, double tolerance) {
  return std::abs(value - expected) <= tolerance * std::abs(expected);
}

static bool isOne(Value value) { return splatOf(value) == 1.0; }

static constexpr int maxDepth = 12; // of an expression that is followed

namespace {
/// c[0] + c[1] x + c[2] x² + c[3] x³.
using Cubic = std::array<double, 4>;
} // namespace

static std::optional<Cubic> product(const Cubic &a, const Cubic &b) {
  Cubic result = {};
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j) {
      double term = a[i] * b[j];
      if (term != 0 && i + j >= result.size())
        return std::nullopt;
      if (term != 0)
        result[i + j] += term;
    }
  return result;
}

/// `value` as a polynomial in x, in whatever order its sums and products are written.
static std::optional<Cubic> polynomialIn(Value x, Value value, int depth = 0) {
  if (value == x)
    return Cubic{0, 1, 0, 0};
  if (auto number = splatOf(value))
    return Cubic{*number, 0, 0, 0};
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (!node || !node.getDomain().empty() || node->getNumOperands() == 0 || depth > maxDepth)
    return std::nullopt;
  StringRef type = node.getOpType();
  bool sum = type == "Add" || type == "Sub";
  if (!sum && type != "Mul" && type != "Div" && type != "Pow" && type != "Neg")
    return std::nullopt;
  auto a = polynomialIn(x, node->getOperand(0), depth + 1);
  if (!a)
    return std::nullopt;
  if (type == "Neg")
    return product(*a, {-1, 0, 0, 0});
  if (type == "Pow") {
    auto exponent = splatOf(node->getOperand(1));
    if (exponent != 2.0 && exponent != 3.0)
      return std::nullopt;
    auto square = product(*a, *a);
    return exponent == 2.0 || !square ? square : product(*square, *a);
  }
  auto b = polynomialIn(x, node->getOperand(1), depth + 1);
  if (!b)
    return std::nullopt;
  if (type == "Mul")
    return product(*a, *b);
  if (type == "Div") {
    if ((*b)[0] == 0 || (*b)[1] != 0 || (*b)[2] != 0 || (*b)[3] != 0)
      return std::nullopt;
    return product(*a, {1 / (*b)[0], 0, 0, 0});
  }
  for (size_t i = 0; i < a->size(); ++i)
    (*a)[i] += type == "Add" ? (*b)[i] : -(*b)[i];
  return a;
}

static bool isPolynomial(Value x, Value value, const Cubic &expected, double tolerance) {
  auto found = polynomialIn(x, value);
  return found && llvm::all_of(llvm::zip(*found, expected), [&](auto pair) {
           auto [a, b] = pair;
           return b == 0 ? a == 0 : near(a, b, tolerance);
         });
}

/// u of 1 + e^u.
static Value exponentOf(Value sum) {
  auto terms = splitOperands(madeBy(sum, "Add"), isOne);
  auto power = terms ? madeBy(terms->second, "Exp") : onnx::NodeOp();
  return power ? power->getOperand(0) : Value();
}

/// u of a sigmoid of u, as its own operator or as 1 / (1 + e^-u); then `negated`, and -u.
static Value sigmoidOf(Value value, bool &negated) {
  negated = false;
  if (auto sigmoid = madeBy(value, "Sigmoid"))
    return sigmoid->getOperand(0);
  negated = true;
  if (auto reciprocal = madeBy(value, "Reciprocal"))
    return exponentOf(reciprocal->getOperand(0));
  auto div = madeBy(value, "Div");
  return div && isOne(div->getOperand(0)) ? exponentOf(div->getOperand(1)) : Value();
}

namespace {
/// A product as scale · x · (what is neither).
struct Factors {
  double scale = 1;
  Value plain, special;
};
} // namespace

/// Takes a product apart into constants, one factor that `isSpecial`, and one other.
static std::optional<Factors> factorsOf(Value value, llvm::function_ref<bool(Value)> isSpecial, int depth = 0) {
  if (auto number = splatOf(value))
    return Factors{*number, {}, {}};
  if (isSpecial(value))
    return Factors{1, {}, value};
  auto mul = madeBy(value, "Mul"), div = madeBy(value, "Div");
  if (depth <= maxDepth && (mul || (div && splatOf(div->getOperand(1)).value_or(0) != 0))) {
    onnx::NodeOp node = mul ? mul : div;
    auto a = factorsOf(node->getOperand(0), isSpecial, depth + 1);
    auto b = factorsOf(node->getOperand(1), isSpecial, depth + 1);
    if (a && b && !(a->plain && b->plain) && !(a->special && b->special))
      return Factors{mul ? a->scale * b->scale : a->scale / b->scale, a->plain ? a->plain : b->plain,
                     a->special ? a->special : b->special};
    if ((a && a->special) || (b && b->special))
      return std::nullopt;
  }
  return Factors{1, value, {}};
}

/// u of 1 + f(u), f by its operator type.
static Value onePlus(Value value, StringRef type) {
  auto sum = splitOperands(madeBy(value, "Add"), isOne);
  auto node = sum ? madeBy(sum->second, type) : onnx::NodeOp();
  return node ? node->getOperand(0) : Value();
}

/// u of min(max(u, 0), 6).
static Value clippedTo6(Value value) {
  auto clip = madeBy(value, "Clip");
  if (!clip)
    return {};
  Node node(clip);
  bool attributes = node.version() < 11;
  auto low = attributes ? std::optional(node.floatAttr("min", -1)) : node.scalar(1);
  auto high = attributes ? std::optional(node.floatAttr("max", 0)) : node.scalar(2);
  return low == 0.0 && high == 6.0 ? clip->getOperand(0) : Value();
}

namespace {
struct Raised {
  StringRef type;
  int64_t version;
  Value x;
  SmallVector<NamedAttribute> attrs;
};
} // namespace

/// x · sigmoid(u), or with -u: Swish where u is a multiple of x.
static std::optional<Raised> swish(Value x, Value u, bool negated) {
  auto argument = polynomialIn(x, u);
  if (!argument || (*argument)[0] != 0 || (*argument)[1] == 0 || (*argument)[2] != 0 || (*argument)[3] != 0)
    return std::nullopt;
  Builder b(x.getContext());
  double alpha = negated ? -(*argument)[1] : (*argument)[1];
  return Raised{"Swish", 24, x, {b.getNamedAttr("alpha", b.getF32FloatAttr(float(alpha)))}};
}

static std::optional<Raised> match(onnx::NodeOp root) {
  Builder b(root.getContext());
  Value value = root->getResult(0);
  double tolerance = toleranceOf(cast<RankedTensorType>(value.getType()).getElementType());
  if (auto div = madeBy(value, "Div"))
    if (Value u = exponentOf(div->getOperand(1)); u && div->getOperand(0).getType() == value.getType())
      return swish(div->getOperand(0), u, /*negated=*/true);
  bool negated;
  auto special = [&](Value v) {
    bool ignored;
    return onePlus(v, "Erf") || onePlus(v, "Tanh") || sigmoidOf(v, ignored) || clippedTo6(v) ||
           madeBy(v, "HardSigmoid") || madeBy(v, "Tanh");
  };
  auto f = factorsOf(value, special);
  if (!f || !f->plain || !f->special || f->plain.getType() != value.getType())
    return std::nullopt;
  Value x = f->plain;
  if (Value u = onePlus(f->special, "Erf");
      u && near(f->scale, 0.5, tolerance) && isPolynomial(x, u, {0, M_SQRT1_2, 0, 0}, tolerance))
    return Raised{"Gelu", 20, x, {b.getNamedAttr("approximate", b.getStringAttr("none"))}};
  constexpr double slope = 0.7978845608028654; // sqrt(2 / π)
  if (Value u = onePlus(f->special, "Tanh");
      u && near(f->scale, 0.5, tolerance) && isPolynomial(x, u, {0, slope, 0, slope * 0.044715}, tolerance))
    return Raised{"Gelu", 20, x, {b.getNamedAttr("approximate", b.getStringAttr("tanh"))}};
  if (Value u = sigmoidOf(f->special, negated); u && f->scale == 1)
    return swish(x, u, negated);
  if (Value u = clippedTo6(f->special);
      u && near(f->scale, 1.0 / 6, tolerance) && isPolynomial(x, u, {3, 1, 0, 0}, tolerance))
    return Raised{"HardSwish", 14, x, {}};
  if (auto hard = madeBy(f->special, "HardSigmoid"); hard && f->scale == 1 && hard->getOperand(0) == x) {
    Node node(hard);
    if (near(node.floatAttr("alpha", 0.2), 1.0 / 6, tolerance) && node.floatAttr("beta", 0.5) == 0.5)
      return Raised{"HardSwish", 14, x, {}};
  }
  if (auto tanh = madeBy(f->special, "Tanh"); tanh && f->scale == 1)
    if (auto softplus = madeBy(tanh->getOperand(0), "Softplus"); softplus && softplus->getOperand(0) == x)
      return Raised{"Mish", 18, x, {}};
  return std::nullopt;
}

void qcc::raiseActivation(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    Value result = op->getNumResults() == 1 ? Value(op->getResult(0)) : Value();
    auto type = result ? dyn_cast<RankedTensorType>(result.getType()) : RankedTensorType();
    if (type && isa<FloatType>(type.getElementType()) && (madeBy(result, "Mul") || madeBy(result, "Div")))
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : llvm::reverse(candidates)) // the whole product before its parts
    if (auto raised = match(op)) {
      OpBuilder b(op);
      Value result = makeNode(b, op->getLoc(), raised->type, raised->version, {raised->x}, raised->attrs,
                              op->getResult(0).getType());
      op->getResult(0).replaceAllUsesWith(result);
    }
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
