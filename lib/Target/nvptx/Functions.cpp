// Functions of real numbers that GPUs have no code for.
#include "../MathExpansion.h"
#include "../RealExpansion.h"

using namespace mlir;
using namespace qcc;

static constexpr double infinity = std::numeric_limits<double>::infinity();
static constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();
// Of log 2 the first part has 33 bits, so that whole numbers of it are exact.
static constexpr double ln2 = 6.93147180369123816490e-01, ln2Rest = 1.90821492927058770002e-10;

static Real withSign(Real magnitude, Real of) {
  return {magnitude.builder(), math::CopySignOp::create(magnitude.builder(), magnitude.value(), of.value())};
}
static Real rounded(Real x) { return x.unary<math::RoundEvenOp>(); }

/// The first terms of a series whose n-th coefficient is next(n, the one before).
static SmallVector<double> series(int count, double first, function_ref<double(int, double)> next) {
  SmallVector<double> c = {first};
  for (int n = 1; n < count; ++n)
    c.push_back(next(n, c.back()));
  return c;
}

/// e^(x + rest) in f64, where `rest` is small beside x.
static Real exponential(Real x, Real rest) {
  ImplicitLocOpBuilder &b = x.builder();
  Real bounded = select(x > 1000.0, x.like(1000.0), select(x < -1000.0, x.like(-1000.0), x));
  Real whole = rounded(bounded * M_LOG2E), r = fma(whole, -ln2, bounded);
  r = fma(whole, -ln2Rest, r) + rest;
  // Taylor's series for |r| <= log(2) / 2: the 14th term is below 2^-57.
  Real power = polynomial(r, series(14, 1, [](int n, double c) { return c / n; }));
  // 2^whole in two factors, each of which a double holds.
  Bits bits{b, withElement(x.type(), b.getI64Type())};
  Value n = arith::FPToSIOp::create(b, bits.type, whole.value()), half = bits.sar(n, 1);
  auto powerOfTwo = [&](Value exponent) { return bits.real(bits.shl(bits.add(exponent, 1023), 52), x.type()); };
  Real result = power * powerOfTwo(half) * powerOfTwo(bits.sub(n, half));
  return select(x == x, result, x);
}
static Real exponential(Real x) { return exponential(x, x.like(0.0)); }

/// log x in f64 as a number and what it lacks.
static std::pair<Real, Real> logarithmParts(Real x) {
  Bits bits{x.builder(), withElement(x.type(), x.builder().getI64Type())};
  Value isSubnormal = x < 0x1p-1022;
  auto [m, exponent] = split(select(isSubnormal, x * 0x1p54, x), bits, 52, 0x3fe6a09e667f3bcd);
  Real e = toReal(x, exponent);
  e = select(isSubnormal, e - 54.0, e);
  // log m = 2 atanh s for s = f / (f + 2), f = m - 1; s² is below 0.03.
  Real f = m - 1.0, sum = f + 2.0, lost = f - (sum - 2.0), s = f / sum;
  Real sRest = (fma(-s, sum, f) - s * lost) / sum, z = s * s;
  Real tail = s * z * polynomial(z, series(12, 2.0 / 3, [](int n, double) { return 2.0 / (2 * n + 3); }));
  Real high = e * ln2, low = s * 2.0, first = high + low;
  Real rest = (low - (first - high)) + (sRest * 2.0 + tail + e * ln2Rest);
  Real result = first + rest;
  return {result, rest - (result - first)};
}

static Real logarithm(Real x) {
  Real result = logarithmParts(x).first;
  result = select(x == infinity, x, result);
  result = select(x == 0.0, x.like(-infinity), result);
  return select(x < 0.0, x.like(notANumber), select(x == x, result, x));
}

/// log(1 + x): the logarithm of the rounded sum, corrected by what the rounding took off x.
static Real logarithmOfNext(Real x) {
  Real sum = x + 1.0, taken = sum - 1.0;
  return select(taken == 0.0, x, select(sum == infinity, sum, logarithm(sum) * (x / taken)));
}

