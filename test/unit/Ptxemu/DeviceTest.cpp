#include "Emulation.h"

using namespace emulation;

namespace {

TEST(Architectures, whatRunsWhere) {
  auto parsed = [](const char *text) {
    Architecture result;
    EXPECT_TRUE(Architecture::parse(text, result)) << text;
    return result;
  };
  EXPECT_TRUE(parsed("sm_90").runs(parsed("sm_80")));
  EXPECT_FALSE(parsed("sm_80").runs(parsed("sm_86")));
  EXPECT_TRUE(parsed("sm_90").runs(parsed("sm_90a")));
  EXPECT_FALSE(parsed("sm_100").runs(parsed("sm_90a")));
  EXPECT_TRUE(parsed("sm_103").runs(parsed("sm_100f")));
  EXPECT_FALSE(parsed("sm_120").runs(parsed("sm_100f")));
  EXPECT_EQ(parsed("sm_120a").spell(), "sm_120a");
  Architecture ignored;
  for (const char *wrong : {"", "sm_", "sm_9", "sm_90b", "90", "sm_1000", "sm_9a0"})
    EXPECT_FALSE(Architecture::parse(wrong, ignored)) << wrong;
}

TEST(Modules, whatIsNotUnderstoodIsAnError) {
  auto error = [](const std::string &body) { return run(kernel(body)).error; };
  EXPECT_EQ(error("add.s32 %r1, %t, 1;"), "");
  EXPECT_NE(error("add.cuckoo.s32 %r1, %t, 1;").find("'.cuckoo'"), std::string::npos);
  EXPECT_NE(error("wibble.s32 %r1, %t, 1;").find("'wibble'"), std::string::npos);
  EXPECT_NE(error("\n\nadd.s32 %r1, %t;").find("PTX line 13"), std::string::npos) << error("\n\nadd.s32 %r1, %t;");
  EXPECT_NE(error("add.s64 %r1, %t, 1;").find("32 bits where 64"), std::string::npos);
  EXPECT_NE(error("add.s32 %r1, %t, %r99;"), "");
  EXPECT_NE(error("bra NOWHERE;").find("NOWHERE"), std::string::npos);
  EXPECT_NE(error("ld.global.mystery.u32 %r1, [%in];"), "");
  EXPECT_NE(
      error("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f1,%f2,%f3}, {%r1,%r2}, {%r3}, {%f1,%f2,%f3,%f4};"),
      "");
}

TEST(Modules, describeThemselves) {
  std::string error;
  auto module = Module::parse(R"(.version 8.0
.target sm_80
.address_size 64
.global .align 8 .u32 counter = 7;
.const .align 4 .b8 table[3] = {1, 2, 3};
.visible .entry one(.param .u32 a, .param .align 64 .b8 b[128], .param .u64 c) .reqntid 64, 2
{ .shared .align 16 .b8 buffer[96]; .reg .b32 %r1; mov.u32 %r1, buffer; ret; }
)",
                              error);
  ASSERT_TRUE(module) << error;
  const KernelInfo *kernel = module->kernel("one");
  ASSERT_TRUE(kernel);
  ASSERT_EQ(kernel->parameters.size(), 3u);
  EXPECT_EQ(kernel->parameters[1].offset, 64u);
  EXPECT_EQ(kernel->parameters[2].offset, 192u);
  EXPECT_EQ(kernel->parameterBytes, 200u);
  EXPECT_EQ(kernel->requiredBlock[1], 2u);
  EXPECT_EQ(kernel->sharedBytes, 96u);
  ASSERT_EQ(module->globals().size(), 2u);
  EXPECT_TRUE(module->globals()[1].isConstant);
  EXPECT_FALSE(module->kernel("two"));
  Device device({8, 0, 0});
  ASSERT_TRUE(device.load(module, error));
  uint32_t counter = 0;
  EXPECT_TRUE(device.read(&counter, device.globalAddress(*module, "counter"), 4));
  EXPECT_EQ(counter, 7u);
  EXPECT_EQ(device.globalAddress(*module, "other"), 0u);
}

TEST(Devices, memoryIsCounted) {
  DeviceLimits limits;
  limits.memoryBytes = 1000;
  Device device({9, 0, 0}, limits);
  uint64_t one = device.allocate(600, 512);
  ASSERT_TRUE(one);
  EXPECT_EQ(one % 512, 0u);
  EXPECT_EQ(device.allocate(500), 0u);
  EXPECT_EQ(device.allocate(10, 3), 0u);
  EXPECT_TRUE(device.contains(one + 599, 1));
  EXPECT_FALSE(device.contains(one + 599, 2));
  uint8_t byte = 0;
  EXPECT_FALSE(device.read(&byte, one + 600, 1));
  uint64_t begin = 0, bytes = 0;
  EXPECT_TRUE(device.allocationOf(one + 5, begin, bytes));
  EXPECT_EQ(begin, one);
  EXPECT_EQ(bytes, 600u);
  EXPECT_FALSE(device.release(one + 1));
  EXPECT_TRUE(device.release(one));
  EXPECT_FALSE(device.contains(one, 1));
  EXPECT_EQ(device.allocatedBytes(), 0u);
}

