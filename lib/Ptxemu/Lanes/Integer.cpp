#include "Lanes/Loop.h"

namespace qcc::ptxemu::QCC_PTXEMU_LANES {
namespace {

template <typename T> struct Twice;
template <> struct Twice<int16_t> {
  using type = int32_t;
};
template <> struct Twice<uint16_t> {
  using type = uint32_t;
};
template <> struct Twice<int32_t> {
  using type = int64_t;
};
template <> struct Twice<uint32_t> {
  using type = uint64_t;
};
template <> struct Twice<int64_t> {
  using type = __int128;
};
template <> struct Twice<uint64_t> {
  using type = unsigned __int128;
};
template <typename T> using Unsigned = std::make_unsigned_t<T>;
template <typename T> constexpr unsigned width = sizeof(T) * 8;

// Arithmetic wraps around, which only unsigned types do; those of 16 bits would be promoted to int.
template <typename T> using Wrapping = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <typename T> inline T mulHigh(T a, T b) {
  using W = typename Twice<T>::type;
  return static_cast<T>(static_cast<W>(a) * static_cast<W>(b) >> width<T>);
}

template <typename T> inline int64_t low24(T a) {
  if constexpr (std::is_signed_v<T>)
    return static_cast<int32_t>(static_cast<uint32_t>(a) << 8) >> 8;
  else
    return static_cast<int64_t>(a & 0xffffff);
}

template <typename T> inline T clampSigned(int64_t value) {
  return static_cast<T>(value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value);
}

// Division traps on the host where it has a value here.
template <typename T> inline T divide(T a, T b) {
  if (b == 0)
    return static_cast<T>(-1);
  if constexpr (std::is_signed_v<T>)
    if (b == -1)
      return static_cast<T>(-static_cast<Wrapping<T>>(a));
  return static_cast<T>(a / b);
}
template <typename T> inline T remainder(T a, T b) {
  if (b == 0)
    return a;
  if constexpr (std::is_signed_v<T>)
    if (b == -1)
      return 0;
  return static_cast<T>(a % b);
}

template <typename T> inline T extractBits(T a, uint32_t position, uint32_t length) {
  position &= 255;
  length &= 255;
  using U = Unsigned<T>;
  U bits = position < width<T> ? static_cast<U>(static_cast<U>(a) >> position) : 0;
  bool isNegative = false;
  if (std::is_signed_v<T> && length) {
    uint32_t top = position + length - 1 < width<T> - 1 ? position + length - 1 : width<T> - 1;
    isNegative = static_cast<U>(a) >> top & 1;
  }
  U mask = length >= width<T> ? ~U(0) : static_cast<U>((U(1) << length) - 1);
  // Above the register's own bits stands its sign.
  U known = position == 0 ? ~U(0) : position < width<T> ? static_cast<U>(~U(0) >> position) : 0;
  mask &= known;
  return static_cast<T>((bits & mask) | (isNegative ? static_cast<U>(~mask) : 0));
}

template <typename T> inline T insertBits(T a, T b, uint32_t position, uint32_t length) {
  position &= 255;
  length &= 255;
  if (position >= width<T> || length == 0)
    return b;
  T mask = length >= width<T> ? ~T(0) : (T(1) << length) - 1;
  mask <<= position;
  return (b & ~mask) | (a << position & mask);
}

template <typename T> inline uint32_t findBit(T a) {
  Unsigned<T> bits = static_cast<Unsigned<T>>(a);
  if (std::is_signed_v<T> && a < 0)
    bits = ~bits;
  if (bits == 0)
    return ~0u;
  return sizeof(T) == 8 ? 63 - static_cast<uint32_t>(__builtin_clzll(bits))
                        : 31 - static_cast<uint32_t>(__builtin_clz(static_cast<uint32_t>(bits)));
}

// By exchanging ever larger groups of bits: not every compiler has a built-in function for it.
inline uint64_t reverse(uint64_t bits) {
  bits = (bits & 0x5555555555555555) << 1 | (bits >> 1 & 0x5555555555555555);
  bits = (bits & 0x3333333333333333) << 2 | (bits >> 2 & 0x3333333333333333);
  bits = (bits & 0x0f0f0f0f0f0f0f0f) << 4 | (bits >> 4 & 0x0f0f0f0f0f0f0f0f);
  return __builtin_bswap64(bits);
}

inline uint32_t logicTable(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
  uint32_t result = 0;
  for (unsigned row = 0; row < 8; ++row)
    if (table >> row & 1)
      result |= (row & 4 ? a : ~a) & (row & 2 ? b : ~b) & (row & 1 ? c : ~c);
  return result;
}

template <IntegerOp op, typename T> void handle(char *r, const Instruction &i, uint32_t mask) {
  using W = Wrapping<T>;
  using O = IntegerOp;
  if constexpr (op == O::Move)
    mapOne<T, T>(r, i, mask, [](T a) { return a; });
  else if constexpr (op == O::Add)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return static_cast<T>(W(a) + W(b)); });
  else if constexpr (op == O::Sub)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return static_cast<T>(W(a) - W(b)); });
  else if constexpr (op == O::Mul)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return static_cast<T>(W(a) * W(b)); });
  else if constexpr (op == O::MulHigh)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return mulHigh(a, b); });
  else if constexpr (op == O::Mad)
    mapThree<T, T, T>(r, i, mask, [](T a, T b, T c) { return static_cast<T>(W(a) * W(b) + W(c)); });
  else if constexpr (op == O::MadHigh)
    mapThree<T, T, T>(r, i, mask, [](T a, T b, T c) { return static_cast<T>(W(mulHigh(a, b)) + W(c)); });
  else if constexpr (op == O::Sad)
    mapThree<T, T, T>(r, i, mask,
                      [](T a, T b, T c) { return static_cast<T>(W(c) + (a < b ? W(b) - W(a) : W(a) - W(b))); });
  else if constexpr (op == O::Div)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return divide(a, b); });
  else if constexpr (op == O::Rem)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return remainder(a, b); });
  else if constexpr (op == O::Abs)
    mapOne<T, T>(r, i, mask, [](T a) { return static_cast<T>(a < 0 ? -W(a) : W(a)); });
  else if constexpr (op == O::Neg)
    mapOne<T, T>(r, i, mask, [](T a) { return static_cast<T>(-W(a)); });
  else if constexpr (op == O::Min)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return a < b ? a : b; });
  else if constexpr (op == O::Max)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return a > b ? a : b; });
  else if constexpr (op == O::MinRelu)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return a < b ? (a > 0 ? a : T(0)) : (b > 0 ? b : T(0)); });
  else if constexpr (op == O::MaxRelu)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return a > b ? (a > 0 ? a : T(0)) : (b > 0 ? b : T(0)); });
  else if constexpr (op == O::And)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return static_cast<T>(a & b); });
  else if constexpr (op == O::Or)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return static_cast<T>(a | b); });
  else if constexpr (op == O::Xor)
    mapTwo<T, T>(r, i, mask, [](T a, T b) { return static_cast<T>(a ^ b); });
  else if constexpr (op == O::Not)
    mapOne<T, T>(r, i, mask, [](T a) { return static_cast<T>(~a); });
  else if constexpr (op == O::LogicalNot)
    mapOne<T, T>(r, i, mask, [](T a) { return static_cast<T>(a == 0); });
  else if constexpr (op == O::CountLeadingZeros)
    mapOne<uint32_t, T>(r, i, mask, [](T a) { return width<T> - 1 - findBit(a); });
  else if constexpr (op == O::CountOnes)
    mapOne<uint32_t, T>(r, i, mask, [](T a) { return static_cast<uint32_t>(__builtin_popcountll(a)); });
  else if constexpr (op == O::Reverse)
    mapOne<T, T>(r, i, mask, [](T a) { return static_cast<T>(reverse(static_cast<uint64_t>(a)) >> (64 - width<T>)); });
  else if constexpr (op == O::FindBit)
    mapOne<uint32_t, T>(r, i, mask, [](T a) { return findBit(a); });
  else if constexpr (op == O::FindBitShift)
    mapOne<uint32_t, T>(r, i, mask, [](T a) {
      uint32_t bit = findBit(a);
      return bit == ~0u ? bit : width<T> - 1 - bit;
    });
}