static Real power(Real base, Real exponent) {
  Real x = abs(base);
  auto [log, rest] = logarithmParts(x);
  Real product = exponent * log;
  Real result = exponential(product, fma(exponent, log, -product) + exponent * rest);
  // The rest is no number where the product is not finite.
  result = select(product > 800.0, x.like(infinity), select(product < -800.0, x.like(0.0), result));
  Value grows = exponent > 0.0, shrinks = exponent < 0.0;
  Real ofZero = select(grows, x.like(0.0), x.like(infinity)),
       ofInfinity = select(shrinks, x.like(0.0), x.like(infinity));
  result = select(x == 0.0, ofZero, select(x == infinity, ofInfinity, result));
  // Powers of whole numbers are whole: what is made of them may be cut off.
  auto isWhole = [](Real y) { return floor(y) == y; };
  auto &b = base.builder();
  Value exact = arith::AndIOp::create(b, isWhole(base), arith::AndIOp::create(b, isWhole(exponent), grows));
  result = select(arith::AndIOp::create(b, exact, result < 0x1p52), rounded(result), result);
  return withSpecialCases(base, exponent, result);
}

/// (sin x, cos x) in f64.
static std::pair<Real, Real> sineAndCosine(Real x) {
  constexpr double parts[] = {1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33}; // π/2
  ImplicitLocOpBuilder &b = x.builder();
  Value inRange = abs(x) < 0x1p52;
  Real bounded = select(inRange, x, x.like(0.0)), turns = rounded(bounded * M_2_PI), r = bounded;
  for (double part : parts)
    r = fma(turns, -part, r);
  Real z = r * r;
  Real odd = fma(
      r * z, polynomial(z, series(8, -1.0 / 6, [](int n, double c) { return -c / ((2 * n + 2) * (2 * n + 3)); })), r);
  Real even = polynomial(z, series(10, 1, [](int n, double c) { return -c / ((2 * n - 1) * (2 * n)); }));
  Bits bits{b, withElement(x.type(), b.getI64Type())};
  Value quarter = arith::FPToSIOp::create(b, bits.type, turns.value()), swaps = bits.isSet(quarter, 1);
  Real sine = select(swaps, even, odd), cosine = select(swaps, odd, even);
  sine = select(bits.isSet(quarter, 2), -sine, sine);
  cosine = select(bits.isSet(bits.add(quarter, 1), 2), -cosine, cosine);
  return {select(inRange, sine, x.like(notANumber)), select(inRange, cosine, x.like(notANumber))};
}

static Real hyperbolicTangent(Real x) {
  Real z = x * x, fraction = x.like(17.0);
  for (int n = 15; n > 0; n -= 2) // Lambert's continued fraction, for |x| < 1/2
    fraction = n + z / fraction;
  Real t = exponential(abs(x) * -2.0), large = withSign((1.0 - t) / (t + 1.0), x);
  return select(abs(x) < 0.5, x / fraction, select(x == x, large, x));
}

static Real areaTangent(Real x) {
  Real z = x * x, small = x * polynomial(z, series(14, 1, [](int n, double) { return 1.0 / (2 * n + 1); }));
  return select(abs(x) < 0.25, small, logarithm((x + 1.0) / (1.0 - x)) * 0.5);
}

/// e^x / 2, which overflows no earlier than it has to.
static Real halfOfPower(Real x) {
  Real root = exponential(x * 0.5);
  return root * 0.5 * root;
}

static Real hyperbolicSine(Real x) {
  Real z = x * x, small = x * polynomial(z, series(7, 1, [](int n, double c) { return c / (2 * n * (2 * n + 1)); }));
  Real e = halfOfPower(abs(x)), large = e - 0.25 / e;
  return select(abs(x) < 0.5, small, withSign(large, x));
}

static Real hyperbolicCosine(Real x) {
  Real e = halfOfPower(abs(x));
  return e + 0.25 / e;
}

static Real areaSine(Real x) {
  Real m = abs(x), z = x * x;
  Real usual = logarithmOfNext(m + z / (sqrt(z + 1.0) + 1.0)), large = logarithm(m) + M_LN2;
  return withSign(select(m > 0x1p28, large, usual), x);
}

