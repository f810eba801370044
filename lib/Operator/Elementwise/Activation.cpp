// Activation functions.
#include "Pointwise.h"
#include "Register.h"

using namespace mlir;
using namespace qcc;

static Real sigmoid(Real x) { return 1.0 / (1.0 + exp(-x)); }

static Real softplus(Real x) { return maximum(x, 0.0) + log1p(exp(-abs(x))); }

/// x tanh(log(1 + e^x)) with the hyperbolic tangent written out: w / (w + 2) where w = e^x (e^x + 2).
static Real mish(Real x) {
  constexpr double straight = 20; // from here on the factor is 1 in every float type
  Real e = exp(minimum(x, straight)), w = e * (e + 2.0);
  return select(x > straight, x, x * (w / (w + 2.0)));
}

static Real elu(Real x, double alpha) { return select(x < 0.0, expm1(x) * alpha, x); }

static Real geluExact(Real x) { return x * 0.5 * (erf(x * M_SQRT1_2) + 1.0); }
static Real geluTanh(Real x) {
  return x * 0.5 * (tanh((x + x * x * x * 0.044715) * (M_SQRT2 / std::sqrt(M_PI))) + 1.0);
}

/// Relu and its relatives with a slope below 0, of any numbers. NaN stays NaN.
static Value rectified(Element &e, Value slope) {
  Value x = e.in[0];
  if (isFloat(e.type())) {
    Real value(e.b, x);
    return select(value < 0.0, slope ? value * Real(e.b, slope) : value.like(0.0), value).value();
  }
  if (isUnsigned(e.type()))
    return x;
  Value negative = arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, x, e.number(0));
  Value below = slope ? Value(arith::MulIOp::create(e.b, x, slope)) : e.number(0);
  return arith::SelectOp::create(e.b, negative, below, x);
}

/// Before operator set 11 the limits are attributes. The upper one wins where they cross.
static Value clip(Element &e) {
  Value x = e.in[0];
  for (bool upper : {false, true}) {
    unsigned operand = upper ? 2 : 1;
    Value limit = operand < e.in.size() ? e.in[operand] : Value();
    StringRef name = upper ? "max" : "min";
    if (!limit && e.node.version() < 11 && e.node.hasAttr(name))
      limit = e.number(e.node.floatAttr(name, 0));
    if (!limit)
      continue;
    Value beyond;
    if (isFloat(e.type()))
      beyond = upper ? Real(e.b, x) > Real(e.b, limit) : Real(e.b, x) < Real(e.b, limit);
    else {
      bool isSigned = !isUnsigned(e.type());
      auto predicate = upper ? (isSigned ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::ugt)
                             : (isSigned ? arith::CmpIPredicate::slt : arith::CmpIPredicate::ult);
      beyond = arith::CmpIOp::create(e.b, predicate, x, limit);
    }
    x = arith::SelectOp::create(e.b, beyond, limit, x);
  }
  return x;
}

static Dim clipContents(Infer &infer, ArrayRef<Dim> v) {
  if (infer.version() < 11 || v.size() != 3) // with both limits, so that their order is known
    return {};
  return infer.dim().min(infer.dim().max(v[0], v[1]), v[2]);
}

/// Shrink: towards zero by `bias` outside of ±lambd, zero inside. Integers are computed as floats and truncated.
static Value shrink(Element &e) {
  Type real = isFloat(e.type()) ? e.type() : Type(e.b.getF64Type());
  Real x(e.b, castNumber(e.b, e.in[0], e.type(), real));
  double lambda = e.node.floatAttr("lambd", 0.5), bias = e.node.floatAttr("bias", 0);
  Real result = select(x < -lambda, x + bias, select(x > lambda, x - bias, x.like(0.0)));
  return castNumber(e.b, result.value(), real, e.type());
}

static void addGelu(OperatorRegistry &registry) {
  addReal(registry, "Gelu", 30, [](Real x, const Node &node) {
    return node.stringAttr("approximate", "none") == "tanh" ? geluTanh(x) : geluExact(x);
  });
  auto addVendor = [&](StringRef type, unsigned minOperands, unsigned maxOperands, auto function) {
    Pointwise p{type, Takes::Floats, minOperands, maxOperands};
    p.rule = [function](Element &e) {
      Real x = e.real(0);
      return function(e.in.size() > 1 && e.in[1] ? x + e.real(1) : x, e.node).value();
    };
    p.cost = 30;
    p.domain = "com.microsoft";
    add(registry, p);
  };
  addVendor("Gelu", 1, 1, [](Real x, const Node &) { return geluExact(x); });
  addVendor("BiasGelu", 2, 2, [](Real x, const Node &) { return geluExact(x); });
  addVendor("FastGelu", 1, 2, [](Real x, const Node &) { return geluTanh(x); });
  addVendor("QuickGelu", 1, 1,
            [](Real x, const Node &node) { return x / (1.0 + exp(x * -node.floatAttr("alpha", 1.702))); });
}

void qcc::registerActivation(OperatorRegistry &registry) {
  addReal(registry, "Sigmoid", 20, [](Real x, const Node &) { return sigmoid(x); });
  addReal(registry, "Swish", 20,
          [](Real x, const Node &node) { return x / (1.0 + exp(x * -node.floatAttr("alpha", 1))); });
  addReal(registry, "Softplus", 30, [](Real x, const Node &) { return softplus(x); });
  addReal(registry, "Softsign", 5, [](Real x, const Node &) { return x / (abs(x) + 1.0); });
  addReal(registry, "Mish", 25, [](Real x, const Node &) { return mish(x); });
  addReal(registry, "Elu", 20, [](Real x, const Node &node) { return elu(x, node.floatAttr("alpha", 1)); });
  addReal(registry, "Selu", 20, [](Real x, const Node &node) {
    double alpha = node.floatAttr("alpha", 1.67326319217681884765625);
    return elu(x, alpha) * node.floatAttr("gamma", 1.05070102214813232421875);
  });
  addReal(registry, "Celu", 20, [](Real x, const Node &node) {
    double alpha = node.floatAttr("alpha", 1);
    return select(x < 0.0, expm1(x / alpha) * alpha, x);
  });
  addReal(registry, "HardSigmoid", 4, [](Real x, const Node &node) {
    return maximum(minimum(x * node.floatAttr("alpha", 0.2) + node.floatAttr("beta", 0.5), 1.0), 0.0);
  });
  addReal(registry, "HardSwish", 5,
          [](Real x, const Node &) { return x * maximum(minimum(x * (1.0 / 6) + 0.5, 1.0), 0.0); });
  addReal(registry, "ThresholdedRelu", 2,
          [](Real x, const Node &node) { return select(x > node.floatAttr("alpha", 1), x, x.like(0.0)); });
  addReal(registry, "LeakyRelu", 2,
          [](Real x, const Node &node) { return select(x < 0.0, x * node.floatAttr("alpha", 0.01), x); });
  add(registry, {"Relu", Takes::Numbers, 1, 1, [](Element &e) { return rectified(e, {}); }});
  add(registry, {"PRelu", Takes::Numbers, 2, 2, [](Element &e) { return rectified(e, e.in[1]); }, 2});
  add(registry, {"Clip", Takes::Numbers, 1, 3, clip, 2, clipContents});
  add(registry, {"Shrink", Takes::Numbers, 1, 1, shrink, 4});
  addGelu(registry);
}