template <IntegerOp op, typename T> void handleShift(char *r, const Instruction &i, uint32_t mask) {
  const auto *a = lanesAt<T>(r, i.a);
  const uint32_t *b = lanesAt<uint32_t>(r, i.b);
  using L = Lane<T>;
  writeLanes<typename L::Storage>(r, i.d, mask, [=](unsigned lane) {
    T value = L::read(a[lane]);
    uint32_t by = b[lane];
    uint32_t within = by < width<T> ? by : width<T> - 1;
    if constexpr (op == IntegerOp::ShiftLeft)
      return L::write(by < width<T> ? static_cast<T>(Wrapping<T>(value) << within) : T(0));
    else if constexpr (std::is_signed_v<T>)
      return L::write(static_cast<T>(value >> within));
    else
      return L::write(by < width<T> ? static_cast<T>(value >> within) : T(0));
  });
}

template <IntegerOp op, typename T> void handleWide(char *r, const Instruction &i, uint32_t mask) {
  using W = typename Twice<T>::type;
  using U = Unsigned<W>;
  if constexpr (op == IntegerOp::MulWide)
    mapTwo<W, T>(r, i, mask, [](T a, T b) { return static_cast<W>(static_cast<W>(a) * static_cast<W>(b)); });
  else
    mapThree<W, T, W>(r, i, mask, [](T a, T b, W c) {
      return static_cast<W>(static_cast<U>(static_cast<W>(a) * static_cast<W>(b)) + static_cast<U>(c));
    });
}

