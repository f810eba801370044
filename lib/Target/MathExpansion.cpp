#include "MathExpansion.h"
#include "RealExpansion.h"

using namespace mlir;
using namespace qcc;

// The polynomials are minimax approximations by Remez' exchange, of the relative error of the function they stand in.

Real qcc::polynomial(Real x, ArrayRef<double> c) {
  Real result = x.like(c.back());
  for (double next : llvm::reverse(c.drop_back()))
    result = fma(result, x, next);
  return result;
}

Real qcc::wide(Real x) {
  Type type = withElement(x.type(), Float64Type::get(x.type().getContext()));
  return {x.builder(), arith::ExtFOp::create(x.builder(), type, x.value())};
}
Real qcc::narrow(Real x) {
  Type type = withElement(x.type(), Float32Type::get(x.type().getContext()));
  return {x.builder(), arith::TruncFOp::create(x.builder(), type, x.value())};
}

/// sin(x + quarters π/2). The argument is reduced to [-π/4, π/4] in double precision, which keeps the 24 bits of the
/// result while the number of quarter turns fits a double; beyond there is no answer.
static Real sine(Real x, double quarters) {
  constexpr double halfPi = 1.5707963267948966, halfPiRest = 6.123233995736766e-17, limit = 0x1p52;
  Real exact = wide(x);
  Real turns = (exact * (2 / M_PI)).unary<math::RoundEvenOp>();
  Real rest = fma(turns, -halfPiRest, fma(turns, -halfPi, exact));
  Real r = narrow(rest), z = r * r;
  turns = turns + quarters;
  Real quadrant = turns - floor(turns * 0.25) * 4.0;
  Bits bits{x.builder(), withElement(x.type(), x.builder().getI32Type())};
  Value q = arith::FPToSIOp::create(x.builder(), bits.type, narrow(quadrant).value());
  Real odd = fma(z * r, polynomial(z, {-0.16666654936694378, 0.008332177686456183, -0.00019517234692181364}), r);
  Real even = fma(z * z, polynomial(z, {0.041666646854602696, -0.0013887366909997416, 2.4438379475500785e-05}),
                  fma(z, -0.5, 1.0));
  Real result = select(bits.isSet(q, 1), even, odd);
  result = select(bits.isSet(q, 2), -result, result);
  return select(abs(x) < limit, result, x.like(std::numeric_limits<double>::quiet_NaN()));
}

static Real arctangent(Real x) {
  Real magnitude = abs(x);
  Value isLarge = magnitude > 1.0;
  Real t = select(isLarge, 1.0 / magnitude, magnitude), z = t * t;
  Real small = fma(z * t,
                   polynomial(z, {-0.3333330186719804, 0.199986386348327, -0.14265245496896156, 0.10957576634208942,
                                  -0.08419460110831212, 0.058234564351812484, -0.03145571405823063,
                                  0.011064447152573298, -0.0018272142913984722}),
                   t);
  Real result = select(isLarge, M_PI_2 - small, small);
  return {x.builder(), math::CopySignOp::create(x.builder(), result.value(), x.value())};
}

std::pair<Real, Value> qcc::split(Real x, Bits bits, int64_t mantissaBits, int64_t rootHalf) {
  Value all = bits.of(x);
  Value exponent = bits.sar(bits.add(all, -rootHalf), mantissaBits);
  return {bits.real(bits.sub(all, bits.shl(exponent, mantissaBits)), x.type()), exponent};
}

Real qcc::toReal(const Real &like, Value whole) {
  return {like.builder(), arith::SIToFPOp::create(like.builder(), like.type(), whole)};
}

/// log x = e log 2 + log m, the logarithm of m by a polynomial in m - 1.
static Real logarithm(Real x) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Value isSubnormal = x < 0x1p-126;
  Real scaled = select(isSubnormal, x * 0x1p23, x);
  Bits bits{x.builder(), withElement(x.type(), x.builder().getI32Type())};
  auto [m, exponent] = split(scaled, bits, 23, 0x3f3504f3);
  Real e = toReal(x, exponent), f = m - 1.0, square = f * f;
  e = select(isSubnormal, e - 23.0, e);
  Real tail = f * square *
              polynomial(f, {0.3333331213152016, -0.25000010703732684, 0.20002157742900215, -0.16667966163846737,
                             0.14218632524338323, -0.12405440862798231, 0.11895420329233855, -0.11680323976662589,
                             0.067355087405012});
  constexpr double ln2 = 0.693359375, ln2Rest = -2.12194440054690583e-4; // the first has 10 bits: e ln2 is exact
  Real small = fma(e, ln2Rest, fma(square, -0.5, tail));
  Real result = fma(e, ln2, f + small);
  result = select(x == infinity, x, result);
  result = select(x == 0.0, x.like(-infinity), result);
  return select(x < 0.0, x.like(std::numeric_limits<double>::quiet_NaN()), select(x == x, result, x));
}

