// Primitives on numbers: what a decode computes.
#pragma once

#include "qcc/Format/Format.h"

namespace qcc {

/// A value's number is the int32 or the float32 it is, as a double.
class HostReader final : public EncodePrimitives {
public:
  Value integer(int32_t value) override;
  Value real(float value) override;
  Value field(Value code, unsigned low, unsigned count) override;
  Value signExtend(Value code, unsigned count) override;
  Value add(Value a, Value b) override;
  Value shiftLeft(Value a, unsigned n) override;
  Value bitOr(Value a, Value b) override;
  Value bitAnd(Value a, uint32_t mask) override;
  Value asFloat(Value bits) override;
  Value toFloat(Value a) override;
  Value multiply(Value a, Value b) override;
  Value halfToFloat(Value code) override;
  Value lookup(llvm::ArrayRef<float> table, Value index) override;
  Value divide(Value a, Value b) override;
  Value addFloats(Value a, Value b) override;
  Value bits(Value x) override;
  Value isLess(Value a, Value b) override;
  Value isLessFloat(Value a, Value b) override;
  Value select(Value condition, Value then, Value otherwise) override;
};

} // namespace qcc
