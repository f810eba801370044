// Primitives that are counted: what a decode costs.
#pragma once

#include "qcc/Format/Format.h"
#include <array>

namespace qcc {

enum class Primitive : uint8_t {
  Field,
  SignExtend,
  Add,
  ShiftLeft,
  BitOr,
  BitAnd,
  AsFloat,
  ToFloat,
  Multiply,
  HalfToFloat,
  Lookup
};
inline constexpr size_t primitiveCount = size_t(Primitive::Lookup) + 1;

/// How often each primitive is used. Constants are free: they stand before the loop.
class CostReader final : public Primitives {
public:
  Value integer(int32_t) override { return {}; }
  Value real(float) override { return {}; }
  Value field(Value, unsigned, unsigned) override { return count(Primitive::Field); }
  Value signExtend(Value, unsigned) override { return count(Primitive::SignExtend); }
  Value add(Value, Value) override { return count(Primitive::Add); }
  Value shiftLeft(Value, unsigned) override { return count(Primitive::ShiftLeft); }
  Value bitOr(Value, Value) override { return count(Primitive::BitOr); }
  Value bitAnd(Value, uint32_t) override { return count(Primitive::BitAnd); }
  Value asFloat(Value) override { return count(Primitive::AsFloat); }
  Value toFloat(Value) override { return count(Primitive::ToFloat); }
  Value multiply(Value, Value) override { return count(Primitive::Multiply); }
  Value halfToFloat(Value) override { return count(Primitive::HalfToFloat); }
  Value lookup(llvm::ArrayRef<float>, Value) override { return count(Primitive::Lookup); }

  unsigned uses(Primitive primitive) const { return counts[size_t(primitive)]; }
  /// The sum over all uses of what a target says one use costs.
  double cost(const std::array<double, primitiveCount> &costs) const {
    double sum = 0;
    for (size_t i = 0; i < primitiveCount; ++i)
      sum += counts[i] * costs[i];
    return sum;
  }

private:
  Value count(Primitive primitive) {
    ++counts[size_t(primitive)];
    return {};
  }
  std::array<unsigned, primitiveCount> counts = {};
};

} // namespace qcc