Real qcc::withSpecialCases(Real base, Real exponent, Real magnitude) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  ImplicitLocOpBuilder &b = base.builder();
  Value isWhole = floor(exponent) == exponent, isNegative = base < 0.0;
  Real half = exponent * 0.5;
  Value isOdd = arith::AndIOp::create(b, isWhole, Real::compare(arith::CmpFPredicate::UNE, floor(half), half));
  Real signedResult(b, math::CopySignOp::create(b, magnitude.value(), base.value()));
  Real result = select(isOdd, signedResult, magnitude);
  Value hasNone =
      arith::AndIOp::create(b, isNegative, Real::compare(arith::CmpFPredicate::UNE, floor(exponent), exponent));
  hasNone = arith::AndIOp::create(b, hasNone, base > -infinity);
  result = select(hasNone, base.like(std::numeric_limits<double>::quiet_NaN()), result);
  result = select(base == base, select(exponent == exponent, result, exponent), base);
  Value isOne = arith::OrIOp::create(b, base == 1.0, exponent == 0.0);
  Value isUnit = arith::AndIOp::create(b, base == -1.0, abs(exponent) == infinity);
  return select(arith::OrIOp::create(b, isOne, isUnit), base.like(1.0), result);
}

/// x^y = 2^(y log2 |x|) in double precision.
static Real power(Real base, Real exponent) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  ImplicitLocOpBuilder &b = base.builder();
  Real x = wide(abs(base)), y = wide(exponent);
  Bits bits{b, withElement(base.type(), b.getI64Type())};
  auto [m, exponentBits] = split(x, bits, 52, 0x3fe6a09e667f3bcd);
  Real s = (m - 1.0) / (m + 1.0);
  Real log2 = fma(s,
                  polynomial(s * s, {2.8853900817778486, 0.9617966941158784, 0.5770779415924383, 0.41220933377383423,
                                     0.31990222921057276, 0.28295145581359327}),
                  toReal(x, exponentBits));
  log2 = select(x == 0.0, x.like(-infinity), select(x == infinity, x, log2));
  constexpr double largest = 1000; // f32 has overflowed and underflowed long before
  Real product = maximum(minimum(y * log2, largest), -largest);
  Real whole = product.unary<math::RoundEvenOp>();
  Real fraction = polynomial(product - whole, {0.9999999999616214, 0.6931471807287158, 0.2402265119875499,
                                               0.055504103528336436, 0.00961802717271912, 0.0013333922854555948,
                                               0.00015469317321404534, 1.5201901312030948e-05});
  // The exponent of a double is added to in its bits: a conversion to integers of 64 bits would not vectorize.
  constexpr double shift = 0x1.8p52;
  Value count = bits.shl(bits.of(whole + shift), 52);
  Real result = narrow(bits.real(arith::AddIOp::create(b, bits.of(fraction), count), x.type()));

  return withSpecialCases(base, exponent, result);
}

void qcc::populateMathExpansionPatterns(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  using In = ArrayRef<Real>;
  patterns.add<Expand<math::SinOp, 32>>(context, [](In x) { return sine(x[0], 0); });
  patterns.add<Expand<math::CosOp, 32>>(context, [](In x) { return sine(x[0], 1); });
  patterns.add<Expand<math::AtanOp, 32>>(context, [](In x) { return arctangent(x[0]); });
  patterns.add<Expand<math::LogOp, 32>>(context, [](In x) { return logarithm(x[0]); });
  patterns.add<Expand<math::PowFOp, 32>>(context, [](In x) { return power(x[0], x[1]); });
  // e^x - 1 = tanh(x/2) (e^x + 1); the product is e^x where that is infinite.
  patterns.add<Expand<math::ExpM1Op, 64>>(context, [](In x) { return tanh(x[0] * 0.5) * (exp(x[0]) + 1.0); });
  patterns.add<Expand<math::Log1pOp, 64>>(context, [](In in) {
    Real x = in[0], near = (x / (x + 2.0)).unary<math::AtanhOp>() * 2.0;
    return select(x < 0.5, near, log(x + 1.0));
  });
}