static Real areaCosine(Real x) {
  Real more = x - 1.0, usual = logarithmOfNext(more + sqrt(more * (more + 2.0))), large = logarithm(x) + M_LN2;
  return select(x > 0x1p28, large, usual);
}

static Real arctangent(Real x) {
  Real m = abs(x);
  Value isLarge = m > 1.0;
  Real t = select(isLarge, 1.0 / m, m);
  Value isMiddle = t > 0.41421356237309503; // tan(π/8)
  t = select(isMiddle, (t - 1.0) / (t + 1.0), t);
  Real z = t * t;
  Real small = t * polynomial(z, series(22, 1, [](int n, double) { return (n % 2 ? -1.0 : 1.0) / (2 * n + 1); }));
  Real result = select(isMiddle, small + M_PI_4, small);
  return withSign(select(isLarge, M_PI_2 - result, result), x);
}

static Real errorFunction(Real x) {
  Real m = abs(x), z = x * x, e = exponential(-z);
  // For small x the series in e^-x², otherwise the continued fraction of what is missing to 1.
  Real small = x * e * M_2_SQRTPI * polynomial(z, series(48, 1, [](int n, double c) { return c * 2 / (2 * n + 1); }));
  Real fraction = m;
  for (int n = 40; n > 0; --n)
    fraction = m + 0.5 * n / fraction;
  Real large = 1.0 - e * (0.5 * M_2_SQRTPI) / fraction;
  return select(m < 2.5, small, select(m > 6.0, withSign(x.like(1.0), x), withSign(large, x)));
}

void qcc::populateDeviceMathPatterns(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  using In = ArrayRef<Real>;
  patterns.add<Expand<math::ExpOp, 64>>(context, [](In x) { return exponential(x[0]); });
  patterns.add<Expand<math::Exp2Op, 64>>(context, [](In x) { return exponential(x[0] * M_LN2); });
  patterns.add<Expand<math::LogOp, 64>>(context, [](In x) { return logarithm(x[0]); });
  patterns.add<Expand<math::Log2Op, 64>>(context, [](In x) { return logarithm(x[0]) * M_LOG2E; });
  patterns.add<Expand<math::Log10Op, 64>>(context, [](In x) { return logarithm(x[0]) * M_LOG10E; });
  patterns.add<Expand<math::PowFOp, 64>>(context, [](In x) { return power(x[0], x[1]); });
  patterns.add<Expand<math::SinOp, 64>>(context, [](In x) { return sineAndCosine(x[0]).first; });
  patterns.add<Expand<math::CosOp, 64>>(context, [](In x) { return sineAndCosine(x[0]).second; });
  patterns.add<Expand<math::TanhOp, 64>>(context, [](In x) { return hyperbolicTangent(x[0]); });
  patterns.add<Expand<math::AtanOp, 64>>(context, [](In x) { return arctangent(x[0]); });
  patterns.add<Expand<math::AsinOp, 64>>(context,
                                         [](In in) { return arctangent(in[0] / sqrt((1.0 - in[0]) * (in[0] + 1.0))); });
  patterns.add<Expand<math::AcosOp, 64>>(context,
                                         [](In in) { return arctangent(sqrt((1.0 - in[0]) / (in[0] + 1.0))) * 2.0; });
  patterns.add<Expand<math::ErfOp, 64>>(context, [](In x) { return errorFunction(x[0]); });
  auto both = [&](auto tag, Real (*formula)(Real)) {
    using Op = decltype(tag);
    patterns.add<Expand<Op, 64>>(context, [=](In x) { return formula(x[0]); });
    patterns.add<Expand<Op, 32>>(context, [=](In x) { return narrow(formula(wide(x[0]))); });
  };
  both(math::TanOp(), [](Real x) {
    auto [sine, cosine] = sineAndCosine(x);
    return sine / cosine;
  });
  both(math::SinhOp(), hyperbolicSine);
  both(math::CoshOp(), hyperbolicCosine);
  both(math::AsinhOp(), areaSine);
  both(math::AcoshOp(), areaCosine);
  both(math::AtanhOp(), areaTangent);
}