template <IntegerOp op, typename T> void handleBitField(char *r, const Instruction &i, uint32_t mask) {
  using L = Lane<T>;
  const auto *a = lanesAt<T>(r, i.a);
  const auto *second = lanesAt<T>(r, i.b);
  const uint32_t *b = lanesAt<uint32_t>(r, i.b);
  const uint32_t *c = lanesAt<uint32_t>(r, i.c);
  const uint32_t *f = lanesAt<uint32_t>(r, i.f == noSlot ? i.c : i.f);
  writeLanes<typename L::Storage>(r, i.d, mask, [=](unsigned lane) {
    if constexpr (op == IntegerOp::ExtractBits)
      return L::write(extractBits(L::read(a[lane]), b[lane], c[lane]));
    else
      return L::write(insertBits(L::read(a[lane]), L::read(second[lane]), c[lane], f[lane]));
  });
}

template <IntegerOp op> void handleWord(char *r, const Instruction &i, uint32_t mask) {
  using O = IntegerOp;
  const uint32_t *a = lanesAt<uint32_t>(r, i.a);
  const uint32_t *b = lanesAt<uint32_t>(r, i.b);
  const uint32_t *c = lanesAt<uint32_t>(r, i.c == noSlot ? i.b : i.c);
  if constexpr (op == O::LogicTable) {
    uint32_t table = *lanesAt<uint32_t>(r, i.f);
    writeLanes<uint32_t>(r, i.d, mask, [=](unsigned lane) { return logicTable(a[lane], b[lane], c[lane], table); });
  } else if constexpr (op == O::AddSaturated) {
    mapTwo<int32_t, int32_t>(r, i, mask, [](int64_t x, int64_t y) { return clampSigned<int32_t>(x + y); });
  } else if constexpr (op == O::SubSaturated) {
    mapTwo<int32_t, int32_t>(r, i, mask, [](int64_t x, int64_t y) { return clampSigned<int32_t>(x - y); });
  } else if constexpr (op == O::MadHighSaturated) {
    mapThree<int32_t, int32_t, int32_t>(
        r, i, mask, [](int64_t x, int64_t y, int64_t z) { return clampSigned<int32_t>((x * y >> 32) + z); });
  } else {
    writeLanes<uint32_t>(r, i.d, mask, [=](unsigned lane) {
      uint64_t both = uint64_t(b[lane]) << 32 | a[lane];
      constexpr bool wraps = op == O::FunnelLeftWrap || op == O::FunnelRightWrap;
      uint32_t by = wraps ? c[lane] & 31 : c[lane] < 32 ? c[lane] : 32;
      constexpr bool left = op == O::FunnelLeftWrap || op == O::FunnelLeftClamp;
      return static_cast<uint32_t>(left ? both << by >> 32 : both >> by);
    });
  }
}

