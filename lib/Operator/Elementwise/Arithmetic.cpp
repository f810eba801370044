// Sums, products, quotients, powers, extrema and signs, of any numbers.
#include "Pointwise.h"
#include "Register.h"

using namespace mlir;
using namespace qcc;

using P = arith::CmpIPredicate;

static Value is(Element &e, P predicate, Value x, Value y) { return arith::CmpIOp::create(e.b, predicate, x, y); }
static Value pick(Element &e, Value condition, Value x, Value y) {
  return arith::SelectOp::create(e.b, condition, x, y);
}

template <typename FloatOp, typename IntOp> static Value apply(Element &e, Value x, Value y) {
  return isFloat(e.type()) ? Value(FloatOp::create(e.b, x, y)) : Value(IntOp::create(e.b, x, y));
}

/// Integer quotient and remainder, rounded towards zero. Where the hardware would trap, x / 0 is 0 with remainder 0,
/// and the smallest number over -1 wraps.
static std::pair<Value, Value> divide(Element &e, Value x, Value y) {
  Value zero = e.number(0), one = e.number(1), isZero = is(e, P::eq, y, zero);
  if (isUnsigned(e.type())) {
    Value divisor = pick(e, isZero, one, y);
    Value quotient = arith::DivUIOp::create(e.b, x, divisor), remainder = arith::RemUIOp::create(e.b, x, divisor);
    return {pick(e, isZero, zero, quotient), remainder};
  }
  Value isMinusOne = is(e, P::eq, y, e.number(-1));
  Value divisor = pick(e, arith::OrIOp::create(e.b, isZero, isMinusOne), one, y);
  Value quotient = arith::DivSIOp::create(e.b, x, divisor), remainder = arith::RemSIOp::create(e.b, x, divisor);
  Value negated = arith::SubIOp::create(e.b, zero, x);
  return {pick(e, isMinusOne, negated, pick(e, isZero, zero, quotient)), remainder};
}

static Value quotient(Element &e) {
  if (isFloat(e.type()))
    return (e.real(0) / e.real(1)).value();
  return divide(e, e.in[0], e.in[1]).first;
}

/// fmod = 1 takes the sign of the dividend, as C does; otherwise the sign is the divisor's, as Python has it.
static Value modulo(Element &e) {
  if (isFloat(e.type()))
    return arith::RemFOp::create(e.b, e.in[0], e.in[1]);
  Value remainder = divide(e, e.in[0], e.in[1]).second;
  if (isUnsigned(e.type()) || e.node.intAttr("fmod", 0))
    return remainder;
  Value zero = e.number(0);
  Value differs = arith::XOrIOp::create(e.b, is(e, P::slt, remainder, zero), is(e, P::slt, e.in[1], zero));
  differs = arith::AndIOp::create(e.b, differs, is(e, P::ne, remainder, zero));
  return pick(e, differs, arith::AddIOp::create(e.b, remainder, e.in[1]), remainder);
}

static FailureOr<Type> moduloType(const Node &node) {
  if (isFloat(node.element(0)) && node.intAttr("fmod", 0) == 0)
    return node.error("of floats needs fmod = 1");
  return node.element(0);
}

/// x to a small whole power or to one half, in products and a root; null for other exponents.
static Value knownPower(Real x, double exponent) {
  if (exponent == 0.5)
    return sqrt(x).value();
  int count = int(std::min(std::abs(exponent), 64.0));
  if (count > 4 || exponent != std::floor(exponent))
    return {};
  Real power = x.like(1.0);
  for (int i = 0; i < count; ++i)
    power = i == 0 ? x : power * x;
  return (exponent < 0 ? 1.0 / power : power).value();
}

static Value power(Element &e) {
  Type base = e.type(0), exponent = e.type(1);
  // Integers are raised in double precision, which is exact as far as a double reaches.
  Type real = isFloat(base) ? base : Type(e.b.getF64Type());
  Value x = castNumber(e.b, e.in[0], base, real);
  Value result;
  if (auto known = e.node.scalar(1))
    result = knownPower({e.b, x}, *known);
  if (!result)
    result = math::PowFOp::create(e.b, x, castNumber(e.b, e.in[1], exponent, real));
  return castNumber(e.b, result, real, base);
}

