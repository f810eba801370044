#include "Emulation.h"

#include <cmath>

using namespace emulation;

namespace {

uint32_t pairOf(float low, float high) {
  auto half = [](float value) {
    _Float16 narrow = static_cast<_Float16>(value);
    uint16_t result;
    std::memcpy(&result, &narrow, 2);
    return static_cast<uint32_t>(result);
  };
  return half(low) | half(high) << 16;
}

// Loads `count` registers %rFIRST... of each lane from consecutive words of an array.
std::string loads(const std::string &array, unsigned first, unsigned count) {
  std::string text = "mad.wide.u32 %q1, %t, " + std::to_string(4 * count) + ", " + array + ";\n";
  for (unsigned index = 0; index < count; ++index)
    text += "ld.global.u32 %r" + std::to_string(first + index) + ", [%q1+" + std::to_string(4 * index) + "];\n";
  return text;
}

std::string stores(unsigned first, unsigned count) {
  std::string text = "sub.s64 %out, %out, %at; mad.wide.u32 %q1, %t, " + std::to_string(4 * count) + ", %out;\n";
  for (unsigned index = 0; index < count; ++index)
    text += "st.global.u32 [%q1+" + std::to_string(4 * index) + "], %r" + std::to_string(first + index) + ";\n";
  return text;
}

const std::string start = "sub.s64 %in, %in, %at;\n";

int a(unsigned row, unsigned k) { return static_cast<int>(row * 3 + k * 5) % 7 - 3; }
int b(unsigned k, unsigned column) { return static_cast<int>(k * 2 + column * 3) % 5 - 2; }
int sum(unsigned row, unsigned column, unsigned depth) {
  int total = 0;
  for (unsigned k = 0; k < depth; ++k)
    total += a(row, k) * b(k, column);
  return total;
}

TEST(Mma, halvesOf16x8x16) {
  Input setup;
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned g = lane / 4, t = lane % 4;
    for (unsigned r = 0; r < 4; ++r) {
      unsigned row = g + 8 * (r & 1), k = (r >> 1) * 8 + t * 2;
      setup.in[lane * 4 + r] = pairOf(a(row, k), a(row, k + 1));
    }
    for (unsigned r = 0; r < 2; ++r) {
      unsigned k = r * 8 + t * 2;
      setup.more[lane * 2 + r] = pairOf(b(k, g), b(k + 1, g));
    }
  }
  std::string operands = start + loads("%in", 0, 4) + loads("%more", 4, 2);
  auto out =
      clean(kernel(operands +
                   "mov.f32 %f0, 0f3f800000;\nmma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r8,%r9,%r10,%r11}, "
                   "{%r0,%r1,%r2,%r3}, {%r4,%r5}, {%f0,%f0,%f0,%f0};\n" +
                   stores(8, 4)),
            setup);
  auto half = clean(kernel(operands +
                           "mov.b32 %r6, 0;\nmma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r8,%r9}, "
                           "{%r0,%r1,%r2,%r3}, {%r4,%r5}, {%r6,%r6};\n" +
                           stores(8, 2)),
                    setup);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned r = 0; r < 4; ++r) {
      unsigned row = lane / 4 + 8 * (r >> 1), column = lane % 4 * 2 + (r & 1);
      EXPECT_EQ(single(out[lane * 4 + r]), sum(row, column, 16) + 1) << lane << " " << r;
      if (r % 2 == 0)
        EXPECT_EQ(half[lane * 2 + r / 2], pairOf(sum(row, column, 16), sum(row, column + 1, 16)));
    }
  EXPECT_TRUE(finds("diverged",
                    kernel(operands + "setp.lt.u32 %p1, %t, 16; @%p1 ret; mov.f32 %f0, "
                                      "0f00000000;\nmma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                                      "{%r8,%r9,%r10,%r11}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, {%f0,%f0,%f0,%f0};"),
                    setup));
}

