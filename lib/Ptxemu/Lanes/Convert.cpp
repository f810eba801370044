#include "Lanes/Element.h"

#include <limits>

namespace qcc::ptxemu::QCC_PTXEMU_LANES {
namespace {

// --- between integers

template <typename D, typename S, bool saturates> void integers(char *r, const Instruction &i, uint32_t mask) {
  mapOne<D, S>(r, i, mask, [](S value) {
    if constexpr (saturates) {
      __int128 wide = value, least = std::numeric_limits<D>::min(), most = std::numeric_limits<D>::max();
      return static_cast<D>(wide < least ? least : wide > most ? most : wide);
    } else {
      return static_cast<D>(value);
    }
  });
}

template <typename D, bool saturates> LaneHandler integersFrom(Type from) {
  switch (from) {
  case Type::S8:
    return integers<D, int8_t, saturates>;
  case Type::U8:
    return integers<D, uint8_t, saturates>;
  case Type::S16:
    return integers<D, int16_t, saturates>;
  case Type::U16:
    return integers<D, uint16_t, saturates>;
  case Type::S32:
    return integers<D, int32_t, saturates>;
  case Type::U32:
    return integers<D, uint32_t, saturates>;
  case Type::S64:
    return integers<D, int64_t, saturates>;
  case Type::U64:
    return integers<D, uint64_t, saturates>;
  default:
    return nullptr;
  }
}

template <typename D> LaneHandler integersTo(Type from, bool saturates) {
  return saturates ? integersFrom<D, true>(from) : integersFrom<D, false>(from);
}

// --- from floats to integers

template <Rounding rounding, typename V> inline V integral(V value) {
  if constexpr (sizeof(V) == 8)
    return rounding == Rounding::Nearest ? __builtin_rint(value)
           : rounding == Rounding::Zero  ? __builtin_trunc(value)
           : rounding == Rounding::Down  ? __builtin_floor(value)
                                         : __builtin_ceil(value);
  else
    return rounding == Rounding::Nearest ? __builtin_rintf(value)
           : rounding == Rounding::Zero  ? __builtin_truncf(value)
           : rounding == Rounding::Down  ? __builtin_floorf(value)
                                         : __builtin_ceilf(value);
}

template <typename D, typename E, Rounding rounding> void toInteger(char *r, const Instruction &i, uint32_t mask) {
  using Bits = typename E::Bits;
  using V = typename E::Value;
  bool flushes = i.immediate & 1;
  mapOne<D, Bits>(r, i, mask, [flushes](Bits bits) {
    V value = integral<rounding>(E::get(flushes ? static_cast<Bits>(E::flush(bits)) : bits));
    // The largest integer may not be a float, twice its half is.
    constexpr V least = static_cast<V>(std::numeric_limits<D>::min());
    constexpr V beyond = static_cast<V>(std::numeric_limits<D>::max() / 2 + 1) * 2;
    bool inRange = value >= least && value < beyond;
    D converted = static_cast<D>(inRange ? value : 0);
    D limit = value < least ? std::numeric_limits<D>::min() : std::numeric_limits<D>::max();
    return inRange || value != value ? converted : limit;
  });
}

template <typename D, typename E> LaneHandler toIntegerBy(Rounding rounding) {
  switch (rounding) {
  case Rounding::Nearest:
    return toInteger<D, E, Rounding::Nearest>;
  case Rounding::Zero:
    return toInteger<D, E, Rounding::Zero>;
  case Rounding::Down:
    return toInteger<D, E, Rounding::Down>;
  case Rounding::Up:
    return toInteger<D, E, Rounding::Up>;
  default:
    return nullptr;
  }
}

template <typename E> LaneHandler toIntegerOf(Type to, Rounding rounding) {
  switch (to) {
  case Type::S8:
    return toIntegerBy<int8_t, E>(rounding);
  case Type::U8:
    return toIntegerBy<uint8_t, E>(rounding);
  case Type::S16:
    return toIntegerBy<int16_t, E>(rounding);
  case Type::U16:
    return toIntegerBy<uint16_t, E>(rounding);
  case Type::S32:
    return toIntegerBy<int32_t, E>(rounding);
  case Type::U32:
    return toIntegerBy<uint32_t, E>(rounding);
  case Type::S64:
    return toIntegerBy<int64_t, E>(rounding);
  case Type::U64:
    return toIntegerBy<uint64_t, E>(rounding);
  default:
    return nullptr;
  }
}

// --- from integers to floats, to nearest

template <typename V, typename S> void fromInteger(char *r, const Instruction &i, uint32_t mask) {
  mapOne<V, S>(r, i, mask, [](S value) { return static_cast<V>(value); });
}

template <typename V> LaneHandler fromIntegerOf(Type from) {
  switch (from) {
  case Type::S8:
    return fromInteger<V, int8_t>;
  case Type::U8:
    return fromInteger<V, uint8_t>;
  case Type::S16:
    return fromInteger<V, int16_t>;
  case Type::U16:
    return fromInteger<V, uint16_t>;
  case Type::S32:
    return fromInteger<V, int32_t>;
  case Type::U32:
    return fromInteger<V, uint32_t>;
  case Type::S64:
    return fromInteger<V, int64_t>;
  case Type::U64:
    return fromInteger<V, uint64_t>;
  default:
    return nullptr;
  }
}

// --- between floats, to nearest

template <typename D, typename E, bool flushes, bool saturates>
void floats(char *r, const Instruction &i, uint32_t mask) {
  using To = typename D::Bits;
  using From = typename E::Bits;
  mapOne<To, From>(r, i, mask, [](From bits) {
    From from = flushes ? static_cast<From>(E::flush(bits)) : bits;
    To to = static_cast<To>(D::put(static_cast<typename D::Value>(E::get(from))));
    if constexpr (saturates) {
      auto value = D::get(to);
      to = value >= 1 ? D::one : value > 0 ? to : 0;
    }
    return flushes ? static_cast<To>(D::flush(to)) : to;
  });
}

template <typename D, typename E> LaneHandler floatsBy(const ConvertMode &mode) {
  if (mode.saturates)
    return mode.flushes ? floats<D, E, true, true> : floats<D, E, false, true>;
  return mode.flushes ? floats<D, E, true, false> : floats<D, E, false, false>;
}

// To an integral value of the same type.
template <typename E, Rounding rounding> void integralFloats(char *r, const Instruction &i, uint32_t mask) {
  using Bits = typename E::Bits;
  bool flushes = i.immediate & 1, saturates = i.immediate & 2;
  mapOne<Bits, Bits>(r, i, mask, [=](Bits bits) {
    auto value = integral<rounding>(E::get(flushes ? static_cast<Bits>(E::flush(bits)) : bits));
    if (saturates)
      value = value >= 1 ? 1 : value > 0 ? value : 0;
    return static_cast<Bits>(E::put(value));
  });
}

template <typename E> LaneHandler integralFloatsBy(Rounding rounding) {
  switch (rounding) {
  case Rounding::Nearest:
    return integralFloats<E, Rounding::Nearest>;
  case Rounding::Zero:
    return integralFloats<E, Rounding::Zero>;
  case Rounding::Down:
    return integralFloats<E, Rounding::Down>;
  case Rounding::Up:
    return integralFloats<E, Rounding::Up>;
  default:
    return nullptr;
  }
}

// Two singles to a pair: a is the high half.
template <typename E, bool relu> void pair(char *r, const Instruction &i, uint32_t mask) {
  mapTwo<uint32_t, uint32_t>(r, i, mask, [](uint32_t a, uint32_t b) {
    auto one = [](uint32_t bits) {
      uint32_t result = E::put(bitsAs<float>(bits));
      bool isNan = (result & 0x7fff) > E::infinity;
      return relu && !isNan && result & 0x8000 ? 0 : result;
    };
    return one(a) << 16 | one(b);
  });
}

LaneHandler betweenFloats(Type to, Type from, const ConvertMode &mode) {
  if (to == Type::F32 && from == Type::F16)
    return floatsBy<Single, Half>(mode);
  if (to == Type::F32 && from == Type::BF16)
    return floatsBy<Single, Brain>(mode);
  if (to == Type::F32 && from == Type::F32)
    return floatsBy<Single, Single>(mode);
  if (to == Type::F64 && from == Type::F32)
    return floatsBy<Double, Single>(mode);
  if (to == Type::F64 && from == Type::F64)
    return floatsBy<Double, Double>(mode);
  if (to == Type::F32 && from == Type::F64)
    return floatsBy<Single, Double>(mode);
  if (to == Type::F16 && from == Type::F32)
    return floatsBy<Half, Single>(mode);
  if (to == Type::BF16 && from == Type::F32)
    return floatsBy<Brain, Single>(mode);
  if (to == Type::F16 && from == Type::F16)
    return floatsBy<Half, Half>(mode);
  if (to == Type::BF16 && from == Type::BF16)
    return floatsBy<Brain, Brain>(mode);
  return nullptr;
}

bool isInteger(Type type) { return type >= Type::U8 && type <= Type::S64 && type != Type::S4; }

} // namespace

LaneHandler convertHandler(Type to, Type from, const ConvertMode &mode) {
  if (mode.saturatesFinite)
    return nullptr;
  if (isInteger(to) && isInteger(from)) {
    switch (to) {
    case Type::S8:
      return integersTo<int8_t>(from, mode.saturates);
    case Type::U8:
      return integersTo<uint8_t>(from, mode.saturates);
    case Type::S16:
      return integersTo<int16_t>(from, mode.saturates);
    case Type::U16:
      return integersTo<uint16_t>(from, mode.saturates);
    case Type::S32:
      return integersTo<int32_t>(from, mode.saturates);
    case Type::U32:
      return integersTo<uint32_t>(from, mode.saturates);
    case Type::S64:
      return integersTo<int64_t>(from, mode.saturates);
    default:
      return integersTo<uint64_t>(from, mode.saturates);
    }
  }
  if (isInteger(to)) // every conversion to an integer saturates
    return from == Type::F16    ? toIntegerOf<Half>(to, mode.rounding)
           : from == Type::BF16 ? toIntegerOf<Brain>(to, mode.rounding)
           : from == Type::F32  ? toIntegerOf<Single>(to, mode.rounding)
           : from == Type::F64  ? toIntegerOf<Double>(to, mode.rounding)
                                : nullptr;
  if (mode.toIntegral && to == from && !mode.relu)
    return from == Type::F16    ? integralFloatsBy<Half>(mode.rounding)
           : from == Type::BF16 ? integralFloatsBy<Brain>(mode.rounding)
           : from == Type::F32  ? integralFloatsBy<Single>(mode.rounding)
           : from == Type::F64  ? integralFloatsBy<Double>(mode.rounding)
                                : nullptr;
  if (mode.rounding != Rounding::Nearest || mode.toIntegral)
    return nullptr;
  if (isInteger(from) && !mode.saturates)
    return to == Type::F32 ? fromIntegerOf<float>(from) : to == Type::F64 ? fromIntegerOf<double>(from) : nullptr;
  if (from == Type::F32 && to == Type::F16x2 && !mode.flushes && !mode.saturates)
    return mode.relu ? pair<Half, true> : pair<Half, false>;
  if (from == Type::F32 && to == Type::BF16x2 && !mode.flushes && !mode.saturates)
    return mode.relu ? pair<Brain, true> : pair<Brain, false>;
  return mode.relu ? nullptr : betweenFloats(to, from, mode);
}

} // namespace qcc::ptxemu::QCC_PTXEMU_LANES
