#include "Emulation.h"

#include <cmath>

using namespace emulation;

namespace {

// The first lane's result of a body that leaves it in %r1.
uint32_t word(const std::string &body) { return clean(kernel(body + "\nst.global.u32 [%out], %r1;"))[0]; }
float number(const std::string &body) { return single(clean(kernel(body + "\nst.global.f32 [%out], %f1;"))[0]); }

TEST(Integers, wrapAndSaturate) {
  EXPECT_EQ(word("mov.u32 %r2, 0x7fffffff; add.s32 %r1, %r2, 1;"), 0x80000000u);
  EXPECT_EQ(word("mov.u32 %r2, 0x7fffffff; add.sat.s32 %r1, %r2, 1;"), 0x7fffffffu);
  EXPECT_EQ(word("mov.u32 %r2, 0x80000000; sub.sat.s32 %r1, %r2, 1;"), 0x80000000u);
  EXPECT_EQ(word("mov.u32 %r2, -7; div.s32 %r1, %r2, 2;"), uint32_t(-3));
  EXPECT_EQ(word("mov.u32 %r2, -7; rem.s32 %r1, %r2, 2;"), uint32_t(-1));
  EXPECT_EQ(word("mov.u32 %r2, 7; sad.u32 %r1, %r2, 10, 100;"), 103u);
}

TEST(Integers, products) {
  EXPECT_EQ(word("mov.u32 %r2, 0x12345678; mul.hi.u32 %r1, %r2, %r2;"),
            uint32_t((uint64_t(0x12345678) * 0x12345678) >> 32));
  EXPECT_EQ(word("mov.u32 %r2, -3; mad.lo.s32 %r1, %r2, 5, 100;"), 85u);
  EXPECT_EQ(word("mov.u32 %r2, 0x1ffffff; mul24.lo.u32 %r1, %r2, 2;"), 0x1fffffeu);
  EXPECT_EQ(word("mov.u32 %r2, 0x7f80fe01; mov.u32 %r3, 0x02020202; dp4a.s32.s32 %r1, %r2, %r3, 10;"),
            uint32_t(10 + 2 * (127 - 128 - 2 + 1)));
  EXPECT_EQ(word("mov.u32 %r2, 0x0003fffe; mov.u32 %r3, 0x00000504; dp2a.lo.s32.u32 %r1, %r2, %r3, 0;"),
            uint32_t(-2 * 4 + 3 * 5));
}

TEST(Integers, bits) {
  EXPECT_EQ(word("mov.u32 %r2, 0xabcd1234; bfe.u32 %r1, %r2, 8, 12;"), 0xd12u);
  EXPECT_EQ(word("mov.u32 %r2, 0xabcd1234; bfe.s32 %r1, %r2, 20, 40;"), 0xfffffabcu);
  EXPECT_EQ(word("mov.u32 %r2, 0xff; mov.u32 %r3, 0; bfi.b32 %r1, %r2, %r3, 4, 6;"), 0x3f0u);
  EXPECT_EQ(word("mov.u32 %r2, 0x44332211; mov.u32 %r3, 0x88776655; prmt.b32 %r1, %r2, %r3, 0xf520;"), 0xff663311u);
  EXPECT_EQ(word("mov.u32 %r2, 0xf0f0f0f0; mov.u32 %r3, 0xcccccccc; mov.u32 %r4, 0xaaaaaaaa; lop3.b32 %r1, %r2, %r3, "
                 "%r4, 0x96;"),
            0xf0f0f0f0u ^ 0xccccccccu ^ 0xaaaaaaaau);
  EXPECT_EQ(word("mov.u32 %r2, 0x80000001; mov.u32 %r3, 2; shf.l.wrap.b32 %r1, %r2, %r3, 33;"), 5u);
  EXPECT_EQ(word("mov.u32 %r2, 0x00100000; clz.b32 %r1, %r2;"), 11u);
  EXPECT_EQ(word("mov.u32 %r2, 0x00100000; bfind.u32 %r1, %r2;"), 20u);
  EXPECT_EQ(word("mov.u32 %r2, 0x00100000; bfind.shiftamt.u32 %r1, %r2;"), 11u);
  EXPECT_EQ(word("mov.u32 %r2, 1; shl.b32 %r1, %r2, 32;"), 0u);
  EXPECT_EQ(word("mov.u32 %r2, -1; shr.s32 %r1, %r2, 99;"), ~0u);
  EXPECT_EQ(word("bmsk.clamp.b32 %r1, 4, 8;"), 0xff0u);
  EXPECT_EQ(word("mov.u32 %r2, 0xb; fns.b32 %r1, %r2, 0, 3;"), 3u);
}

TEST(Integers, carries) {
  EXPECT_EQ(word("mov.u32 %r2, -1; add.cc.u32 %r3, %r2, 1; addc.u32 %r1, 5, 6;"), 12u);
  EXPECT_EQ(word("mov.u32 %r2, 0; sub.cc.u32 %r3, %r2, 1; subc.u32 %r1, 5, 2;"), 2u);
  EXPECT_EQ(word("mov.u32 %r2, -1; mad.lo.cc.u32 %r3, %r2, %r2, %r2; madc.hi.u32 %r1, %r2, %r2, 0;"), ~0u);
}

TEST(Floats, roundings) {
  EXPECT_EQ(number("mov.f32 %f2, 0f3f800000; add.rn.f32 %f1, %f2, 0f33000000;"), 1.0f);
  EXPECT_EQ(number("mov.f32 %f2, 0f3f800000; add.rp.f32 %f1, %f2, 0f33000000;"), std::nextafter(1.0f, 2.0f));
  EXPECT_EQ(number("mov.f32 %f2, 0f3f800000; sub.rz.f32 %f1, %f2, 0f33000000;"), std::nextafter(1.0f, 0.0f));
  EXPECT_EQ(number("mov.f32 %f2, 0f40000000; fma.rn.sat.f32 %f1, %f2, %f2, %f2;"), 1.0f);
  EXPECT_EQ(number("mov.f32 %f2, 0f00400000; add.ftz.f32 %f1, %f2, 0f00400000;"), 0.0f);
  EXPECT_EQ(number("mov.f32 %f2, 0f00400000; add.f32 %f1, %f2, 0f00400000;"), 0x1p-126f);
}

TEST(Floats, nansLoseOrWin) {
  EXPECT_EQ(number("mov.f32 %f2, 0f7fc00000; min.f32 %f1, %f2, 0f40000000;"), 2.0f);
  EXPECT_TRUE(std::isnan(number("mov.f32 %f2, 0f7fc00000; min.NaN.f32 %f1, %f2, 0f40000000;")));
  EXPECT_EQ(number("mov.f32 %f2, 0f80000000; max.f32 %f1, %f2, 0f00000000;"), 0.0f);
  EXPECT_EQ(number("mov.f32 %f2, 0fc0400000; max.xorsign.abs.f32 %f1, %f2, 0f40000000;"), -3.0f);
  EXPECT_EQ(number("mov.f32 %f2, 0f3f800000; max.f32 %f1, %f2, 0f40000000, 0f40400000;"), 3.0f);
  EXPECT_EQ(word("mov.f32 %f2, 0f7fc00000; setp.ltu.f32 %p1, %f2, 0f00000000; selp.u32 %r1, 1, 2, %p1;"), 1u);
  EXPECT_EQ(word("mov.f32 %f2, 0f7fc00000; setp.ne.f32 %p1, %f2, 0f00000000; selp.u32 %r1, 1, 2, %p1;"), 2u);
  EXPECT_EQ(word("mov.f32 %f2, 0f00000001; testp.subnormal.f32 %p1, %f2; selp.u32 %r1, 1, 2, %p1;"), 1u);
}

TEST(Floats, halves) {
  // 1 + 2^-11 rounds to even, 1 + 2^-11 + a little up.
  EXPECT_EQ(word("mov.b16 %h1, 0x3c00; mov.b16 %h2, 0x1000; add.rn.f16 %h3, %h1, %h2; cvt.u32.u16 %r1, %h3;"), 0x3c00u);
  EXPECT_EQ(word("mov.u32 %r2, 0x3c003c00; mov.u32 %r3, 0x40004200; fma.rn.f16x2 %r1, %r2, %r3, %r2;"), 0x42004400u);
  EXPECT_EQ(word("mov.u32 %r2, 0x3f803f80; mov.u32 %r3, 0xc000c000; fma.rn.relu.bf16x2 %r1, %r2, %r3, %r2;"), 0u);
}

TEST(Conversions, clampAndRound) {
  EXPECT_EQ(word("mov.f32 %f2, 0f4f800000; cvt.rzi.s32.f32 %r1, %f2;"), 0x7fffffffu);
  EXPECT_EQ(word("mov.f32 %f2, 0f7fc00000; cvt.rni.s32.f32 %r1, %f2;"), 0u);
  EXPECT_EQ(word("mov.f32 %f2, 0fc0200000; cvt.rni.s32.f32 %r1, %f2;"), uint32_t(-2));
  EXPECT_EQ(word("mov.f32 %f2, 0fbf800000; cvt.rzi.u32.f32 %r1, %f2;"), 0u);
  EXPECT_EQ(word("mov.u32 %r2, 300; cvt.sat.u8.u32 %r1, %r2;"), 255u);
  EXPECT_EQ(word("mov.f32 %f2, 0f3f801000; cvt.rna.tf32.f32 %r1, %f2;"), 0x3f802000u);
  EXPECT_EQ(word("mov.f32 %f2, 0f3f801000; cvt.rn.tf32.f32 %r1, %f2;"), 0x3f800000u);
}

TEST(Conversions, smallFloats) {
  // a goes to the high half.
  EXPECT_EQ(word("mov.f32 %f2, 0f44000000; mov.f32 %f3, 0f3f800000; cvt.rn.satfinite.e4m3x2.f32 %h1, %f2, %f3; "
                 "cvt.u32.u16 %r1, %h1;"),
            0x7e38u);
  EXPECT_EQ(word("mov.f32 %f2, 0f7fc00000; mov.f32 %f3, 0fc7c00000; cvt.rn.satfinite.e5m2x2.f32 %h1, %f2, %f3; "
                 "cvt.u32.u16 %r1, %h1;"),
            0x7ffbu);
  EXPECT_EQ(word("mov.u16 %h1, 0x3c38; cvt.rn.f16x2.e4m3x2 %r1, %h1;"), 0x3e003c00u);
  EXPECT_EQ(word("mov.f32 %f2, 0f40400000; mov.f32 %f3, 0f3f800000; cvt.rn.f16x2.f32 %r1, %f2, %f3;"), 0x42003c00u);
  EXPECT_EQ(word("mov.f32 %f2, 0f40400000; mov.f32 %f3, 0f3f800000; cvt.rp.satfinite.ue8m0x2.f32 %h1, %f2, %f3; "
                 "cvt.u32.u16 %r1, %h1;"),
            0x817fu);
  EXPECT_EQ(word("{ .reg .b8 b; mov.f32 %f2, 0f40c00000; mov.f32 %f3, 0fbf000000; cvt.rn.satfinite.e2m1x2.f32 b, %f2, "
                 "%f3; cvt.u32.u8 %r1, b; }"),
            0x79u);
}

TEST(Predicates, combine) {
  EXPECT_EQ(word("setp.eq.u32 %p1|%p2, %t, 0; selp.u32 %r2, 1, 2, %p1; selp.u32 %r3, 1, 2, %p2; mad.lo.u32 %r1, %r2, "
                 "10, %r3;"),
            12u);
  EXPECT_EQ(word("setp.eq.u32 %p1, %t, 9; setp.eq.or.u32 %p2, %t, 9, !%p1; selp.u32 %r1, 1, 2, %p2;"), 1u);
  EXPECT_EQ(word("set.ge.u32.s32 %r1, %t, 0;"), ~0u);
  EXPECT_EQ(word("mov.u32 %r2, -5; slct.u32.s32 %r1, 10, 20, %r2;"), 20u);
}

} // namespace
