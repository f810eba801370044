#include "Minifloat.h"
#include "qcc/Format/HostReader.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include <cmath>

using namespace qcc;
using llvm::ArrayRef;
using llvm::StringRef;

uint32_t ElementCodec::encode(float value) const {
  uint32_t code = 0;
  encodeBlock(value, 1, 0, &code);
  return code;
}

float ElementCodec::value(uint32_t code) const {
  HostReader reader;
  return float(decode(reader, reader.integer(int32_t(code))).number);
}

ArrayRef<float> ElementCodec::values() const {
  assert(bits() <= 16 && "a table of all values would be too large");
  std::call_once(once, [&] {
    for (uint32_t code = 0; code < 1u << bits(); ++code)
      table.push_back(value(code));
  });
  return table;
}

namespace {

/// The integer nearest to a float of magnitude below 2^22, to even: float addition rounds at the unit of 1.5 * 2^23.
/// Unlike a call of lrintf it vectorizes on every x86-64.
int32_t nearestInteger(float value) { return int32_t(llvm::bit_cast<uint32_t>(value + 12582912.0f)) - 0x4b400000; }

/// Two's complement within +-(2^(bits - 1) - 1), times a power of two.
class IntegerCodec final : public ElementCodec {
public:
  IntegerCodec(StringRef name, unsigned bits, float factor = 1) : codec(name), count(bits), factor(factor) {}
  StringRef name() const override { return codec; }
  unsigned bits() const override { return count; }
  float largest() const override { return float((1 << (count - 1)) - 1) * factor; }

  void encodeBlock(ArrayRef<float> block, float scale, int32_t zero, uint32_t *codes) const override {
    const float step = scale * factor, limit = float((1 << (count - 1)) - 1);
    const uint32_t mask = (1u << count) - 1;
    for (size_t i = 0, n = block.size(); i < n; ++i) {
      float quotient = block[i] / step;
      float low = quotient < -limit ? -limit : quotient, clamped = low > limit ? limit : low;
      codes[i] = uint32_t(nearestInteger(quotient == quotient ? clamped : 0)) & mask;
    }
  }
  Primitives::Value decode(Primitives &p, Primitives::Value code) const override {
    Primitives::Value number = p.toFloat(p.signExtend(code, count));
    return factor == 1 ? number : p.multiply(number, p.real(factor));
  }
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value x, Primitives::Value scale,
                           Primitives::Value) const override {
    const float limit = float((1 << (count - 1)) - 1);
    Primitives::Value quotient = p.divide(x, factor == 1 ? scale : p.multiply(scale, p.real(factor)));
    Primitives::Value clamped = p.smaller(p.larger(quotient, p.real(-limit)), p.real(limit));
    Primitives::Value number = p.select(p.isNaN(quotient), p.integer(0), p.nearest(clamped));
    return p.bitAnd(number, (1u << count) - 1);
  }
  std::optional<IntegerView> integerView() const override {
    IntegerView view;
    view.factor = factor;
    if (count == 8)
      return view;
    if (count > 4)
      return std::nullopt;
    for (int code = 0; code < 1 << count; ++code)
      view.table.push_back(int8_t(code >> (count - 1) ? code - (1 << count) : code));
    return view;
  }

private:
  StringRef codec;
  unsigned count;
  float factor;
};

/// Integers from 0 on, for blocks with a zero.
class UnsignedCodec final : public ElementCodec {
public:
  UnsignedCodec(StringRef name, unsigned bits) : codec(name), count(bits) {}
  StringRef name() const override { return codec; }
  unsigned bits() const override { return count; }
  float largest() const override { return float((1 << count) - 1); }

  void encodeBlock(ArrayRef<float> block, float scale, int32_t zero, uint32_t *codes) const override {
    const float low = float(-zero), high = largest() - float(zero);
    for (size_t i = 0, n = block.size(); i < n; ++i) {
      float quotient = block[i] / scale;
      float raised = quotient < low ? low : quotient, clamped = raised > high ? high : raised;
      codes[i] = uint32_t(nearestInteger(quotient == quotient ? clamped : 0) + zero);
    }
  }
  Primitives::Value decode(Primitives &p, Primitives::Value code) const override { return p.toFloat(code); }
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value x, Primitives::Value scale,
                           Primitives::Value zero) const override {
    Primitives::Value quotient = p.divide(x, scale), offset = p.toFloat(zero);
    Primitives::Value low = p.multiply(offset, p.real(-1)), high = p.addFloats(p.real(largest()), low);
    Primitives::Value clamped = p.smaller(p.larger(quotient, low), high);
    return p.add(p.select(p.isNaN(quotient), p.integer(0), p.nearest(clamped)), zero);
  }
  std::optional<IntegerView> integerView() const override {
    if (count > 4)
      return std::nullopt;
    IntegerView view;
    for (int code = 0; code < 1 << count; ++code)
      view.table.push_back(int8_t(code));
    return view;
  }

private:
  StringRef codec;
  unsigned count;
};