template <IntegerOp op, typename T> void handle24(char *r, const Instruction &i, uint32_t mask) {
  mapTwo<T, T>(r, i, mask, [](T a, T b) {
    uint64_t product = static_cast<uint64_t>(low24(a) * low24(b));
    return static_cast<T>(op == IntegerOp::Mul24 ? product : product >> 16);
  });
}

template <IntegerOp op> LaneHandler byType(Type type) {
  switch (type) {
  case Type::S16:
    return handle<op, int16_t>;
  case Type::U16:
  case Type::B16:
    return handle<op, uint16_t>;
  case Type::S32:
    return handle<op, int32_t>;
  case Type::U32:
  case Type::B32:
    return handle<op, uint32_t>;
  case Type::S64:
    return handle<op, int64_t>;
  case Type::U64:
  case Type::B64:
    return handle<op, uint64_t>;
  default:
    return nullptr;
  }
}

template <IntegerOp op> LaneHandler shiftByType(Type type) {
  switch (type) {
  case Type::S16:
    return handleShift<op, int16_t>;
  case Type::U16:
  case Type::B16:
    return handleShift<op, uint16_t>;
  case Type::S32:
    return handleShift<op, int32_t>;
  case Type::U32:
  case Type::B32:
    return handleShift<op, uint32_t>;
  case Type::S64:
    return handleShift<op, int64_t>;
  case Type::U64:
  case Type::B64:
    return handleShift<op, uint64_t>;
  default:
    return nullptr;
  }
}

template <IntegerOp op> LaneHandler wideByType(Type type) {
  switch (type) {
  case Type::S16:
    return handleWide<op, int16_t>;
  case Type::U16:
    return handleWide<op, uint16_t>;
  case Type::S32:
    return handleWide<op, int32_t>;
  case Type::U32:
    return handleWide<op, uint32_t>;
  default:
    return nullptr;
  }
}

// Two 16-bit integers in a register.
template <IntegerOp op, typename T> void handlePair(char *r, const Instruction &i, uint32_t mask) {
  mapTwo<uint32_t, uint32_t>(r, i, mask, [](uint32_t a, uint32_t b) {
    auto one = [](T x, T y) -> uint16_t {
      switch (op) {
      case IntegerOp::Add:
        return static_cast<uint16_t>(x + y);
      case IntegerOp::Sub:
        return static_cast<uint16_t>(x - y);
      case IntegerOp::Min:
        return static_cast<uint16_t>(x < y ? x : y);
      case IntegerOp::Max:
        return static_cast<uint16_t>(x > y ? x : y);
      case IntegerOp::MinRelu:
        return static_cast<uint16_t>((x < y ? x : y) > 0 ? (x < y ? x : y) : 0);
      default:
        return static_cast<uint16_t>((x > y ? x : y) > 0 ? (x > y ? x : y) : 0);
      }
    };
    return one(static_cast<T>(a), static_cast<T>(b)) | uint32_t(one(static_cast<T>(a >> 16), static_cast<T>(b >> 16)))
                                                           << 16;
  });
}

template <IntegerOp op> LaneHandler pairByType(Type type) {
  return type == Type::S16x2 ? handlePair<op, int16_t> : handlePair<op, uint16_t>;
}

