#include "Minifloat.h"
#include "StableQuotient.h"
#include "qcc/Format/HostReader.h"
#include "llvm/ADT/bit.h"
#include <cmath>

using namespace qcc;
using llvm::StringRef;

float ScaleCodec::value(uint32_t code) const {
  auto decoded = [this](uint32_t code) {
    HostReader reader;
    return float(decode(reader, reader.integer(int32_t(code))).number);
  };
  if (bits() > 16)
    return decoded(code);
  std::call_once(once, [&] {
    for (uint32_t i = 0; i < 1u << bits(); ++i)
      table.push_back(decoded(i));
  });
  return table[code];
}

namespace {

class NoScale final : public ScaleCodec {
public:
  StringRef name() const override { return "none"; }
  unsigned bits() const override { return 0; }
  float wanted(float, float) const override { return 1; }
  uint32_t encode(float) const override { return 0; }
  Primitives::Value decode(Primitives &p, Primitives::Value) const override { return p.real(1); }
  Primitives::Value wanted(EncodePrimitives &p, Primitives::Value, float) const override { return p.real(1); }
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value) const override { return p.integer(0); }
};

class Float32Scale final : public ScaleCodec {
public:
  StringRef name() const override { return "float32"; }
  unsigned bits() const override { return 32; }
  float wanted(float amax, float largest) const override { return stableQuotient(amax, largest); }
  uint32_t encode(float scale) const override { return llvm::bit_cast<uint32_t>(scale); }
  Primitives::Value decode(Primitives &p, Primitives::Value code) const override { return p.asFloat(code); }
  Primitives::Value wanted(EncodePrimitives &p, Primitives::Value amax, float largest) const override {
    return stableQuotient(p, amax, largest);
  }
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value scale) const override { return p.bits(scale); }
};

class MinifloatScale final : public ScaleCodec {
public:
  MinifloatScale(const MinifloatShape &shape, float tensorScaleFor = 0) : codec(shape), tensorLargest(tensorScaleFor) {}
  StringRef name() const override { return codec.name(); }
  unsigned bits() const override { return codec.bits(); }
  uint32_t encode(float scale) const override {
    uint32_t code = codec.encode(scale);
    return code == 0 && scale > 0 ? 1 : code;
  }
  Primitives::Value decode(Primitives &p, Primitives::Value code) const override { return codec.decode(p, code); }
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value scale) const override {
    Primitives::Value code = codec.round(p, scale), one = p.integer(1);
    Primitives::Value vanishes = p.select(p.isLessFloat(p.real(0), scale), p.isLess(code, one), p.isLess(one, one));
    return p.select(vanishes, one, code);
  }
  float tensorScaleFor() const override { return tensorLargest; }

private:
  MinifloatCodec codec;
  float tensorLargest;
};

/// Powers of two from 2^-127 to 2^127; OCP Microscaling Formats 1.0, section 5.4.
class PowerScale final : public ScaleCodec {
public:
  StringRef name() const override { return "e8m0"; }
  unsigned bits() const override { return 8; }
  /// Section 6.3: the largest power of two in the block over the largest one elements express; magnitudes between that
  /// and the next saturate.
  float wanted(float amax, float largest) const override { return std::ldexp(amax, -std::ilogb(largest)); }
  uint32_t encode(float scale) const override { return (llvm::bit_cast<uint32_t>(scale) >> 23) & 0xff; }
  Primitives::Value wanted(EncodePrimitives &p, Primitives::Value amax, float largest) const override {
    return p.multiply(amax, p.real(std::ldexp(1.0f, -std::ilogb(largest))));
  }
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value scale) const override {
    return p.field(p.bits(scale), 23, 8);
  }
  Primitives::Value decode(Primitives &p, Primitives::Value code) const override {
    // 2^-127 is a subnormal number. It is added where the exponent is 0: where adding 255 to it does not carry.
    Primitives::Value carry = p.field(p.add(code, p.integer(255)), 8, 1);
    Primitives::Value none = p.field(p.add(carry, p.integer(-1)), 0, 1);
    return p.asFloat(p.bitOr(p.shiftLeft(code, 23), p.shiftLeft(none, 22)));
  }
};

} // namespace

const ScaleCodec *qcc::findScaleCodec(StringRef name) {
  static const NoScale none;
  static const Float32Scale float32;
  static const MinifloatScale float16({"float16", 5, 10, 0x7bff, false});
  static const MinifloatScale bfloat16({"bfloat16", 8, 7, 0x7f7f, false});
  static const MinifloatScale e4m3({"e4m3", 4, 3, 0x7e, false}, 448);
  static const PowerScale e8m0;
  for (const ScaleCodec *codec :
       std::initializer_list<const ScaleCodec *>{&none, &float32, &float16, &bfloat16, &e4m3, &e8m0})
    if (codec->name() == name)
      return codec;
  return nullptr;
}