/// 16 numbers in ascending order, 0 among them.
class TableCodec final : public ElementCodec {
public:
  TableCodec(StringRef name, ArrayRef<float> numbers) : codec(name), numbers(numbers) {
    for (size_t i = 0; i + 1 < numbers.size(); ++i) {
      // The last float32 that has the lower number. Of two as near, the one of smaller magnitude is taken.
      double middle = (double(numbers[i]) + numbers[i + 1]) / 2;
      bool tieGoesLow = std::abs(numbers[i]) < std::abs(numbers[i + 1]);
      float last = float(middle);
      if (last > middle || (last == middle && !tieGoesLow))
        last = std::nextafter(last, -INFINITY);
      lastOfLower.push_back(last);
    }
    codeOfZero = uint32_t(llvm::find(numbers, 0.0f) - numbers.begin());
  }
  StringRef name() const override { return codec; }
  unsigned bits() const override { return 4; }
  float largest() const override { return std::max(std::abs(numbers.front()), std::abs(numbers.back())); }

  void encodeBlock(ArrayRef<float> block, float scale, int32_t zero, uint32_t *codes) const override {
    for (size_t i = 0, n = block.size(); i < n; ++i) {
      float quotient = block[i] / scale;
      uint32_t code = 0;
      for (size_t border = 0; border < 15; ++border)
        code += quotient > lastOfLower[border];
      codes[i] = quotient == quotient ? code : codeOfZero;
    }
  }
  Primitives::Value decode(Primitives &p, Primitives::Value code) const override { return p.lookup(numbers, code); }
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value x, Primitives::Value scale,
                           Primitives::Value) const override {
    Primitives::Value quotient = p.divide(x, scale), code = p.integer(0), one = p.integer(1);
    for (float last : lastOfLower)
      code = p.add(code, p.select(p.isLessFloat(p.real(last), quotient), one, p.integer(0)));
    return p.select(p.isNaN(quotient), p.integer(int32_t(codeOfZero)), code);
  }
  /// 127ths of the largest number, the nearest ones.
  std::optional<IntegerView> integerView() const override {
    IntegerView view;
    view.factor = largest() / 127;
    view.isExact = false;
    for (float number : numbers)
      view.table.push_back(int8_t(std::lround(number / view.factor)));
    return view;
  }

private:
  StringRef codec;
  ArrayRef<float> numbers;
  llvm::SmallVector<float, 15> lastOfLower;
  uint32_t codeOfZero;
};

class Float32Codec final : public ElementCodec {
public:
  StringRef name() const override { return "float32"; }
  unsigned bits() const override { return 32; }
  float largest() const override { return std::numeric_limits<float>::max(); }
  void encodeBlock(ArrayRef<float> block, float scale, int32_t zero, uint32_t *codes) const override {
    for (size_t i = 0, n = block.size(); i < n; ++i)
      codes[i] = llvm::bit_cast<uint32_t>(block[i] / scale);
  }
  Primitives::Value decode(Primitives &p, Primitives::Value code) const override { return p.asFloat(code); }
  Primitives::Value codeOf(EncodePrimitives &p, Primitives::Value x, Primitives::Value scale,
                           Primitives::Value) const override {
    return p.bits(p.divide(x, scale));
  }
};

} // namespace

// bitsandbytes, csrc/kernels: the quantiles of N(0, 1) of "QLoRA", arXiv 2305.14314, as it rounds them.
static constexpr float nf4[16] = {
    -1,         -0.6961928f, -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f, -0.09105004f, 0,
    0.0795803f, 0.1609302f,  0.2461123f,   0.33791524f, 0.44070983f,  0.562617f,    0.72295684f,  1};

const ElementCodec *qcc::findElementCodec(StringRef name) {
  static const Float32Codec float32;
  static const IntegerCodec integers[] = {
      {"int2", 2}, {"int3", 3}, {"int4", 4}, {"int5", 5}, {"int6", 6}, {"int8", 8}, {"int8-64ths", 8, 1.0f / 64}};
  static const UnsignedCodec unsigneds[] = {{"uint2", 2}, {"uint3", 3}, {"uint4", 4}, {"uint8", 8}};
  // float16 and bfloat16: IEEE 754; e5m2: its bits, with the infinities and NaNs left unused; e4m3: FP8 of arXiv
  // 2209.05433, whose largest magnitude is the NaN; the others: OCP Microscaling Formats 1.0, section 5.3.
  static const MinifloatCodec minifloats[] = {
      MinifloatCodec({"float16", 5, 10, 0x7bff, true}), MinifloatCodec({"bfloat16", 8, 7, 0x7f7f, true}),
      MinifloatCodec({"e4m3", 4, 3, 0x7e, false}),      MinifloatCodec({"e5m2", 5, 2, 0x7b, false}),
      MinifloatCodec({"e2m1", 2, 1, 0x7, false}),       MinifloatCodec({"e2m3", 2, 3, 0x1f, false}),
      MinifloatCodec({"e3m2", 3, 2, 0x1f, false})};
  static const TableCodec tables[] = {{"nf4", nf4}};
  auto find = [&](const auto &codecs) -> const ElementCodec * {
    for (const auto &codec : codecs)
      if (codec.name() == name)
        return &codec;
    return nullptr;
  };
  if (name == float32.name())
    return &float32;
  for (const ElementCodec *codec : {find(integers), find(unsigneds), find(minifloats), find(tables)})
    if (codec)
      return codec;
  return nullptr;
}