TEST(Mma, shapesOfTheirArchitectures) {
  auto error = [](const std::string &instruction, const std::string &target) {
    return run(kernel(
                   "mov.u32 %r0, 0; mov.u32 %r1, 0; mov.u32 %r2, 0; mov.u32 %r3, 0; mov.b32 %r4, 0; mov.b32 %r5, 0;\n" +
                       instruction,
                   target))
        .error;
  };
  std::string turing =
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%r8,%r9,%r10,%r11}, {%r0,%r1}, {%r2}, {%r4,%r4,%r4,%r4};";
  std::string bytes = "mma.sync.aligned.m8n8k16.row.col.s32.s8.u8.s32 {%r8,%r9}, {%r0}, {%r1}, {%r2,%r3};";
  std::string ampere = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r8,%r9,%r10,%r11}, {%r0,%r1,%r2,%r3}, "
                       "{%r4,%r5}, {%r4,%r4,%r4,%r4};";
  std::string ada = "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e5m2.f32 {%r8,%r9,%r10,%r11}, {%r0,%r1,%r2,%r3}, "
                    "{%r4,%r5}, {%r4,%r4,%r4,%r4};";
  std::string small = "mma.sync.aligned.m16n8k32.row.col.kind::f8f6f4.f32.e2m1.e3m2.f32 {%r8,%r9,%r10,%r11}, "
                      "{%r0,%r1,%r2,%r3}, {%r4,%r5}, {%r4,%r4,%r4,%r4};";
  EXPECT_EQ(error(turing, "sm_75"), "");
  EXPECT_EQ(error(bytes, "sm_75"), "");
  EXPECT_NE(error(ampere, "sm_75").find("sm_80"), std::string::npos);
  EXPECT_EQ(error(ampere, "sm_80"), "");
  EXPECT_NE(error(ada, "sm_80").find("sm_89"), std::string::npos);
  EXPECT_EQ(error(ada, "sm_89"), "");
  EXPECT_NE(error(small, "sm_100a"), "");
  EXPECT_EQ(error(small, "sm_120a"), "");
  EXPECT_NE(error("wgmma.fence.sync.aligned;", "sm_100a"), "");
  EXPECT_NE(error("tcgen05.wait::ld.sync.aligned;", "sm_90a"), "");
}

// One row and column at a time: element k of the only row that is not zero.
TEST(Mma, bytesWrapAndSaturate) {
  Input setup;
  std::fill(setup.in.begin(), setup.in.end(), 0x7f7f7f7f);
  std::string operands = start + "ld.global.u32 %r0, [%in];\nmov.b32 %r4, 0x7ffffff0;\n";
  std::string call = "{%r8,%r9,%r10,%r11}, {%r0,%r0,%r0,%r0}, {%r0,%r0}, {%r4,%r4,%r4,%r4};\n";
  EXPECT_EQ(
      clean(kernel(operands + "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 " + call + stores(8, 4)), setup)[0],
      0x7ffffff0u + 32 * 127 * 127);
  EXPECT_EQ(clean(kernel(operands + "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32 " + call + stores(8, 4)),
                  setup)[0],
            0x7fffffffu);
  // Nibbles: 7 * 7 each.
  EXPECT_EQ(clean(kernel(operands +
                         "mov.b32 %r4, 0; mov.b32 %r0, 0x77777777;\nmma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 " +
                         call + stores(8, 4)),
                  setup)[0],
            64u * 49);
}

TEST(Mma, scaleSelectors) {
  // All elements 1 (e4m3 0x38), the scale of row g is 2^g, of column n is 2^-n; in byte 2 of the second pair of lanes.
  Input setup;
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned quad = lane / 4, within = lane % 4;
    unsigned row = quad + 8 * (within & 1);
    setup.in[lane] = within >= 2 ? (127 + row) << 16 : 0xff00ffff;
    setup.more[lane] = within == 3 ? (127 - quad) << 16 : 0xff00ffff;
  }
  auto body = [](const std::string &aSelector, const std::string &bSelector) {
    return kernel("ld.global.u32 %r1, [%in]; add.s64 %q1, %more, %at; ld.global.u32 %r2, [%q1]; mov.b32 %r0, "
                  "0x38383838; mov.b32 %r4, 0;\n"
                  "mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale.scale_vec::1X.f32.e4m3.e4m3.f32.ue8m0 "
                  "{%r8,%r9,%r10,%r11}, "
                  "{%r0,%r0,%r0,%r0}, {%r0,%r0}, {%r4,%r4,%r4,%r4}, {%r1}, " +
                      aSelector + ", {%r2}, " + bSelector + ";\n" + stores(8, 4),
                  "sm_120a");
  };
  auto out = clean(body("{2, 1}", "{2, 3}"), setup);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned r = 0; r < 4; ++r) {
      int row = static_cast<int>(lane / 4 + 8 * (r >> 1)), column = static_cast<int>(lane % 4 * 2 + (r & 1));
      EXPECT_EQ(single(out[lane * 4 + r]), 32 * std::ldexp(1.0f, row - column));
    }
  EXPECT_TRUE(finds("descriptor", body("{2, 2}", "{2, 3}"), setup));
  EXPECT_NE(clean(body("{1, 1}", "{2, 3}"), setup)[0], out[0]);
}

