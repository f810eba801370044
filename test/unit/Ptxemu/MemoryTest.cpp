#include "Emulation.h"

using namespace emulation;

namespace {

TEST(GlobalMemory, boundsAndAlignment) {
  clean(kernel("ld.global.u32 %r1, [%in+896];")); // the last of 1024 bytes
  EXPECT_TRUE(finds("out-of-bounds", kernel("ld.global.u32 %r1, [%in+900];")));
  EXPECT_TRUE(finds("out-of-bounds", kernel("st.global.u32 [%out+-4], %t;")));
  EXPECT_TRUE(finds("misaligned", kernel("ld.global.u32 %r1, [%in+2];")));
  EXPECT_TRUE(finds("misaligned", kernel("ld.global.v2.u32 {%r1, %r2}, [%in];")));
  clean(kernel("add.s64 %q1, %in, %at; ld.global.v2.u32 {%r1, %r2}, [%q1];"));
}

TEST(GlobalMemory, widthsAndSigns) {
  Input setup;
  for (uint32_t i = 0; i < 256; ++i)
    setup.in[i] = 0x80c0f0ffu + i;
  auto out =
      clean(kernel("ld.global.s8 %r1, [%in]; ld.global.u16 %r2, [%in+2]; ld.global.s16 %h1, [%in+2];\n"
                   "cvt.s32.s16 %r3, %h1; sub.s32 %r4, %r2, %r3; add.s32 %r1, %r1, %r4; st.global.u32 [%out], %r1;"),
            setup);
  EXPECT_EQ(out[0], 0xffffu); // -1 and what sign extension adds
  out = clean(kernel("add.s64 %q1, %more, 0; cvt.u64.u32 %q2, %t; mad.lo.u64 %q1, %q2, 16, %q1;\n"
                     "st.global.v4.b32 [%q1], {%t, %t, %t, %t}; ld.global.v2.b64 {%q3, %q4}, [%q1];\n"
                     "shr.u64 %q3, %q3, 32; cvt.u32.u64 %r1, %q3; st.global.u32 [%out], %r1;"));
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(out[t], t);
}

TEST(GlobalMemory, atomics) {
  Input setup(128);
  setup.launch.grid[0] = 4;
  auto out = clean(kernel("sub.s64 %q1, %out, %at; red.global.add.u32 [%q1], 1; atom.global.max.u32 %r1, [%q1+4], %t;\n"
                          "atom.global.inc.u32 %r2, [%q1+8], 9; red.global.add.f32 [%q1+12], 0f3f000000;\n"
                          "atom.global.cas.b32 %r3, [%q1+16], 0, 5; red.global.or.b32 [%q1+20], %t;\n"
                          "mov.b32 %r4, 0x3c003c00; red.global.add.noftz.f16x2 [%q1+24], %r4;"),
                   setup);
  EXPECT_EQ(out[0], 512u);
  EXPECT_EQ(out[1], 127u);
  EXPECT_EQ(out[2], 512u % 10);
  EXPECT_EQ(single(out[3]), 256.0f);
  EXPECT_EQ(out[4], 5u);
  EXPECT_EQ(out[5], 127u);
  EXPECT_EQ(out[6], 0x60006000u);
}

TEST(LocalMemory, isEachThreadsOwn) {
  std::string body =
      "{ .local .align 16 .b8 mine[64]; .reg .b64 %a; mov.u64 %a, mine; cvta.local.u64 %q1, %a; }\n"
      "st.u32 [%q1+8], %t; cvta.to.local.u64 %q2, %q1; ld.local.u32 %r1, [%q2+8]; st.global.u32 [%out], %r1;\n";
  auto out = clean(kernel(body));
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(out[t], t);
  EXPECT_TRUE(finds("out-of-bounds", kernel(body + "st.local.u32 [%q2+64], %t;")));
}

TEST(SharedMemory, genericAddressesAndBounds) {
  std::string variable = ".shared .align 16 .b8 buffer[128];\n";
  auto out =
      clean(kernel("mov.u32 %r1, buffer; mad.lo.u32 %r1, %t, 4, %r1; st.shared.u32 [%r1], %t;\n"
                   "cvt.u64.u32 %q1, %r1; cvta.shared.u64 %q1, %q1; isspacep.shared %p1, %q1; ld.u32 %r2, [%q1];\n"
                   "@%p1 st.global.u32 [%out], %r2;",
                   "sm_90a", variable));
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(out[t], t);
  EXPECT_TRUE(finds("out-of-bounds", kernel("mov.u32 %r1, buffer; st.shared.u32 [%r1+128], %t;", "sm_90a", variable)));
  Input dynamic;
  dynamic.launch.sharedBytes = 256;
  std::string external = ".extern .shared .align 16 .b8 more[];\n";
  clean(kernel("mov.u32 %r1, more; mad.lo.u32 %r1, %t, 8, %r1; st.shared.u32 [%r1], %t;", "sm_90a", external), dynamic);
  EXPECT_TRUE(
      finds("out-of-bounds", kernel("mov.u32 %r1, more; st.shared.u32 [%r1+256], %t;", "sm_90a", external), dynamic));
}

TEST(SharedMemory, bankConflicts) {
  std::string variable = ".shared .align 16 .b8 buffer[16384];\n";
  auto conflicts = [&](const std::string &stride) {
    return run(kernel("mov.u32 %r1, buffer; mad.lo.u32 %r1, %t, " + stride + ", %r1; st.shared.u32 [%r1], %t;",
                      "sm_90a", variable))
        .report.counts.bankConflicts;
  };
  EXPECT_EQ(conflicts("4"), 0u);
  EXPECT_EQ(conflicts("8"), 1u);
  EXPECT_EQ(conflicts("16"), 3u);
  EXPECT_EQ(conflicts("128"), 31u);
  EXPECT_EQ(conflicts("132"), 0u);
  EXPECT_EQ(conflicts("0"), 0u);
}

TEST(Registers, undefinedOnesAreFound) {
  EXPECT_TRUE(finds("uninitialised", kernel("add.u32 %r1, %r2, 1;")));
  EXPECT_TRUE(finds("uninitialised", kernel("mov.u32 %r1, %r2; st.global.u32 [%out], %r1;")));
  EXPECT_TRUE(finds("uninitialised", kernel("@%p1 add.u32 %r1, %t, 1;")));
  EXPECT_TRUE(finds("uninitialised", kernel("setp.lt.u32 %p1, %t, 8; @%p1 mov.u32 %r1, 1; add.u32 %r2, %r1, 1;")));
  // Moved but not used; and packed beside a half that is.
  clean(kernel("mov.u32 %r1, %r2;"));
  clean(kernel("mov.b64 %q1, {%t, %r2}; mov.b64 {%r3, _}, %q1; st.global.u32 [%out], %r3;"));
}

} // namespace
