#include "Emulation.h"

using namespace emulation;

namespace {

TensorMapDescription description(uint64_t address) {
  TensorMapDescription map;
  map.type = TensorType::U32;
  map.rank = 2;
  map.address = address;
  map.dims[0] = 16;
  map.dims[1] = 6;
  map.strides[0] = 64;
  map.box[0] = 8;
  map.box[1] = 4;
  return map;
}

TEST(TensorMaps, rules) {
  alignas(64) uint8_t bytes[tensorMapBytes];
  std::string error;
  TensorMapDescription good = description(4096), back;
  good.swizzle = TensorSwizzle::Bytes32;
  ASSERT_TRUE(encodeTensorMap(good, bytes, error)) << error;
  ASSERT_TRUE(decodeTensorMap(bytes, back));
  EXPECT_EQ(back.address, good.address);
  EXPECT_EQ(back.dims[1], 6u);
  EXPECT_EQ(back.box[0], 8u);
  EXPECT_EQ(back.strides[0], 64u);
  EXPECT_EQ(back.swizzle, TensorSwizzle::Bytes32);
  bytes[0] ^= 1;
  EXPECT_FALSE(decodeTensorMap(bytes, back));
  auto refused = [&](auto change) {
    TensorMapDescription map = description(4096);
    change(map);
    return !encodeTensorMap(map, bytes, error);
  };
  EXPECT_TRUE(refused([](auto &map) { map.address = 4100; }));
  EXPECT_TRUE(refused([](auto &map) { map.rank = 6; }));
  EXPECT_TRUE(refused([](auto &map) { map.strides[0] = 40; }));
  EXPECT_TRUE(refused([](auto &map) { map.box[1] = 257; }));
  EXPECT_TRUE(refused([](auto &map) { map.box[0] = 6; }));
  EXPECT_TRUE(refused([](auto &map) {
    map.box[0] = 16;
    map.swizzle = TensorSwizzle::Bytes32;
  }));
  EXPECT_TRUE(refused([](auto &map) { map.fill = TensorFill::Nan; }));
  EXPECT_FALSE(refused([](auto &) {}));
}

// A 16 x 6 tensor of 0, 1, 2, ... through a box of 8 x 4.
struct Copy : ::testing::Test {
  Outcome launch(const std::string &body, TensorSwizzle swizzle = TensorSwizzle::None, uint64_t seed = 1,
                 uint32_t blocks = 1) {
    std::string ptx = ".version 8.8\n.target sm_90a\n.address_size 64\n"
                      ".visible .entry k(.param .align 64 .b8 map[128], .param .u64 k_out)\n"
                      "{ .reg .pred %p<8>; .reg .b32 %r<16>; .reg .b64 %q<8>;\n"
                      ".shared .align 1024 .b8 tile[1024]; .shared .align 8 .b8 full[8];\n"
                      "mov.b64 %q1, map; cvta.param.u64 %q1, %q1; ld.param.u64 %q2, [k_out]; mov.u32 %r0, %tid.x; "
                      "mov.u32 %r1, tile; mov.u32 %r2, full;\n"
                      "setp.eq.u32 %p0, %r0, 0; mad.wide.u32 %q3, %r0, 4, %q2; mad.lo.u32 %r3, %r0, 4, %r1;\n" +
                      body + "\nret; }\n";
    Outcome result;
    auto module = Module::parse(ptx, result.error);
    if (!module)
      return result;
    Device device({9, 0, 0});
    device.load(module, result.error);
    uint64_t tensor = device.allocate(16 * 6 * 4), out = device.allocate(256);
    std::vector<uint32_t> values(96);
    for (uint32_t i = 0; i < 96; ++i)
      values[i] = i;
    device.write(tensor, values.data(), 384);
    device.fill(out, 0xee, 256);
    struct {
      alignas(64) uint8_t map[128];
      uint64_t out;
    } parameters;
    TensorMapDescription map = description(tensor);
    map.swizzle = swizzle;
    EXPECT_TRUE(encodeTensorMap(map, parameters.map, result.error)) << result.error;
    parameters.out = out;
    Launch launch;
    launch.block[0] = 32;
    launch.grid[0] = launch.cluster[0] = blocks;
    launch.parameters = &parameters;
    launch.parameterBytes = 136;
    Options options;
    options.seed = seed;
    result.report = device.launch(*module, "k", launch, options);
    result.out.resize(64 + 96);
    device.read(result.out.data(), out, 256);
    device.read(result.out.data() + 64, tensor, 384);
    return result;
  }
  const std::string init = "@%p0 mbarrier.init.shared.b64 [%r2], 1; fence.proxy.async; bar.sync 0;\n";
  const std::string expect = "@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r2], 128;\n";
  std::string load(int x, int y) {
    return "mov.b32 %r4, " + std::to_string(x) + "; mov.b32 %r5, " + std::to_string(y) +
           ";\n@%p0 cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%q1, {%r4, "
           "%r5}], [%r2];\n";
  }
  const std::string wait = "LOOP: mbarrier.try_wait.parity.shared.b64 %p1, [%r2], 0; @!%p1 bra LOOP;\n";
  const std::string use = "ld.shared.u32 %r6, [%r3]; st.global.u32 [%q3], %r6;\n";
};

TEST_F(Copy, loadsWithZerosOutside) {
  for (uint64_t seed = 1; seed < 5; ++seed) {
    Outcome result = launch(init + expect + load(-2, 4) + wait + use, TensorSwizzle::None, seed);
    EXPECT_EQ(result.error + result.report.text(), "");
    for (int row = 0; row < 4; ++row)
      for (int column = 0; column < 8; ++column) {
        int x = column - 2, y = row + 4;
        EXPECT_EQ(result.out[row * 8 + column], x < 0 || y > 5 ? 0u : uint32_t(y * 16 + x));
      }
  }
}

TEST_F(Copy, swizzlesByAbsoluteAddress) {
  // Bit 7 of the address exchanges the two units of 16 bytes of a row.
  std::string higher = "add.u32 %r1, %r1, 128; add.u32 %r3, %r3, 128;\n";
  Outcome result = launch(init + expect + load(8, 1) + wait + use, TensorSwizzle::Bytes32);
  EXPECT_EQ(result.error + result.report.text(), "");
  EXPECT_EQ(result.out[0], 24u);
  result = launch(init + higher + expect + load(8, 1) + wait + use, TensorSwizzle::Bytes32);
  EXPECT_EQ(result.error + result.report.text(), "");
  EXPECT_EQ(result.out[0], 28u);
  EXPECT_EQ(result.out[4], 24u);
  EXPECT_EQ(result.out[8], 44u);
  EXPECT_TRUE(launch(init + "add.u32 %r1, %r1, 64;\n" + expect + load(8, 1) + wait).has("misaligned"));
}

TEST_F(Copy, mustBeWaitedFor) {
  auto kinds = [&](const std::string &body) {
    std::string all;
    for (uint64_t seed = 1; seed < 6; ++seed) {
      Outcome result = launch(body, TensorSwizzle::None, seed);
      EXPECT_FALSE(result.report.ok()) << body;
      all += result.error;
      for (const Finding &finding : result.report.findings)
        all += finding.kind + " ";
    }
    return all;
  };
  std::string found = kinds(init + expect + load(0, 0) + use);
  EXPECT_TRUE(found.find("race") != std::string::npos || found.find("uninitialised") != std::string::npos) << found;
  std::string few = "@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r2], 127;\n",
              many = "@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r2], 144;\n";
  EXPECT_NE(kinds(init + few + load(0, 0) + wait + use).find("deadlock"), std::string::npos);
  EXPECT_NE(kinds(init + many + load(0, 0) + wait + use).find("deadlock"), std::string::npos);
  EXPECT_NE(kinds(expect + load(0, 0) + wait + use).find("mbarrier"), std::string::npos);
}

TEST_F(Copy, storesNeedAFence) {
  std::string write = "add.u32 %r6, %r0, 1000; st.shared.u32 [%r3], %r6;\n", fence = "fence.proxy.async.shared::cta;\n";
  std::string store = "bar.sync 0; mov.b32 %r4, 12; mov.b32 %r5, 4;\n"
                      "@%p0 cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%q1, {%r4, %r5}], [%r1];\n"
                      "cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0;\n";
  Outcome result = launch(write + fence + store + "bar.sync 0;\n" + write);
  EXPECT_EQ(result.error + result.report.text(), "");
  EXPECT_EQ(result.out[64 + 4 * 16 + 11], 75u);
  EXPECT_EQ(result.out[64 + 4 * 16 + 12], 1000u);
  EXPECT_EQ(result.out[64 + 5 * 16 + 15], 1011u);
  EXPECT_TRUE(launch(write + store).has("proxy"));
  std::string noWait = store.substr(0, store.find("cp.async.bulk.commit_group"));
  EXPECT_TRUE(launch(write + fence + noWait + "bar.sync 0;\n" + write).has("race"));
}

TEST_F(Copy, bulkBytesAndMulticast) {
  std::string bulk =
      "@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r2], 64;\n"
      "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%q2], 64, [%r2];\n";
  Outcome result =
      launch(init + bulk + wait +
             "setp.lt.u32 %p2, %r0, 16; @%p2 ld.shared.u32 %r6, [%r3]; @%p2 st.global.u32 [%q3+128], %r6;");
  EXPECT_EQ(result.error + result.report.text(), "");
  EXPECT_EQ(result.out[32], 0xeeeeeeeeu);
  // Each block waits for what the first sends to both.
  std::string cluster =
      "@%p0 mbarrier.init.shared.b64 [%r2], 1; fence.mbarrier_init.release.cluster; barrier.cluster.arrive.aligned; "
      "barrier.cluster.wait.aligned;\n" +
      expect +
      "mov.u32 %r7, %cluster_ctarank; setp.eq.and.u32 %p0, %r7, 0, %p0; mov.b32 %r4, 0; mov.b32 %r5, 2; { .reg .b16 "
      "both; mov.b16 both, 3;\n"
      "@%p0 cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r1], "
      "[%q1, {%r4, %r5}], [%r2], both; }\n" +
      wait + "mad.wide.u32 %q3, %r7, 128, %q3;\n" + use +
      "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;";
  result = launch(cluster, TensorSwizzle::None, 3, 2);
  EXPECT_EQ(result.error + result.report.text(), "");
  EXPECT_EQ(result.out[0], 32u);
  EXPECT_EQ(result.out[32 + 9], 49u);
}

} // namespace