static Value extremum(Element &e, Value x, Value y, bool largest) {
  if (isFloat(e.type()))
    return (largest ? maximum(Real(e.b, x), Real(e.b, y)) : minimum(Real(e.b, x), Real(e.b, y))).value();
  P before = isUnsigned(e.type()) ? P::ult : P::slt;
  return pick(e, is(e, before, x, y), largest ? y : x, largest ? x : y);
}

/// A fold over any number of operands.
static Value fold(Element &e, llvm::function_ref<Value(Value, Value)> combine) {
  Value result = e.in[0];
  for (Value next : ArrayRef<Value>(e.in).drop_front())
    result = combine(result, next);
  return result;
}

static Value sign(Element &e) {
  if (isFloat(e.type())) {
    Real x = e.real(0);
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x)).value();
  }
  Value zero = e.number(0), one = e.number(1), x = e.in[0];
  Value positive = pick(e, is(e, P::ne, x, zero), one, zero);
  return isUnsigned(e.type()) ? positive : pick(e, is(e, P::slt, x, zero), e.number(-1), positive);
}

static Value absolute(Element &e) {
  if (isFloat(e.type()))
    return abs(e.real(0)).value();
  if (isUnsigned(e.type()))
    return e.in[0];
  return pick(e, is(e, P::slt, e.in[0], e.number(0)), arith::SubIOp::create(e.b, e.number(0), e.in[0]), e.in[0]);
}

// What integer results hold, as dimension expressions.

/// a / b rounded towards zero (integers); the quotient itself where it is a whole number (floats).
static Dim quotientContents(Infer &infer, ArrayRef<Dim> v) {
  Dimensions &d = infer.dim();
  auto x = constantOf(v[0]), y = constantOf(v[1]);
  if (y == 0)
    return {};
  bool whole = x && y ? *x % *y == 0 : d.mul(d.floorDiv(v[0], v[1]), v[1]) == v[0];
  if (isFloat(infer.element(0)) && !whole)
    return {};
  if (x && y)
    return d.constant(*x / *y);
  if (d.isNonNegative(v[1]) && d.isNonNegative(v[0]))
    return d.floorDiv(v[0], v[1]);
  if (y.value_or(0) > 0) {
    Dim negated = d.mul(v[0], d.constant(-1));
    return d.ifNegative(v[0], d.mul(d.floorDiv(negated, v[1]), d.constant(-1)), d.floorDiv(v[0], v[1]));
  }
  return {};
}

static Dim moduloContents(Infer &infer, ArrayRef<Dim> v) {
  Dimensions &d = infer.dim();
  auto y = constantOf(v[1]);
  if (y == 0 || isFloat(infer.element(0)) || (infer.intAttr("fmod", 0) && !d.isNonNegative(v[0])))
    return {};
  if (y && *y > 0)
    return d.mod(v[0], *y);
  return d.isNonNegative(v[1]) ? d.sub(v[0], d.mul(v[1], d.floorDiv(v[0], v[1]))) : Dim();
}

static Dim powerContents(Infer &infer, ArrayRef<Dim> v) {
  auto exponent = constantOf(v[1]);
  if (!exponent || *exponent < 0 || *exponent > 4 || (constantOf(v[0]) && std::abs(*constantOf(v[0])) > 1 << 12))
    return {};
  return infer.dim().product(SmallVector<Dim>(*exponent, v[0]));
}

static Dim signContents(Infer &infer, ArrayRef<Dim> v) {
  Dimensions &d = infer.dim();
  Dim zero = d.constant(0), one = d.constant(1);
  return d.ifNegative(v[0], d.constant(-1), d.ifEqual(v[0], zero, zero, one));
}

