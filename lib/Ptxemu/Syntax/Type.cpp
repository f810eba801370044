#include "Syntax/Type.h"

namespace qcc::ptxemu {
namespace {

struct Fact {
  std::string_view name;
  Type type;
  unsigned bits;
  Type element;
  unsigned elements;
};

constexpr Fact facts[] = {
    {"pred", Type::Pred, 1, Type::Pred, 1},
    {"b1", Type::B1, 1, Type::B1, 1},
    {"b2", Type::B2, 2, Type::B2, 1},
    {"b4", Type::B4, 4, Type::B4, 1},
    {"b8", Type::B8, 8, Type::B8, 1},
    {"b16", Type::B16, 16, Type::B16, 1},
    {"b32", Type::B32, 32, Type::B32, 1},
    {"b64", Type::B64, 64, Type::B64, 1},
    {"b128", Type::B128, 128, Type::B128, 1},
    {"u4", Type::U4, 4, Type::U4, 1},
    {"u8", Type::U8, 8, Type::U8, 1},
    {"u16", Type::U16, 16, Type::U16, 1},
    {"u32", Type::U32, 32, Type::U32, 1},
    {"u64", Type::U64, 64, Type::U64, 1},
    {"s4", Type::S4, 4, Type::S4, 1},
    {"s8", Type::S8, 8, Type::S8, 1},
    {"s16", Type::S16, 16, Type::S16, 1},
    {"s32", Type::S32, 32, Type::S32, 1},
    {"s64", Type::S64, 64, Type::S64, 1},
    {"f16", Type::F16, 16, Type::F16, 1},
    {"bf16", Type::BF16, 16, Type::BF16, 1},
    {"tf32", Type::TF32, 32, Type::TF32, 1},
    {"f32", Type::F32, 32, Type::F32, 1},
    {"f64", Type::F64, 64, Type::F64, 1},
    {"e4m3", Type::E4M3, 8, Type::E4M3, 1},
    {"e5m2", Type::E5M2, 8, Type::E5M2, 1},
    {"e2m3", Type::E2M3, 6, Type::E2M3, 1},
    {"e3m2", Type::E3M2, 6, Type::E3M2, 1},
    {"e2m1", Type::E2M1, 4, Type::E2M1, 1},
    {"ue8m0", Type::UE8M0, 8, Type::UE8M0, 1},
    {"ue4m3", Type::UE4M3, 8, Type::UE4M3, 1},
    {"u16x2", Type::U16x2, 32, Type::U16, 2},
    {"s16x2", Type::S16x2, 32, Type::S16, 2},
    {"f16x2", Type::F16x2, 32, Type::F16, 2},
    {"bf16x2", Type::BF16x2, 32, Type::BF16, 2},
    {"f32x2", Type::F32x2, 64, Type::F32, 2},
    {"e4m3x2", Type::E4M3x2, 16, Type::E4M3, 2},
    {"e5m2x2", Type::E5M2x2, 16, Type::E5M2, 2},
    {"e2m3x2", Type::E2M3x2, 16, Type::E2M3, 2},
    {"e3m2x2", Type::E3M2x2, 16, Type::E3M2, 2},
    {"e2m1x2", Type::E2M1x2, 8, Type::E2M1, 2},
    {"ue8m0x2", Type::UE8M0x2, 16, Type::UE8M0, 2},
    {"e4m3x4", Type::E4M3x4, 32, Type::E4M3, 4},
    {"e5m2x4", Type::E5M2x4, 32, Type::E5M2, 4},
    {"e2m3x4", Type::E2M3x4, 32, Type::E2M3, 4},
    {"e3m2x4", Type::E3M2x4, 32, Type::E3M2, 4},
    {"e2m1x4", Type::E2M1x4, 16, Type::E2M1, 4},
};

constexpr Fact none = {"", Type::None, 0, Type::None, 0};

const Fact &factOf(Type type) {
  for (const Fact &fact : facts)
    if (fact.type == type)
      return fact;
  return none;
}

} // namespace

Type typeOf(std::string_view word) {
  for (const Fact &fact : facts)
    if (fact.name == word)
      return fact.type;
  return Type::None;
}

unsigned bitsOf(Type type) { return factOf(type).bits; }
Type elementOf(Type type) { return factOf(type).element; }
unsigned elementsOf(Type type) { return factOf(type).elements; }

bool isFloat(Type type) {
  Type element = elementOf(type);
  return element >= Type::F16 && element <= Type::UE4M3;
}

bool isSigned(Type type) {
  Type element = elementOf(type);
  return element >= Type::S4 && element <= Type::S64;
}

} // namespace qcc::ptxemu
