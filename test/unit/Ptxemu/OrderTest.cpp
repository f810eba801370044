#include "Emulation.h"

using namespace emulation;

namespace {

const std::string buffer = ".shared .align 128 .b8 buffer[4096];\n.shared .align 8 .b8 barriers[64];\n";

std::string shared(const std::string &body, const std::string &target = "sm_90a") {
  return kernel(
      "mov.u32 %base, buffer; mad.lo.u32 %r1, %t, 4, %base; mov.u32 %r2, barriers; setp.eq.u32 %p1, %t, 0;\n" + body,
      target, buffer);
}

// Each thread reads what its neighbour in the next warp wrote.
const std::string write = "st.shared.u32 [%r1], %t;\n";
const std::string read =
    "add.u32 %r3, %t, 32; and.b32 %r3, %r3, 127; mad.lo.u32 %r3, %r3, 4, %base; ld.shared.u32 %r4, [%r3];\n"
    "st.global.u32 [%out], %r4;\n";

Outcome anySeed(const std::string &ptx, Input setup) {
  Outcome result;
  for (setup.options.seed = 1; setup.options.seed < 8; ++setup.options.seed) {
    result = run(ptx, setup);
    if (!result.report.ok())
      return result;
  }
  return result;
}

TEST(SharedMemory, barriersOrderWarps) {
  Input setup(128);
  auto out = clean(shared(write + "bar.sync 0;\n" + read), setup);
  for (uint32_t t = 0; t < 128; ++t)
    EXPECT_EQ(out[t], (t + 32) % 128);
  Outcome result = anySeed(shared(write + read), setup);
  EXPECT_TRUE(result.has("race") || result.has("uninitialised")) << result.report.text();
  // A second write needs a second barrier.
  EXPECT_TRUE(anySeed(shared(write + "bar.sync 0;\n" + read + write), setup).has("race"));
  clean(shared(write + "bar.sync 0;\n" + read + "bar.sync 0;\n" + write), setup);
  setup.options.checks = false;
  EXPECT_TRUE(run(shared(write + read), setup).report.ok());
}

TEST(SharedMemory, oneWarpIsOrdered) { clean(shared(write + "xor.b32 %r3, %r1, 4; ld.shared.u32 %r4, [%r3];")); }

TEST(SharedMemory, whatNothingWrote) { EXPECT_TRUE(finds("uninitialised", shared("ld.shared.u32 %r4, [%r1];"))); }

TEST(SharedMemory, atomicsAndFlags) {
  Input setup(128);
  std::string zero = "@%p1 st.shared.u32 [%base], 0; bar.sync 0;\n";
  auto out = clean(
      shared(zero +
             "atom.shared.add.u32 %r3, [%base], 1; bar.sync 0; ld.shared.u32 %r4, [%base]; st.global.u32 [%out], %r4;"),
      setup);
  EXPECT_EQ(out[77], 128u);
  EXPECT_TRUE(
      anySeed(shared(zero + "atom.shared.add.u32 %r3, [%base], 1; ld.shared.u32 %r4, [%base];"), setup).has("race"));
  // The first thread publishes a value; the others poll its flag.
  std::string publish =
      "@!%p1 bra WAIT; st.shared.u32 [%base+64], 42; st.release.cta.shared.u32 [%base], 1; bra DONE;\n"
      "WAIT: ld.acquire.cta.shared.u32 %r3, [%base]; setp.eq.u32 %p2, %r3, 0; @%p2 bra WAIT;\n"
      "DONE: ld.shared.u32 %r4, [%base+64]; st.global.u32 [%out], %r4;";
  out = clean(shared(zero + publish), setup);
  EXPECT_EQ(out[100], 42u);
}

TEST(AsyncCopies, waitForGroups) {
  Input setup;
  for (uint32_t i = 0; i < 256; ++i)
    setup.in[i] = i;
  std::string copy = "cp.async.ca.shared.global [%r1], [%in], 4; cp.async.commit_group;\n"
                     "cp.async.ca.shared.global [%r1+128], [%in+128], 4, 0; cp.async.commit_group;\n";
  std::string use = "ld.shared.u32 %r4, [%r1]; st.global.u32 [%out], %r4;\n";
  auto out = clean(shared(copy + "cp.async.wait_group 1;\n" + use), setup);
  EXPECT_EQ(out[9], 9u);
  out = clean(shared(copy + "cp.async.wait_all;\n" + use +
                     "ld.shared.u32 %r5, [%r1+128]; add.u32 %r4, %r4, %r5; st.global.u32 [%out], %r4;"),
              setup);
  EXPECT_EQ(out[9], 9u);
  EXPECT_TRUE(finds("race", shared(copy + use), setup));
  EXPECT_TRUE(finds("race", shared(copy + "cp.async.wait_group 2;\n" + use), setup));
  EXPECT_TRUE(finds("race", shared(copy + "cp.async.wait_group 1; ld.shared.u32 %r4, [%r1+128];"), setup));
  EXPECT_TRUE(finds("misaligned", shared("cp.async.cg.shared.global [%r1], [%in], 16;"), setup));
  EXPECT_TRUE(finds("out-of-bounds", shared("cp.async.ca.shared.global [%r1], [%in+1000], 4;"), setup));
}

const std::string init = "@%p1 mbarrier.init.shared.b64 [%r2], 32; bar.sync 0;\n";
const std::string wait = "LOOP: mbarrier.try_wait.parity.shared.b64 %p2, [%r2], 0; @!%p2 bra LOOP;\n";

TEST(Mbarriers, orderProducersAndConsumers) {
  Input setup(64);
  std::string roles = "setp.lt.u32 %p3, %t, 32; @!%p3 bra CONSUME;\n" + write +
                      "mbarrier.arrive.shared.b64 %q1, [%r2]; bra DONE;\nCONSUME:\n";
  std::string use = "add.u32 %r3, %r1, -128; ld.shared.u32 %r4, [%r3]; st.global.u32 [%out], %r4;\nDONE:";
  auto out = clean(shared(init + roles + wait + use), setup);
  EXPECT_EQ(out[50], 18u);
  Outcome result = anySeed(shared(init + roles + use), setup);
  EXPECT_TRUE(result.has("race") || result.has("uninitialised")) << result.report.text();
}

TEST(Mbarriers, count) {
  Input setup(64);
  EXPECT_TRUE(finds("mbarrier", shared("mbarrier.arrive.shared.b64 %q1, [%r2];"), setup));
  EXPECT_TRUE(finds(
      "mbarrier", shared("@%p1 mbarrier.init.shared.b64 [%r2], 63; bar.sync 0; mbarrier.arrive.shared.b64 %q1, [%r2];"),
      setup));
  EXPECT_TRUE(finds("mbarrier", shared("@%p1 mbarrier.init.shared.b64 [%r2], 0;"), setup));
  EXPECT_TRUE(finds("misaligned", shared("@%p1 mbarrier.init.shared.b64 [%r2+4], 1;"), setup));
  EXPECT_TRUE(finds("mbarrier",
                    shared("@%p1 mbarrier.init.shared.b64 [%r2], 1; bar.sync 0; @%p1 "
                           "mbarrier.arrive.expect_tx.shared.b64 _, [%r2], 16;"),
                    setup));
  EXPECT_TRUE(finds("deadlock", shared(init + wait)));
  clean(shared("@%p1 mbarrier.init.shared.b64 [%r2], 64; bar.sync 0; mbarrier.arrive.shared.b64 %q1, [%r2];\n"
               "L: mbarrier.test_wait.shared.b64 %p2, [%r2], %q1; @!%p2 bra L;"),
        setup);
  // A fresh barrier answers true for parity 1.
  clean(shared(init + "L: mbarrier.try_wait.parity.shared.b64 %p2, [%r2], 1; @!%p2 bra L;"), setup);
  EXPECT_TRUE(anySeed(shared("@%p1 mbarrier.init.shared.b64 [%r2], 64; mbarrier.arrive.shared.b64 %q1, [%r2];"), setup)
                  .report.findings.size());
}

} // namespace