static Dim absoluteContents(Infer &infer, ArrayRef<Dim> v) {
  return infer.dim().ifNegative(v[0], infer.dim().mul(v[0], infer.dim().constant(-1)), v[0]);
}

template <Dim (Dimensions::*combine)(Dim, Dim)> static Dim foldContents(Infer &infer, ArrayRef<Dim> v) {
  Dim result = v[0];
  for (Dim next : v.drop_front())
    result = (infer.dim().*combine)(result, next);
  return result;
}
template <Dim (Dimensions::*combine)(Dim, Dim) const> static Dim foldContents(Infer &infer, ArrayRef<Dim> v) {
  Dim result = v[0];
  for (Dim next : v.drop_front())
    result = (infer.dim().*combine)(result, next);
  return result;
}

static void addBinary(OperatorRegistry &registry, StringRef type, std::function<Value(Element &)> rule,
                      std::function<Dim(Infer &, ArrayRef<Dim>)> contents, int64_t cost = 1) {
  Pointwise p{type, Takes::Numbers, 2, 2, std::move(rule), cost, std::move(contents)};
  add(registry, p);
}

static void addVariadic(OperatorRegistry &registry, StringRef type, std::function<Value(Element &)> rule,
                        std::function<Dim(Infer &, ArrayRef<Dim>)> contents = {}) {
  Pointwise p{type, Takes::Numbers, 1, anyNumber, std::move(rule), 2, std::move(contents)};
  add(registry, p);
}

static Value sum(Element &e) {
  return fold(e, [&](Value x, Value y) { return apply<arith::AddFOp, arith::AddIOp>(e, x, y); });
}

void qcc::registerArithmetic(OperatorRegistry &registry) {
  addBinary(registry, "Add", sum, foldContents<&Dimensions::add>);
  addBinary(
      registry, "Sub", [](Element &e) { return apply<arith::SubFOp, arith::SubIOp>(e, e.in[0], e.in[1]); },
      foldContents<&Dimensions::sub>);
  addBinary(
      registry, "Mul", [](Element &e) { return apply<arith::MulFOp, arith::MulIOp>(e, e.in[0], e.in[1]); },
      foldContents<&Dimensions::mul>);
  addBinary(registry, "Div", quotient, quotientContents, 4);
  Pointwise mod{"Mod", Takes::Numbers, 2, 2, modulo, 8, moduloContents};
  mod.resultType = moduloType;
  add(registry, mod);
  Pointwise pow{"Pow", Takes::Numbers, 2, 2, power, 20, powerContents};
  pow.mixed = true;
  add(registry, pow);

  addVariadic(registry, "Sum", sum);
  Pointwise mean{"Mean", Takes::Floats, 1, anyNumber};
  mean.rule = [](Element &e) { return (Real(e.b, sum(e)) / double(e.in.size())).value(); };
  mean.cost = 3;
  add(registry, mean);
  addVariadic(
      registry, "Min", [](Element &e) { return fold(e, [&](Value x, Value y) { return extremum(e, x, y, false); }); },
      foldContents<&Dimensions::min>);
  addVariadic(
      registry, "Max", [](Element &e) { return fold(e, [&](Value x, Value y) { return extremum(e, x, y, true); }); },
      foldContents<&Dimensions::max>);

  auto addUnary = [&](StringRef type, auto rule, std::function<Dim(Infer &, ArrayRef<Dim>)> contents) {
    Pointwise p{type, Takes::Numbers, 1, 1, rule, 1, std::move(contents)};
    add(registry, p);
  };
  addUnary(
      "Neg",
      [](Element &e) -> Value {
        return isFloat(e.type()) ? (-e.real(0)).value() : Value(arith::SubIOp::create(e.b, e.number(0), e.in[0]));
      },
      [](Infer &infer, ArrayRef<Dim> v) { return infer.dim().mul(v[0], infer.dim().constant(-1)); });
  addUnary("Abs", absolute, absoluteContents);
  addUnary("Sign", sign, signContents);
}