LaneHandler pairHandler(IntegerOp op, Type type) {
  switch (op) {
  case IntegerOp::Add:
    return pairByType<IntegerOp::Add>(type);
  case IntegerOp::Sub:
    return pairByType<IntegerOp::Sub>(type);
  case IntegerOp::Min:
    return pairByType<IntegerOp::Min>(type);
  case IntegerOp::Max:
    return pairByType<IntegerOp::Max>(type);
  case IntegerOp::MinRelu:
    return pairByType<IntegerOp::MinRelu>(type);
  case IntegerOp::MaxRelu:
    return pairByType<IntegerOp::MaxRelu>(type);
  default:
    return nullptr;
  }
}

LaneHandler bitFieldHandler(IntegerOp op, Type type) {
  if (op == IntegerOp::InsertBits)
    return bitsOf(type) == 64 ? handleBitField<IntegerOp::InsertBits, uint64_t>
                              : handleBitField<IntegerOp::InsertBits, uint32_t>;
  switch (type) {
  case Type::U32:
    return handleBitField<IntegerOp::ExtractBits, uint32_t>;
  case Type::S32:
    return handleBitField<IntegerOp::ExtractBits, int32_t>;
  case Type::U64:
    return handleBitField<IntegerOp::ExtractBits, uint64_t>;
  case Type::S64:
    return handleBitField<IntegerOp::ExtractBits, int64_t>;
  default:
    return nullptr;
  }
}

template <Compare compare, typename T> void compareLanes(char *r, const Instruction &i, uint32_t mask) {
  const auto *a = lanesAt<T>(r, i.a);
  const auto *b = lanesAt<T>(r, i.b);
  combinePredicate(r, i, mask, collectLanes([=](unsigned lane) {
                     T x = Lane<T>::read(a[lane]), y = Lane<T>::read(b[lane]);
                     switch (compare) {
                     case Compare::Eq:
                       return x == y;
                     case Compare::Ne:
                       return x != y;
                     case Compare::Lt:
                       return x < y;
                     case Compare::Le:
                       return x <= y;
                     case Compare::Gt:
                       return x > y;
                     default:
                       return x >= y;
                     }
                   }));
}

template <Compare compare> LaneHandler compareByType(Type type) {
  switch (type) {
  case Type::S8:
    return compareLanes<compare, int8_t>;
  case Type::U8:
  case Type::B8:
    return compareLanes<compare, uint8_t>;
  case Type::S16:
    return compareLanes<compare, int16_t>;
  case Type::U16:
  case Type::B16:
    return compareLanes<compare, uint16_t>;
  case Type::S32:
    return compareLanes<compare, int32_t>;
  case Type::U32:
  case Type::B32:
    return compareLanes<compare, uint32_t>;
  case Type::S64:
    return compareLanes<compare, int64_t>;
  case Type::U64:
  case Type::B64:
    return compareLanes<compare, uint64_t>;
  default:
    return nullptr;
  }
}

template <typename S> void selectLanes(char *r, const Instruction &i, uint32_t mask) {
  const S *a = lanesAt<S>(r, i.a);
  const S *b = lanesAt<S>(r, i.b);
  uint32_t predicate = *reinterpret_cast<const uint32_t *>(r + i.c);
  writeLanes<S>(r, i.d, mask, [=](unsigned lane) { return predicate >> lane & 1 ? a[lane] : b[lane]; });
}

} // namespace

