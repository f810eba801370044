#include "Emulation.h"

using namespace emulation;

namespace {

TEST(Warps, shuffles) {
  auto out =
      clean(kernel("shfl.sync.bfly.b32 %r1|%p1, %t, 5, 0x1f, -1; shfl.sync.up.b32 %r2|%p2, %t, 2, 0, -1;\n"
                   "shfl.sync.down.b32 %r3, %t, 1, 0x1f, -1; shfl.sync.idx.b32 %r4, %t, 3, 0x181f, -1;\n"
                   "shl.b32 %r2, %r2, 8; shl.b32 %r3, %r3, 16; shl.b32 %r4, %r4, 24;\n"
                   "or.b32 %r1, %r1, %r2; or.b32 %r1, %r1, %r3; or.b32 %r1, %r1, %r4; st.global.u32 [%out], %r1;"));
  for (uint32_t t = 0; t < 32; ++t) {
    EXPECT_EQ(out[t] & 255, t ^ 5);
    EXPECT_EQ(out[t] >> 8 & 255, t < 2 ? t : t - 2);
    EXPECT_EQ(out[t] >> 16 & 255, t == 31 ? t : t + 1);
    EXPECT_EQ(out[t] >> 24, (t & 24) + 3);
  }
}

TEST(Warps, votesAndReductions) {
  auto out =
      clean(kernel("setp.lt.u32 %p1, %t, 4; vote.sync.ballot.b32 %r1, %p1, -1; vote.sync.any.pred %p2, %p1, -1;\n"
                   "redux.sync.add.s32 %r2, %t, -1; and.b32 %r4, %t, 1; match.any.sync.b32 %r3, %r4, -1;\n"
                   "elect.sync %r5|%p3, -1; selp.u32 %r6, 1, 0, %p3; add.u32 %r1, %r1, %r2; xor.b32 %r1, %r1, %r3;\n"
                   "@%p2 add.u32 %r1, %r1, %r6; st.global.u32 [%out], %r1;"));
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(out[t], ((15u + 496) ^ (t & 1 ? 0xaaaaaaaau : 0x55555555u)) + (t == 0)) << t;
}

TEST(Warps, meetAgainForCollectives) {
  // The two halves reach the shuffle one after the other.
  clean(kernel("setp.lt.u32 %p1, %t, 16; mov.u32 %r2, 0; @%p1 bra A; LOOP: add.u32 %r2, %r2, 1; setp.lt.u32 %p2, %r2, "
               "50; @%p2 bra LOOP;\n"
               "A: shfl.sync.bfly.b32 %r1, %t, 16, 0x1f, -1; st.global.u32 [%out], %r1;"));
  EXPECT_TRUE(finds("shuffle", kernel("setp.lt.u32 %p1, %t, 16; @%p1 shfl.sync.bfly.b32 %r1, %t, 16, 0x1f, 0xffff;")));
  EXPECT_TRUE(finds("deadlock", kernel("setp.lt.u32 %p1, %t, 16; @%p1 bra A; bar.warp.sync -1; bra B; A: "
                                       "shfl.sync.bfly.b32 %r1, %t, 1, 0x1f, -1; B:")));
}

TEST(Warps, syncFromTwoPlaces) {
  clean(kernel("setp.lt.u32 %p1, %t, 16; @%p1 bra A; bar.warp.sync -1; bra B; A: bar.warp.sync -1; B: st.global.u32 "
               "[%out], %t;"));
}

TEST(Barriers, ofBlocks) {
  Input setup(128);
  auto out = clean(
      kernel("setp.lt.u32 %p1, %t, 40; barrier.cta.red.popc.aligned.u32 %r1, 0, %p1; bar.red.or.pred %p2, 1, %p1;\n"
             "@%p2 st.global.u32 [%out], %r1;"),
      setup);
  for (uint32_t t = 0; t < 128; ++t)
    EXPECT_EQ(out[t], 40u);
  // Producers arrive, consumers wait.
  clean(kernel("setp.lt.u32 %p1, %t, 64; @%p1 bra A; bar.sync 2, 128; bra B; A: bar.arrive 2, 128; B:"), setup);
  EXPECT_TRUE(finds("deadlock",
                    kernel("setp.lt.u32 %p1, %t, 64; @%p1 bra A; bar.sync 2, 128; bra B; A: bar.sync 3, 128; B:"),
                    setup));
  EXPECT_TRUE(finds("barrier", kernel("bar.sync 1, 100;"), setup));
  EXPECT_TRUE(finds("barrier", kernel("bar.sync 16;"), setup));
  Outcome dead =
      run(kernel("setp.lt.u32 %p1, %t, 64; @%p1 bra A; bar.sync 2, 128; bra B; A: bar.sync 3, 128; B:"), setup);
  EXPECT_NE(dead.report.text().find("warp 3 at line"), std::string::npos) << dead.report.text();
}

TEST(Barriers, ofClusters) {
  Input setup(64);
  setup.launch.grid[0] = 4;
  setup.launch.cluster[0] = 2;
  std::string variable = ".shared .align 16 .b8 mine[256];\n";
  std::string body = R"(
mov.u32 %r1, %cluster_ctarank; mov.u32 %r2, mine; mad.lo.u32 %r3, %t, 4, %r2;
mad.lo.u32 %r4, %r1, 1000, %t; st.shared.u32 [%r3], %r4;
barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;
xor.b32 %r5, %r1, 1; mapa.shared::cluster.u32 %r6, %r3, %r5; ld.shared::cluster.u32 %r7, [%r6];
mov.u32 %r8, %ctaid.x; mul.wide.u32 %q1, %r8, 256; add.s64 %q1, %q1, %out; st.global.u32 [%q1], %r7;
barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;
)";
  auto out = clean(kernel(body, "sm_90", variable), setup);
  for (uint32_t block = 0; block < 4; ++block)
    EXPECT_EQ(out[block * 64 + 5], (block % 2 ? 0 : 1000u) + 5);
  std::string unordered = body;
  unordered.erase(unordered.find("barrier.cluster.arrive.release"),
                  std::string("barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;").size());
  Outcome result = run(kernel(unordered, "sm_90", variable), setup);
  EXPECT_TRUE(result.has("race") || result.has("uninitialised")) << result.report.text();
  EXPECT_TRUE(finds("out-of-bounds",
                    kernel("mov.u32 %r2, mine; mapa.shared::cluster.u32 %r6, %r2, 7;", "sm_90", variable), setup));
}

TEST(Registers, setmaxnreg) {
  clean(kernel("setmaxnreg.dec.sync.aligned.u32 40;", "sm_90a", "", " .maxnreg 128"), Input(128));
  EXPECT_TRUE(
      finds("setmaxnreg", kernel("setmaxnreg.dec.sync.aligned.u32 41;", "sm_90a", "", " .maxnreg 128"), Input(128)));
  EXPECT_TRUE(finds("setmaxnreg", kernel("setmaxnreg.dec.sync.aligned.u32 40;"), Input(128)));
}

} // namespace
