// The loop over the lanes of a register. For the sources that are compiled for several vector extensions: everything
// here has internal linkage or is in their namespace, so that no copy for one of them serves another.
#ifndef QCC_LIB_PTXEMU_LANES_LOOP_H
#define QCC_LIB_PTXEMU_LANES_LOOP_H

#include "Lanes/Lanes.h"

#include <cstring>
#include <type_traits>

#ifndef QCC_PTXEMU_LANES
#define QCC_PTXEMU_LANES baseline
#endif

// Lanes do not depend on each other, whatever registers share.
#ifdef __clang__
#define QCC_PTXEMU_VECTORIZE _Pragma("clang loop vectorize(assume_safety) unroll(disable)")
#else
#define QCC_PTXEMU_VECTORIZE _Pragma("GCC ivdep")
#endif

namespace qcc::ptxemu::QCC_PTXEMU_LANES {

template <typename To, typename From> inline __attribute__((always_inline)) To bitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}

// How a lane of type T lies in a register.
template <typename T> struct Lane {
  using Storage = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  static inline __attribute__((always_inline)) T read(Storage bits) {
    if constexpr (std::is_floating_point_v<T>)
      return bitsAs<T>(bits);
    else
      return static_cast<T>(bits);
  }
  static inline __attribute__((always_inline)) Storage write(T value) {
    if constexpr (std::is_floating_point_v<T>)
      return bitsAs<Storage>(value);
    else
      return static_cast<Storage>(value); // a signed value fills its register
  }
};

template <typename T> inline const typename Lane<T>::Storage *lanesAt(const char *registers, uint32_t slot) {
  return reinterpret_cast<const typename Lane<T>::Storage *>(registers + slot);
}

// Writes f(lane) to the lanes of the mask; S is the register's storage.
template <typename S, typename F>
inline __attribute__((always_inline)) void writeLanes(char *registers, uint32_t slot, uint32_t mask, F f) {
  S *to = reinterpret_cast<S *>(registers + slot);
  if (mask == ~0u) {
    QCC_PTXEMU_VECTORIZE
    for (unsigned lane = 0; lane < 32; ++lane)
      to[lane] = f(lane);
    return;
  }
  S values[32];
  QCC_PTXEMU_VECTORIZE
  for (unsigned lane = 0; lane < 32; ++lane)
    values[lane] = f(lane);
  QCC_PTXEMU_VECTORIZE
  for (unsigned lane = 0; lane < 32; ++lane) {
    S keep = (S(mask) >> lane & 1) - 1;
    to[lane] = (to[lane] & keep) | (values[lane] & ~keep);
  }
}

// A predicate from f(lane).
template <typename F> inline __attribute__((always_inline)) uint32_t collectLanes(F f) {
  alignas(32) uint8_t flags[32];
  QCC_PTXEMU_VECTORIZE
  for (unsigned lane = 0; lane < 32; ++lane)
    flags[lane] = static_cast<uint8_t>(f(lane));
  uint32_t result = 0;
  for (unsigned part = 0; part < 4; ++part) {
    uint64_t eight;
    std::memcpy(&eight, flags + 8 * part, sizeof eight);
    // Moves the lowest bit of byte n to bit 56 + n.
    result |= static_cast<uint32_t>(eight * 0x0102040810204080u >> 56) << (8 * part);
  }
  return result;
}

inline void writePredicate(char *registers, uint32_t slot, uint32_t mask, uint32_t value) {
  uint32_t *to = reinterpret_cast<uint32_t *>(registers + slot);
  *to = (*to & ~mask) | (value & mask);
}

// A function of up to three lanes of the same type.
template <typename R, typename T, typename F>
inline __attribute__((always_inline)) void mapOne(char *registers, const Instruction &i, uint32_t mask, F f) {
  const auto *a = lanesAt<T>(registers, i.a);
  writeLanes<typename Lane<R>::Storage>(registers, i.d, mask,
                                        [=](unsigned lane) { return Lane<R>::write(f(Lane<T>::read(a[lane]))); });
}
template <typename R, typename T, typename F>
inline __attribute__((always_inline)) void mapTwo(char *registers, const Instruction &i, uint32_t mask, F f) {
  const auto *a = lanesAt<T>(registers, i.a);
  const auto *b = lanesAt<T>(registers, i.b);
  writeLanes<typename Lane<R>::Storage>(registers, i.d, mask, [=](unsigned lane) {
    return Lane<R>::write(f(Lane<T>::read(a[lane]), Lane<T>::read(b[lane])));
  });
}
template <typename R, typename T, typename C, typename F>
inline __attribute__((always_inline)) void mapThree(char *registers, const Instruction &i, uint32_t mask, F f) {
  const auto *a = lanesAt<T>(registers, i.a);
  const auto *b = lanesAt<T>(registers, i.b);
  const auto *c = lanesAt<C>(registers, i.c);
  writeLanes<typename Lane<R>::Storage>(registers, i.d, mask, [=](unsigned lane) {
    return Lane<R>::write(f(Lane<T>::read(a[lane]), Lane<T>::read(b[lane]), Lane<C>::read(c[lane])));
  });
}

inline void combinePredicate(char *registers, const Instruction &i, uint32_t mask, uint32_t result) {
  uint32_t inverse = ~result;
  if (Combine combine = static_cast<Combine>(i.immediate & 15); combine != Combine::None) {
    uint32_t with = *reinterpret_cast<const uint32_t *>(registers + i.c);
    if (i.immediate & combineInverts)
      with = ~with;
    result = combine == Combine::And ? result & with : combine == Combine::Or ? result | with : result ^ with;
    inverse = combine == Combine::And ? inverse & with : combine == Combine::Or ? inverse | with : inverse ^ with;
  }
  writePredicate(registers, i.d, mask, result);
  if (i.e != noSlot)
    writePredicate(registers, i.e, mask, inverse);
}

} // namespace qcc::ptxemu::QCC_PTXEMU_LANES

#endif // QCC_LIB_PTXEMU_LANES_LOOP_H
