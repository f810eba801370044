// Floats of few bits, as elements and as scales.
#pragma once

#include "qcc/Format/Format.h"

namespace qcc {

/// A sign, an exponent and a mantissa; subnormals and rounding to nearest even as IEEE 754 has them.
struct MinifloatShape {
  llvm::StringRef name;
  unsigned exponentBits, mantissaBits;
  uint32_t largestCode; // the largest finite magnitude; magnitudes above it stand for no number
  bool hasInfinity;     // encode and decode know infinities and NaNs, as IEEE 754 has them

  constexpr unsigned magnitudeBits() const { return exponentBits + mantissaBits; }
  constexpr int bias() const { return (1 << (exponentBits - 1)) - 1; }
};

class MinifloatCodec final : public ElementCodec {
public:
  explicit MinifloatCodec(const MinifloatShape &shape);
  llvm::StringRef name() const override { return shape.name; }
  unsigned bits() const override { return shape.magnitudeBits() + 1; }
  float largest() const override { return largestValue; }
  void encodeBlock(llvm::ArrayRef<float> block, float scale, int32_t zero, uint32_t *codes) const override;
  Primitives::Value decode(Primitives &p, Primitives::Value code) const override;
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value x, Primitives::Value scale,
                           Primitives::Value zero) const override {
    return round(p, p.divide(x, scale));
  }
  /// The code of the nearest value.
  Primitives::Value round(EncodePrimitives &p, Primitives::Value x) const;
  std::optional<IntegerView> integerView() const override;

private:
  /// The number a code without its sign stands for, from the definition.
  float magnitude(uint32_t code) const;

  MinifloatShape shape;
  float largestValue;
  std::vector<float> table; // of codecs of at most 4 bits: the value of each code
};

} // namespace qcc