TEST(Matrices, loadsStoresAndMoves) {
  Input setup;
  std::string variable = ".shared .align 16 .b8 buffer[1024];\n";
  // Row n of the matrix holds 16-bit values 8n to 8n + 7.
  std::string fill =
      "mov.u32 %base, buffer; mad.lo.u32 %r1, %t, 4, %base; shl.b32 %r2, %t, 1; add.u32 %r3, %r2, 1; shl.b32 %r3, %r3, "
      "16;\n"
      "or.b32 %r2, %r2, %r3; st.shared.u32 [%r1], %r2; and.b32 %r4, %t, 7; mad.lo.u32 %r4, %r4, 16, %base;\n";
  auto out = clean(kernel(fill +
                              "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r5}, [%r4]; "
                              "ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r6}, [%r4];\n"
                              "movmatrix.sync.aligned.m8n8.trans.b16 %r7, %r5; "
                              "stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%r4+512], {%r5};\n"
                              "ld.shared.u32 %r8, [%r1+512];\n" +
                              stores(5, 4),
                          "sm_90", variable),
                   setup);
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned row = lane / 4, column = lane % 4 * 2;
    uint32_t plain = (row * 8 + column) | (row * 8 + column + 1) << 16,
             transposed = (column * 8 + row) | ((column + 1) * 8 + row) << 16;
    EXPECT_EQ(out[lane * 4], plain);
    EXPECT_EQ(out[lane * 4 + 1], transposed);
    EXPECT_EQ(out[lane * 4 + 2], transposed);
    EXPECT_EQ(out[lane * 4 + 3], transposed);
  }
  EXPECT_TRUE(finds("misaligned",
                    kernel(fill + "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r5}, [%r4+8];", "sm_90", variable)));
  EXPECT_TRUE(finds("out-of-bounds",
                    kernel(fill + "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r5}, [%r4+1024];", "sm_90", variable)));
}

const std::string columns = ".shared .align 16 .b8 where[16];\n";

std::string tensor(const std::string &body, bool frees = true, const std::string &count = "32") {
  return kernel("mov.u32 %base, where; tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%base], " + count +
                    "; ld.shared.u32 %r0, [%base];\n" + body +
                    (frees ? "tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r0, " + count + ";\n" : ""),
                "sm_100a", columns);
}

TEST(TensorMemory, storesAndLoads) {
  std::string store = "add.u32 %r1, %t, 100; tcgen05.st.sync.aligned.32x32b.x2.b32 [%r0+4], {%t, %r1}; "
                      "tcgen05.wait::st.sync.aligned;\n";
  std::string load = "tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r2, %r3}, [%r0+4];\n",
              wait = "tcgen05.wait::ld.sync.aligned;\n";
  std::string use = "mad.lo.u32 %r2, %r2, 1000, %r3; st.global.u32 [%out], %r2;\n";
  auto out = clean(tensor(store + load + wait + use));
  EXPECT_EQ(out[7], 7107u);
  EXPECT_TRUE(finds("tcgen05", tensor(store + load + use)));
  EXPECT_TRUE(finds("uninitialised", tensor(load + wait)));
  EXPECT_TRUE(finds("tcgen05", tensor(store, false)));
  EXPECT_TRUE(finds("tcgen05", tensor("", true, "48")));
  EXPECT_TRUE(finds("out-of-bounds", tensor("tcgen05.st.sync.aligned.32x32b.x1.b32 [%r0+32], {%t};\n")));
  EXPECT_TRUE(finds(
      "tcgen05",
      tensor("mov.b32 %r1, 0x200000; add.u32 %r1, %r0, %r1; tcgen05.st.sync.aligned.32x32b.x1.b32 [%r1], {%t};\n")));
}

} // namespace
