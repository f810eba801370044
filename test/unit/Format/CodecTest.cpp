// Codecs against the definitions of their bits, computed here in double, and against what their encode promises.
#include "qcc/Format/CostReader.h"
#include "qcc/Format/HostReader.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace qcc;

namespace {

constexpr float inf = INFINITY, nan = NAN;

/// A float of few bits by its definition: (-1)^s * 2^(e - bias) * 1.m, and subnormals.
double minifloat(uint32_t code, int exponentBits, int mantissaBits) {
  int bias = (1 << (exponentBits - 1)) - 1, mantissa = int(code & ((1u << mantissaBits) - 1));
  int exponent = int(code >> mantissaBits & ((1u << exponentBits) - 1));
  double fraction = mantissa / std::pow(2.0, mantissaBits);
  double magnitude = exponent ? (1 + fraction) * std::pow(2.0, exponent - bias) : fraction * std::pow(2.0, 1 - bias);
  return code >> (exponentBits + mantissaBits) & 1 ? -magnitude : magnitude;
}

struct Minifloat {
  const char *name;
  int exponentBits, mantissaBits;
  uint32_t largest; // code of the largest magnitude
  float largestValue;
};
constexpr Minifloat minifloats[] = {{"float16", 5, 10, 0x7bff, 65504},
                                    {"bfloat16", 8, 7, 0x7f7f, 3.38953139e38f},
                                    {"e4m3", 4, 3, 0x7e, 448},
                                    {"e5m2", 5, 2, 0x7b, 57344},
                                    {"e2m1", 2, 1, 7, 6},
                                    {"e2m3", 2, 3, 31, 7.5f},
                                    {"e3m2", 3, 2, 31, 28}};

TEST(Codecs, minifloatsDecodeAsDefined) {
  for (const Minifloat &row : minifloats) {
    const ElementCodec *codec = findElementCodec(row.name);
    ASSERT_TRUE(codec) << row.name;
    EXPECT_EQ(codec->largest(), row.largestValue) << row.name;
    unsigned magnitudes = 1u << (row.exponentBits + row.mantissaBits);
    for (uint32_t sign = 0; sign < 2; ++sign)
      for (uint32_t magnitude = 0; magnitude <= row.largest; ++magnitude) {
        uint32_t code = sign * magnitudes + magnitude;
        double expected = minifloat(code, row.exponentBits, row.mantissaBits);
        ASSERT_EQ(codec->value(code), float(expected)) << row.name << " code " << code;
        ASSERT_EQ(std::signbit(codec->value(code)), sign == 1) << row.name << " code " << code;
      }
  }
}

TEST(Codecs, minifloatsRoundToNearestEven) {
  for (const Minifloat &row : minifloats) {
    const ElementCodec *codec = findElementCodec(row.name);
    uint32_t signBit = 1u << (row.exponentBits + row.mantissaBits);
    for (uint32_t code = 0; code < row.largest; ++code) {
      float low = codec->value(code), high = codec->value(code + 1), middle = float((double(low) + high) / 2);
      uint32_t even = code % 2 ? code + 1 : code;
      ASSERT_EQ(codec->encode(low), code) << row.name;
      ASSERT_EQ(codec->encode(-low), code | signBit) << row.name;
      ASSERT_EQ(codec->encode(middle), even) << row.name << " between " << low << " and " << high;
      ASSERT_EQ(codec->encode(-middle), even | signBit) << row.name;
      ASSERT_EQ(codec->encode(std::nextafter(middle, 0.0f)), code) << row.name << " below " << middle;
      ASSERT_EQ(codec->encode(std::nextafter(middle, inf)), code + 1) << row.name << " above " << middle;
    }
  }
}

TEST(Codecs, minifloatsSaturate) {
  for (const Minifloat &row : minifloats) {
    const ElementCodec *codec = findElementCodec(row.name);
    uint32_t signBit = 1u << (row.exponentBits + row.mantissaBits);
    bool isIeee = llvm::StringRef(row.name).ends_with("float16");
    for (float value : {std::nextafter(codec->largest(), inf), 3.4028234e38f}) {
      EXPECT_EQ(codec->encode(value), row.largest) << row.name;
      EXPECT_EQ(codec->encode(-value), row.largest | signBit) << row.name;
    }
    EXPECT_EQ(codec->value(codec->encode(inf)), isIeee ? inf : codec->largest()) << row.name;
    EXPECT_EQ(codec->value(codec->encode(-inf)), isIeee ? -inf : -codec->largest()) << row.name;
    float ofNaN = codec->value(codec->encode(nan));
    EXPECT_TRUE(isIeee ? std::isnan(ofNaN) : ofNaN == 0) << row.name << ": " << ofNaN;
    EXPECT_EQ(codec->encode(1e-45f), 0u) << row.name;
  }
}

TEST(Codecs, everyNaNAndInfinityOfIeeeTypesDecodes) {
  const ElementCodec *half = findElementCodec("float16"), *brain = findElementCodec("bfloat16");
  EXPECT_EQ(half->value(0x7c00), inf);
  EXPECT_EQ(half->value(0xfc00), -inf);
  EXPECT_EQ(brain->value(0xff80), -inf);
  for (uint32_t code = 0x7c01; code < 0x8000; ++code) {
    EXPECT_TRUE(std::isnan(half->value(code))) << code;
    EXPECT_TRUE(std::isnan(half->value(code | 0x8000))) << code;
  }
}

TEST(Codecs, integers) {
  struct Row {
    const char *name;
    int bits;
    double factor;
  };
  for (Row row : {Row{"int2", 2, 1},
                  {"int3", 3, 1},
                  {"int4", 4, 1},
                  {"int5", 5, 1},
                  {"int6", 6, 1},
                  {"int8", 8, 1},
                  {"int8-64ths", 8, 1 / 64.0}}) {
    const ElementCodec *codec = findElementCodec(row.name);
    ASSERT_TRUE(codec) << row.name;
    int top = (1 << (row.bits - 1)) - 1;
    EXPECT_EQ(codec->largest(), float(top * row.factor));
    for (int number = -top - 1; number <= top; ++number) {
      uint32_t code = uint32_t(number) & ((1u << row.bits) - 1);
      EXPECT_EQ(codec->value(code), float(number * row.factor)) << row.name;
      if (number >= -top) // the lowest one is read, never written
        EXPECT_EQ(codec->encode(float(number * row.factor)), code) << row.name;
      if (number < -top || number == top)
        continue;
      int even = number % 2 ? number + 1 : number;
      float middle = float((number + 0.5) * row.factor);
      EXPECT_EQ(codec->value(codec->encode(middle)), float(even * row.factor)) << row.name << " at " << middle;
      EXPECT_EQ(codec->value(codec->encode(std::nextafter(middle, -inf))), float(number * row.factor));
      EXPECT_EQ(codec->value(codec->encode(std::nextafter(middle, inf))), float((number + 1) * row.factor));
    }
    for (float value : {float(top * row.factor + 0.6), 1e9f, 3e38f, inf}) {
      EXPECT_EQ(codec->value(codec->encode(value)), codec->largest()) << row.name << " of " << value;
      EXPECT_EQ(codec->value(codec->encode(-value)), -codec->largest()) << row.name << " of " << -value;
    }
    EXPECT_EQ(codec->encode(nan), 0u);
  }
}

TEST(Codecs, unsignedIntegersAddTheirZero) {
  const ElementCodec *codec = findElementCodec("uint4");
  std::vector<float> values = {-6, -5, -4.5, -3.5, 0, 1, 1.5, 2.5, 10, 11, inf, -inf, nan};
  std::vector<uint32_t> codes(values.size(), 0), expected = {0, 0, 1, 1, 5, 6, 7, 7, 15, 15, 15, 0, 5};
  codec->encodeBlock(values, 1, 5, codes.data());
  EXPECT_EQ(codes, expected);
  for (uint32_t code = 0; code < 16; ++code)
    EXPECT_EQ(codec->value(code), float(code));
  EXPECT_EQ(findElementCodec("uint8")->encode(300), 255u);
}

// bitsandbytes prints its table with these digits.
constexpr double nf4[16] = {-1,        -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0,
                            0.0795803, 0.1609302,  0.2461123,   0.33791524, 0.44070983,  0.562617,    0.72295684,  1};

TEST(Codecs, nf4) {
  const ElementCodec *codec = findElementCodec("nf4");
  ASSERT_TRUE(codec);
  for (uint32_t code = 0; code < 16; ++code) {
    EXPECT_EQ(codec->value(code), float(nf4[code]));
    EXPECT_EQ(codec->encode(float(nf4[code])), code);
  }
  for (int step = -1200; step <= 1200; ++step) { // the nearest of the table, found by trying all
    float value = float(step) / 1000;
    uint32_t best = 0;
    for (uint32_t code = 1; code < 16; ++code)
      if (std::abs(double(float(nf4[code])) - value) < std::abs(double(float(nf4[best])) - value))
        best = code;
    EXPECT_EQ(codec->encode(value), best) << value;
  }
  // Ties go to the smaller magnitude: 0 here, from both sides.
  float belowZero = codec->value(6) / 2, aboveZero = codec->value(8) / 2;
  EXPECT_EQ(codec->encode(belowZero), 7u);
  EXPECT_EQ(codec->encode(std::nextafter(belowZero, -inf)), 6u);
  EXPECT_EQ(codec->encode(aboveZero), 7u);
  EXPECT_EQ(codec->encode(std::nextafter(aboveZero, inf)), 8u);
  EXPECT_EQ(codec->encode(nan), 7u);
  EXPECT_EQ(codec->encode(inf), 15u);
  EXPECT_EQ(codec->encode(-inf), 0u);
}

TEST(Codecs, float32KeepsEveryBit) {
  const ElementCodec *codec = findElementCodec("float32");
  for (uint32_t bits : {0u, 0x80000000u, 1u, 0x7f800000u, 0xff800000u, 0x3f800000u, 0x7f7fffffu}) {
    float value = codec->value(bits);
    EXPECT_EQ(codec->encode(value), bits);
  }
}

TEST(Codecs, integerViewsGiveTheValues) {
  for (const char *name : {"int2", "int3", "int4", "uint2", "uint3", "uint4", "e2m1", "nf4"}) {
    const ElementCodec *codec = findElementCodec(name);
    std::optional<IntegerView> view = codec->integerView();
    ASSERT_TRUE(view) << name;
    EXPECT_EQ(view->isExact, std::string(name) != "nf4");
    ASSERT_EQ(view->table.size(), size_t(1) << codec->bits());
    for (uint32_t code = 0; code < view->table.size(); ++code)
      EXPECT_NEAR(view->table[code] * view->factor, codec->value(code), view->isExact ? 0 : 0.5 / 127) << name;
  }
  EXPECT_TRUE(findElementCodec("int8")->integerView()->table.empty());
  EXPECT_EQ(findElementCodec("int8-64ths")->integerView()->factor, 1.0f / 64);
  for (const char *name : {"float32", "float16", "e4m3", "e5m2", "uint8"})
    EXPECT_FALSE(findElementCodec(name)->integerView()) << name;
}

TEST(Scales, powersOfTwo) {
  const ScaleCodec *codec = findScaleCodec("e8m0");
  for (int code = 0; code < 255; ++code)
    EXPECT_EQ(codec->value(uint32_t(code)), std::ldexp(1.0f, code - 127)) << code;
  // Rounds down, as OCP's floor rule asks, and stays in range.
  EXPECT_EQ(codec->encode(1.0f), 127u);
  EXPECT_EQ(codec->encode(std::nextafter(2.0f, 0.0f)), 127u);
  EXPECT_EQ(codec->encode(0), 0u);
  EXPECT_EQ(codec->encode(1e-40f), 0u);
  EXPECT_EQ(codec->encode(3.4028234e38f), 254u);
  EXPECT_EQ(codec->wanted(5, 6), 1.25f); // over 4, the largest power of two of e2m1
  EXPECT_EQ(codec->wanted(5, 448), 5.0f / 256);
}

TEST(Scales, smallFloats) {
  EXPECT_EQ(findScaleCodec("float16")->value(findScaleCodec("float16")->encode(0.1f)), 0.0999755859375f);
  EXPECT_EQ(findScaleCodec("float16")->encode(1e9f), 0x7bffu);
  EXPECT_EQ(findScaleCodec("e4m3")->value(findScaleCodec("e4m3")->encode(0.05f)), 0.05078125f);
  EXPECT_EQ(findScaleCodec("e4m3")->tensorScaleFor(), 448.0f);
  EXPECT_EQ(findScaleCodec("bfloat16")->value(0x3f80), 1.0f);
  for (const char *name : {"float16", "bfloat16", "e4m3"}) { // no positive scale is lost
    EXPECT_EQ(findScaleCodec(name)->encode(1e-44f), 1u) << name;
    EXPECT_EQ(findScaleCodec(name)->encode(0), 0u) << name;
  }
}

TEST(Scales, float32IsTheQuotientAndStable) {
  const ScaleCodec *codec = findScaleCodec("float32");
  for (float largest : {1.0f, 7.0f, 127.0f, 448.0f, 57344.0f})
    for (uint32_t i = 0; i < 200000; ++i) {
      float amax = std::ldexp(1.0f + float(i * 37 % 8388608) / 8388608, int(i % 200) - 100);
      float scale = codec->value(codec->encode(codec->wanted(amax, largest)));
      ASSERT_NEAR(scale, double(amax) / largest, 2.4e-7 * scale) << amax;
      ASSERT_EQ(codec->wanted(scale * largest, largest), scale) << amax << " / " << largest;
    }
  EXPECT_EQ(codec->wanted(0, 127), 0);
  EXPECT_TRUE(std::isnormal(codec->wanted(1e-44f, 127)));
  EXPECT_TRUE(std::isfinite(codec->wanted(3.4028234e38f, 127) * 127));
}

TEST(Readers, hostPrimitives) {
  HostReader p;
  auto number = [](Primitives::Value value) { return value.number; };
  EXPECT_EQ(number(p.field(p.integer(-1), 28, 4)), 15);
  EXPECT_EQ(number(p.field(p.integer(-1), 0, 32)), -1);
  EXPECT_EQ(number(p.signExtend(p.integer(0xf8), 4)), -8);
  EXPECT_EQ(number(p.add(p.integer(2147483647), p.integer(1))), -2147483648.0);
  EXPECT_EQ(number(p.shiftLeft(p.integer(3), 31)), -2147483648.0);
  EXPECT_EQ(number(p.bitOr(p.integer(5), p.integer(10))), 15);
  EXPECT_EQ(number(p.bitAnd(p.integer(-3), 0x80000007)), int32_t(0x80000005));
  EXPECT_EQ(number(p.asFloat(p.integer(0x3fc00000))), 1.5);
  EXPECT_EQ(number(p.toFloat(p.integer(16777217))), 16777216);
  EXPECT_EQ(number(p.multiply(p.real(16777215), p.real(16777215))), double(float(16777215.0f * 16777215.0f)));
}

TEST(Readers, costs) {
  CostReader nothing, int4, nf4, e4m3;
  findElementCodec("int4")->decode(int4, int4.integer(0));
  findElementCodec("nf4")->decode(nf4, nf4.integer(0));
  findElementCodec("e4m3")->decode(e4m3, e4m3.integer(0));
  EXPECT_EQ(int4.uses(Primitive::SignExtend), 1u);
  EXPECT_EQ(int4.uses(Primitive::ToFloat), 1u);
  EXPECT_EQ(nf4.uses(Primitive::Lookup), 1u);
  EXPECT_EQ(e4m3.uses(Primitive::BitAnd), 1u);
  std::array<double, primitiveCount> costs;
  costs.fill(1);
  EXPECT_EQ(nothing.cost(costs), 0);
  EXPECT_EQ(int4.cost(costs), 2);
  EXPECT_EQ(nf4.cost(costs), 1);
  EXPECT_EQ(e4m3.cost(costs), 5);
  costs[size_t(Primitive::Multiply)] = 10;
  EXPECT_EQ(e4m3.cost(costs), 14);
}

} // namespace