TEST(Launches, areRefused) {
  std::string ptx = kernel("", "sm_80", "", " .maxntid 64");
  Input setup(128);
  EXPECT_TRUE(run(ptx, setup).has("launch"));
  setup.launch.block[0] = 64;
  EXPECT_FALSE(run(ptx, setup).has("launch"));
  setup.launch.sharedBytes = 166913;
  EXPECT_TRUE(run(ptx, setup).has("launch"));
  setup.launch.sharedBytes = 166912;
  EXPECT_FALSE(run(ptx, setup).has("launch"));
  setup.launch.cluster[0] = 2;
  EXPECT_TRUE(run(ptx, setup).has("launch"));
  EXPECT_NE(run(kernel("", "sm_80"), Input(0)).report.text(), "");
}

TEST(Launches, runFunctionsAndBranches) {
  std::string callee = R"(
.func (.param .b32 result) twice(.param .b32 value, .param .align 8 .b8 pair[16])
{ .reg .b32 %r<4>; ld.param.b32 %r1, [value]; ld.param.b32 %r2, [pair+8]; mad.lo.u32 %r3, %r1, 2, %r2; st.param.b32 [result], %r3; ret; }
)";
  auto out = clean(kernel(R"(
{ .param .b32 a; .param .align 8 .b8 b[16]; .param .b32 c;
st.param.b32 [a], %t; st.param.b32 [b+8], 100;
call.uni (c), twice, (a, b);
ld.param.b32 %r1, [c]; }
and.b32 %r2, %t, 3;
ts: .branchtargets ZERO, ONE, TWO, THREE;
brx.idx %r2, ts;
ZERO: add.u32 %r1, %r1, 1000; bra DONE;
ONE: add.u32 %r1, %r1, 2000; bra DONE;
TWO: add.u32 %r1, %r1, 3000; bra DONE;
THREE: mov.u32 %r3, 0;
LOOP: add.u32 %r1, %r1, 1; add.u32 %r3, %r3, 1; setp.lt.u32 %p1, %r3, %t; @%p1 bra LOOP;
DONE: st.global.u32 [%out], %r1;
)",
                          "sm_80", callee));
  for (uint32_t t = 0; t < 32; ++t)
    EXPECT_EQ(out[t], 2 * t + 100 + (t % 4 == 3 ? t : 1000 * (t % 4 + 1))) << t;
}

TEST(Launches, recursionIsSaid) {
  std::string callee = ".func f() { call.uni f; ret; }\n";
  EXPECT_TRUE(finds("unsupported", kernel("call.uni f;", "sm_80", callee)));
  EXPECT_TRUE(finds("unsupported", kernel("call.uni g;", "sm_80", ".extern .func g();\n")));
}

TEST(Launches, endAtTheirLimit) {
  Input setup;
  setup.options.instructionLimit = 10000;
  EXPECT_TRUE(finds("limit", kernel("LOOP: bra LOOP;"), setup));
  EXPECT_TRUE(finds("trap", kernel("trap;")));
}

TEST(Reports, countAndName) {
  Input setup(64);
  setup.launch.grid[0] = 3;
  Outcome result = run(kernel("setp.lt.u32 %p1, %t, 16;\n@%p1 ld.global.u32 %r1, [%in+100000];"), setup);
  ASSERT_EQ(result.report.findings.size(), 1u);
  const Finding &finding = result.report.findings[0];
  EXPECT_EQ(finding.kind, "out-of-bounds");
  EXPECT_EQ(finding.line, 12u);
  EXPECT_EQ(finding.warp, 0);
  EXPECT_EQ(finding.lanes, 1u);
  EXPECT_NE(finding.text().find("ld.global.u32 %r1, [%in+100000]"), std::string::npos) << finding.text();

  result = run(kernel("setp.lt.u32 %p1, %t, 16;\n@%p1 add.u32 %r1, %t, 1;"), setup);
  EXPECT_TRUE(result.report.ok()) << result.report.text();
  bool isFound = false;
  for (const LineCount &line : result.report.coverage)
    if (line.instruction == "@%p1 add.u32 %r1, %t, 1") {
      EXPECT_EQ(line.line, 12u);
      isFound = true;
      EXPECT_EQ(line.executed, 6u);
      EXPECT_EQ(line.threads, 48u);
    }
  EXPECT_TRUE(isFound);
}

} // namespace
