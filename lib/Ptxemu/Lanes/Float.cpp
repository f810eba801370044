#include "Lanes/Element.h"

#include <math.h>

namespace qcc::ptxemu::QCC_PTXEMU_LANES {
namespace {

using Op = FloatOp;

constexpr bool isMinMax(Op op) { return op >= Op::Min && op <= Op::MaxNanXorsign; }
constexpr bool isOfBits(Op op) { return op == Op::Abs || op == Op::Neg || op == Op::CopySign; }

// A sum of two doubles whose error is kept in the last bit, so that rounding it again to fewer bits is right.
inline double roundToOdd(double high, double low) {
  double sum = high + low, part = sum - high;
  double error = (high - (sum - part)) + (low - part);
  uint64_t bits = bitsAs<uint64_t>(sum);
  if (error != 0 && !(bits & 1))
    bits = (error > 0) == (sum > 0) ? bits + 1 : bits - 1;
  return bitsAs<double>(bits);
}

template <typename E> inline typename E::Value fused(typename E::Value a, typename E::Value b, typename E::Value c) {
  if constexpr (sizeof(typename E::Bits) == 2)
    return 0; // in fusedBits
  else if constexpr (sizeof(typename E::Bits) == 4)
    return __builtin_fmaf(a, b, c);
  else
    return __builtin_fma(a, b, c);
}

// Rounds a double to 24 bits in a way that keeps the result of rounding on to 11 or 8.
inline float oddSingle(double value) {
  float single = static_cast<float>(value);
  double back = single;
  uint32_t bits = bitsAs<uint32_t>(single);
  // Also where the double has overflowed the single's range there is nothing to mend.
  bool isInexact = back != value && value == value && (bits & 0x7f800000u) != 0x7f800000u;
  if (isInexact && !(bits & 1)) {
    bool isAbove = back < value; // the value is above what it was rounded to
    bits = isAbove == (value > 0) ? bits + 1 : bits - 1;
  }
  return bitsAs<float>(bits);
}

template <Op op, typename V> inline V compute(V a, V b) {
  if constexpr (op == Op::Add)
    return a + b;
  else if constexpr (op == Op::Sub)
    return a - b;
  else if constexpr (op == Op::Mul)
    return a * b;
  else if constexpr (op == Op::Div)
    return a / b;
  else if constexpr (op == Op::Rcp)
    return 1 / a;
  else if constexpr (sizeof(V) == 8) {
    if constexpr (op == Op::Sqrt)
      return __builtin_sqrt(a);
    else if constexpr (op == Op::Rsqrt)
      return 1 / __builtin_sqrt(a);
    else
      return a;
  } else {
    if constexpr (op == Op::Sqrt)
      return __builtin_sqrtf(a);
    else if constexpr (op == Op::Rsqrt)
      return static_cast<float>(1 / __builtin_sqrt(static_cast<double>(a)));
    else if constexpr (op == Op::Exp2)
      return exp2f(a);
    else if constexpr (op == Op::Log2)
      return log2f(a);
    else if constexpr (op == Op::Sin)
      return sinf(a);
    else if constexpr (op == Op::Cos)
      return cosf(a);
    else if constexpr (op == Op::Tanh)
      return tanhf(a);
    else
      return a;
  }
}

// Of the bits of two elements: nans lose unless the operation says that they win; -0 is less than +0.
template <Op op, typename E> inline typename E::Bits minMax(typename E::Bits a, typename E::Bits b) {
  using Bits = typename E::Bits;
  using Signed = std::make_signed_t<Bits>;
  constexpr bool isMin = op == Op::Min || op == Op::MinNan || op == Op::Min3 || op == Op::Min3Nan ||
                         op == Op::MinXorsign || op == Op::MinNanXorsign;
  constexpr bool nanWins = op == Op::MinNan || op == Op::MaxNan || op == Op::Min3Nan || op == Op::Max3Nan ||
                           op == Op::MinNanXorsign || op == Op::MaxNanXorsign;
  constexpr bool isXorsign = op >= Op::MinXorsign && op <= Op::MaxNanXorsign;
  constexpr Bits signBit = static_cast<Bits>(Bits(1) << (sizeof(Bits) * 8 - 1));
  constexpr Bits magnitude = static_cast<Bits>(~signBit);
  Bits sign = static_cast<Bits>((a ^ b) & signBit);
  if (isXorsign) {
    a &= magnitude;
    b &= magnitude;
  }
  bool aIsNan = (a & magnitude) > E::infinity, bIsNan = (b & magnitude) > E::infinity;
  // In this order integers compare as the floats do.
  Signed x = static_cast<Signed>(a & signBit ? a ^ magnitude : a);
  Signed y = static_cast<Signed>(b & signBit ? b ^ magnitude : b);
  Bits result = (isMin ? x < y : x > y) ? a : b;
  Bits withNan = nanWins || (aIsNan && bIsNan) ? E::nan : aIsNan ? b : a;
  result = aIsNan || bIsNan ? withNan : result;
  return isXorsign && !(aIsNan || bIsNan) ? static_cast<Bits>(result | sign) : result;
}

template <Op op, typename E> inline typename E::Bits ofBits(typename E::Bits a, typename E::Bits b) {
  using Bits = typename E::Bits;
  constexpr Bits signBit = static_cast<Bits>(Bits(1) << (sizeof(Bits) * 8 - 1));
  if constexpr (op == Op::Abs)
    return static_cast<Bits>(a & ~signBit);
  else if constexpr (op == Op::Neg)
    return static_cast<Bits>(a ^ signBit);
  else
    return static_cast<Bits>((b & ~signBit) | (a & signBit));
}

template <Op op, typename E, bool flushes, bool saturates, bool relu>
inline typename E::Bits element(typename E::Bits a, typename E::Bits b, typename E::Bits c) {
  using Bits = typename E::Bits;
  using V = typename E::Value;
  if constexpr (flushes) {
    a = static_cast<Bits>(E::flush(a));
    b = static_cast<Bits>(E::flush(b));
    c = static_cast<Bits>(E::flush(c));
  }
  Bits result;
  if constexpr (isOfBits(op)) {
    result = ofBits<op, E>(a, b);
  } else if constexpr (isMinMax(op)) {
    result = minMax<op, E>(a, b);
    if constexpr (op >= Op::Min3 && op <= Op::Max3Nan)
      result = minMax<op, E>(result, c);
  } else if constexpr (op == Op::Fma && sizeof(Bits) == 2) {
    double product = static_cast<double>(E::get(a)) * static_cast<double>(E::get(b));
    result = static_cast<Bits>(E::put(oddSingle(roundToOdd(product, static_cast<double>(E::get(c))))));
  } else if constexpr (op == Op::Fma) {
    result = static_cast<Bits>(E::put(fused<E>(E::get(a), E::get(b), E::get(c))));
  } else {
    result = static_cast<Bits>(E::put(compute<op, V>(E::get(a), E::get(b))));
  }
  constexpr Bits signBit = static_cast<Bits>(Bits(1) << (sizeof(Bits) * 8 - 1));
  constexpr Bits magnitude = static_cast<Bits>(~signBit);
  if constexpr (saturates) {
    bool isNan = (result & magnitude) > E::infinity;
    result = isNan || result & signBit ? 0 : result > E::one ? E::one : result;
  }
  if constexpr (relu) {
    bool isNan = (result & magnitude) > E::infinity;
    result = isNan ? E::nan : result & signBit ? 0 : result;
  }
  if constexpr (flushes)
    result = static_cast<Bits>(E::flush(result));
  return result;
}

template <Op op, typename E, unsigned count, bool flushes, bool saturates, bool relu>
void handle(char *r, const Instruction &i, uint32_t mask) {
  using Bits = typename E::Bits;
  using S = std::conditional_t<sizeof(Bits) * count == 8, uint64_t, uint32_t>;
  constexpr unsigned width = sizeof(Bits) * 8;
  const S *a = lanesAt<S>(r, i.a);
  const S *b = lanesAt<S>(r, i.b == noSlot ? i.a : i.b);
  const S *c = lanesAt<S>(r, i.c == noSlot ? i.a : i.c);
  writeLanes<S>(r, i.d, mask, [=](unsigned lane) {
    S result = element<op, E, flushes, saturates, relu>(static_cast<Bits>(a[lane]), static_cast<Bits>(b[lane]),
                                                        static_cast<Bits>(c[lane]));
    if constexpr (count == 2)
      result |= static_cast<S>(element<op, E, flushes, saturates, relu>(static_cast<Bits>(a[lane] >> width),
                                                                        static_cast<Bits>(b[lane] >> width),
                                                                        static_cast<Bits>(c[lane] >> width)))
                << width;
    return result;
  });
}

template <Op op, typename E, unsigned count> LaneHandler byMode(const FloatMode &mode) {
  constexpr bool canSaturate = op <= Op::Fma && sizeof(typename E::Bits) < 8;
  constexpr bool canRelu = op == Op::Fma && sizeof(typename E::Bits) == 2;
  constexpr bool canFlush = sizeof(typename E::Bits) < 8;
  if (mode.relu) {
    if constexpr (canRelu)
      return mode.flushes ? handle<op, E, count, true, false, true> : handle<op, E, count, false, false, true>;
    return nullptr;
  }
  if (mode.saturates) {
    if constexpr (canSaturate)
      return mode.flushes ? handle<op, E, count, true, true, false> : handle<op, E, count, false, true, false>;
    return nullptr;
  }
  if (mode.flushes) {
    if constexpr (canFlush)
      return handle<op, E, count, true, false, false>;
    return nullptr;
  }
  return handle<op, E, count, false, false, false>;
}

template <Op op> LaneHandler byType(Type type, const FloatMode &mode) {
  switch (type) {
  case Type::F16:
    return byMode<op, Half, 1>(mode);
  case Type::BF16:
    return byMode<op, Brain, 1>(mode);
  case Type::F16x2:
    return byMode<op, Half, 2>(mode);
  case Type::BF16x2:
    return byMode<op, Brain, 2>(mode);
  case Type::F32:
    return byMode<op, Single, 1>(mode);
  case Type::F32x2:
    return byMode<op, Single, 2>(mode);
  case Type::F64:
    return byMode<op, Double, 1>(mode);
  default:
    return nullptr;
  }
}

template <Compare compare, typename V> inline bool holds(V x, V y) {
  bool isUnordered = x != x || y != y;
  switch (compare) {
  case Compare::Eq:
    return x == y;
  case Compare::Ne:
    return x != y && !isUnordered;
  case Compare::Lt:
    return x < y;
  case Compare::Le:
    return x <= y;
  case Compare::Gt:
    return x > y;
  case Compare::Ge:
    return x >= y;
  case Compare::Equ:
    return isUnordered || x == y;
  case Compare::Neu:
    return x != y;
  case Compare::Ltu:
    return !(x >= y);
  case Compare::Leu:
    return !(x > y);
  case Compare::Gtu:
    return !(x <= y);
  case Compare::Geu:
    return !(x < y);
  case Compare::Num:
    return !isUnordered;
  default:
    return isUnordered;
  }
}

template <Compare compare, typename E, bool flushes> void compareLanes(char *r, const Instruction &i, uint32_t mask) {
  using Bits = typename E::Bits;
  using S = typename Lane<Bits>::Storage;
  const S *a = lanesAt<S>(r, i.a);
  const S *b = lanesAt<S>(r, i.b);
  combinePredicate(r, i, mask, collectLanes([=](unsigned lane) {
                     Bits x = static_cast<Bits>(a[lane]), y = static_cast<Bits>(b[lane]);
                     if (flushes) {
                       x = static_cast<Bits>(E::flush(x));
                       y = static_cast<Bits>(E::flush(y));
                     }
                     return holds<compare>(E::get(x), E::get(y));
                   }));
}

// Two comparisons: d is that of the low halves, e that of the high ones.
template <Compare compare, typename E, bool flushes> void comparePairs(char *r, const Instruction &i, uint32_t mask) {
  const uint32_t *a = lanesAt<uint32_t>(r, i.a);
  const uint32_t *b = lanesAt<uint32_t>(r, i.b);
  uint32_t results[2];
  for (unsigned half = 0; half < 2; ++half)
    results[half] = collectLanes([=](unsigned lane) {
      uint32_t x = a[lane] >> (16 * half) & 0xffff, y = b[lane] >> (16 * half) & 0xffff;
      if (flushes) {
        x = E::flush(x);
        y = E::flush(y);
      }
      return holds<compare>(E::get(x), E::get(y));
    });
  Instruction low = i, high = i;
  low.e = high.e = noSlot;
  high.d = i.e;
  combinePredicate(r, low, mask, results[0]);
  if (i.e != noSlot)
    combinePredicate(r, high, mask, results[1]);
}

template <Compare compare> LaneHandler compareByType(Type type, bool flushes) {
  switch (type) {
  case Type::F16:
    return flushes ? compareLanes<compare, Half, true> : compareLanes<compare, Half, false>;
  case Type::BF16:
    return compareLanes<compare, Brain, false>;
  case Type::F16x2:
    return flushes ? comparePairs<compare, Half, true> : comparePairs<compare, Half, false>;
  case Type::BF16x2:
    return comparePairs<compare, Brain, false>;
  case Type::F32:
    return flushes ? compareLanes<compare, Single, true> : compareLanes<compare, Single, false>;
  case Type::F64:
    return compareLanes<compare, Double, false>;
  default:
    return nullptr;
  }
}

} // namespace

#define QCC_PTXEMU_CASE(kind, name)                                                                                    \
  case kind::name:                                                                                                     \
    return byType<kind::name>(type, mode);

LaneHandler floatHandler(FloatOp op, Type type, const FloatMode &mode) {
  if (mode.rounding != Rounding::Nearest)
    return nullptr;
  switch (op) {
    QCC_PTXEMU_CASE(FloatOp, Add)
    QCC_PTXEMU_CASE(FloatOp, Sub)
    QCC_PTXEMU_CASE(FloatOp, Mul)
    QCC_PTXEMU_CASE(FloatOp, Fma)
    QCC_PTXEMU_CASE(FloatOp, Div)
    QCC_PTXEMU_CASE(FloatOp, Rcp)
    QCC_PTXEMU_CASE(FloatOp, Sqrt)
    QCC_PTXEMU_CASE(FloatOp, Rsqrt)
    QCC_PTXEMU_CASE(FloatOp, Exp2)
    QCC_PTXEMU_CASE(FloatOp, Log2)
    QCC_PTXEMU_CASE(FloatOp, Sin)
    QCC_PTXEMU_CASE(FloatOp, Cos)
    QCC_PTXEMU_CASE(FloatOp, Tanh)
    QCC_PTXEMU_CASE(FloatOp, Min)
    QCC_PTXEMU_CASE(FloatOp, Max)
    QCC_PTXEMU_CASE(FloatOp, MinNan)
    QCC_PTXEMU_CASE(FloatOp, MaxNan)
    QCC_PTXEMU_CASE(FloatOp, Min3)
    QCC_PTXEMU_CASE(FloatOp, Max3)
    QCC_PTXEMU_CASE(FloatOp, Min3Nan)
    QCC_PTXEMU_CASE(FloatOp, Max3Nan)
    QCC_PTXEMU_CASE(FloatOp, MinXorsign)
    QCC_PTXEMU_CASE(FloatOp, MaxXorsign)
    QCC_PTXEMU_CASE(FloatOp, MinNanXorsign)
    QCC_PTXEMU_CASE(FloatOp, MaxNanXorsign)
    QCC_PTXEMU_CASE(FloatOp, Abs)
    QCC_PTXEMU_CASE(FloatOp, Neg)
    QCC_PTXEMU_CASE(FloatOp, CopySign)
  }
  return nullptr;
}
#undef QCC_PTXEMU_CASE

#define QCC_PTXEMU_CASE(name)                                                                                          \
  case Compare::name:                                                                                                  \
    return compareByType<Compare::name>(type, flushes);

LaneHandler compareFloatsHandler(Compare compare, Type type, bool flushes) {
  switch (compare) {
    QCC_PTXEMU_CASE(Eq)
    QCC_PTXEMU_CASE(Ne)
    QCC_PTXEMU_CASE(Lt)
    QCC_PTXEMU_CASE(Le)
    QCC_PTXEMU_CASE(Gt)
    QCC_PTXEMU_CASE(Ge)
    QCC_PTXEMU_CASE(Equ)
    QCC_PTXEMU_CASE(Neu)
    QCC_PTXEMU_CASE(Ltu)
    QCC_PTXEMU_CASE(Leu)
    QCC_PTXEMU_CASE(Gtu)
    QCC_PTXEMU_CASE(Geu)
    QCC_PTXEMU_CASE(Num)
    QCC_PTXEMU_CASE(Nan)
  }
  return nullptr;
}
#undef QCC_PTXEMU_CASE

} // namespace qcc::ptxemu::QCC_PTXEMU_LANES