LaneHandler integerHandler(IntegerOp op, Type type) {
  if (type == Type::S16x2 || type == Type::U16x2)
    return pairHandler(op, type);
#define QCC_PTXEMU_CASE(name)                                                                                          \
  case IntegerOp::name:                                                                                                \
    return byType<IntegerOp::name>(type);
  switch (op) {
    QCC_PTXEMU_CASE(Move)
    QCC_PTXEMU_CASE(Add)
    QCC_PTXEMU_CASE(Sub)
    QCC_PTXEMU_CASE(Mul)
    QCC_PTXEMU_CASE(MulHigh)
    QCC_PTXEMU_CASE(Mad)
    QCC_PTXEMU_CASE(MadHigh)
    QCC_PTXEMU_CASE(Sad)
    QCC_PTXEMU_CASE(Div)
    QCC_PTXEMU_CASE(Rem)
    QCC_PTXEMU_CASE(Abs)
    QCC_PTXEMU_CASE(Neg)
    QCC_PTXEMU_CASE(Min)
    QCC_PTXEMU_CASE(Max)
    QCC_PTXEMU_CASE(MinRelu)
    QCC_PTXEMU_CASE(MaxRelu)
    QCC_PTXEMU_CASE(And)
    QCC_PTXEMU_CASE(Or)
    QCC_PTXEMU_CASE(Xor)
    QCC_PTXEMU_CASE(Not)
    QCC_PTXEMU_CASE(LogicalNot)
    QCC_PTXEMU_CASE(CountLeadingZeros)
    QCC_PTXEMU_CASE(CountOnes)
    QCC_PTXEMU_CASE(Reverse)
    QCC_PTXEMU_CASE(FindBit)
    QCC_PTXEMU_CASE(FindBitShift)
#undef QCC_PTXEMU_CASE
  case IntegerOp::MulWide:
    return wideByType<IntegerOp::MulWide>(type);
  case IntegerOp::MadWide:
    return wideByType<IntegerOp::MadWide>(type);
  case IntegerOp::Mul24:
    return type == Type::S32 ? handle24<IntegerOp::Mul24, int32_t> : handle24<IntegerOp::Mul24, uint32_t>;
  case IntegerOp::Mul24High:
    return type == Type::S32 ? handle24<IntegerOp::Mul24High, int32_t> : handle24<IntegerOp::Mul24High, uint32_t>;
  case IntegerOp::ShiftLeft:
    return shiftByType<IntegerOp::ShiftLeft>(type);
  case IntegerOp::ShiftRight:
    return shiftByType<IntegerOp::ShiftRight>(type);
  case IntegerOp::FunnelLeftWrap:
    return handleWord<IntegerOp::FunnelLeftWrap>;
  case IntegerOp::FunnelLeftClamp:
    return handleWord<IntegerOp::FunnelLeftClamp>;
  case IntegerOp::FunnelRightWrap:
    return handleWord<IntegerOp::FunnelRightWrap>;
  case IntegerOp::FunnelRightClamp:
    return handleWord<IntegerOp::FunnelRightClamp>;
  case IntegerOp::LogicTable:
    return handleWord<IntegerOp::LogicTable>;
  case IntegerOp::AddSaturated:
    return handleWord<IntegerOp::AddSaturated>;
  case IntegerOp::SubSaturated:
    return handleWord<IntegerOp::SubSaturated>;
  case IntegerOp::MadHighSaturated:
    return handleWord<IntegerOp::MadHighSaturated>;
  case IntegerOp::ExtractBits:
  case IntegerOp::InsertBits:
    return bitFieldHandler(op, type);
  }
  return nullptr;
}

LaneHandler compareIntegersHandler(Compare compare, Type type) {
  switch (compare) {
  case Compare::Eq:
    return compareByType<Compare::Eq>(type);
  case Compare::Ne:
    return compareByType<Compare::Ne>(type);
  case Compare::Lt:
    return compareByType<Compare::Lt>(type);
  case Compare::Le:
    return compareByType<Compare::Le>(type);
  case Compare::Gt:
    return compareByType<Compare::Gt>(type);
  case Compare::Ge:
    return compareByType<Compare::Ge>(type);
  default:
    return nullptr;
  }
}

LaneHandler selectHandler(Type type) { return bitsOf(type) > 32 ? selectLanes<uint64_t> : selectLanes<uint32_t>; }

} // namespace qcc::ptxemu::QCC_PTXEMU_LANES
