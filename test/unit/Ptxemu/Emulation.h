// A kernel from a few lines of PTX, run on arrays.
#ifndef QCC_TEST_UNIT_PTXEMU_EMULATION_H
#define QCC_TEST_UNIT_PTXEMU_EMULATION_H

#include "qcc/Ptxemu/Device.h"
#include "qcc/Ptxemu/TensorMap.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace emulation {

using namespace qcc::ptxemu;

// A kernel `k` with three pointers in %in, %out, %more, the thread's number in %t and its place in an array of 32-bit
// values in %at. Registers: %p, %h, %r, %f, %q (64 bits), %d (doubles), 0 to 63 of each.
inline std::string kernel(const std::string &body, const std::string &target = "sm_90a", const std::string &before = "",
                          const std::string &directives = "") {
  return ".version 8.8\n.target " + target + "\n.address_size 64\n" + before +
         "\n.visible .entry k(.param .u64 k_in, .param .u64 k_out, .param .u64 k_more)" + directives + R"(
{
.reg .pred %p<64>; .reg .b16 %h<64>; .reg .b32 %r<64>; .reg .f32 %f<64>; .reg .b64 %q<64>; .reg .f64 %d<64>;
.reg .b64 %in, %out, %more, %at; .reg .b32 %t, %base;
ld.param.u64 %in, [k_in]; ld.param.u64 %out, [k_out]; ld.param.u64 %more, [k_more];
mov.u32 %t, %tid.x; mul.wide.u32 %at, %t, 4; add.s64 %in, %in, %at; add.s64 %out, %out, %at;
)" + body +
         "\nret;\n}\n";
}

struct Outcome {
  Report report;
  std::vector<uint32_t> out;
  std::string error; // of the module

  bool has(const std::string &kind) const {
    for (const Finding &finding : report.findings)
      if (finding.kind == kind)
        return true;
    return false;
  }
};

struct Input {
  Launch launch;
  Options options;
  std::vector<uint32_t> in = std::vector<uint32_t>(256), more = std::vector<uint32_t>(256);
  size_t outWords = 256;

  explicit Input(uint32_t threads = 32) { launch.block[0] = threads; }
};

inline Outcome run(const std::string &ptx, Input setup = Input()) {
  Outcome result;
  std::shared_ptr<const Module> module = Module::parse(ptx, result.error);
  if (!module)
    return result;
  Device device(module->target());
  if (!device.load(module, result.error))
    return result;
  uint64_t pointers[3] = {device.allocate(setup.in.size() * 4), device.allocate(setup.outWords * 4),
                          device.allocate(setup.more.size() * 4)};
  device.write(pointers[0], setup.in.data(), setup.in.size() * 4);
  device.fill(pointers[1], 0, setup.outWords * 4);
  device.write(pointers[2], setup.more.data(), setup.more.size() * 4);
  setup.launch.parameters = pointers;
  setup.launch.parameterBytes = sizeof pointers;
  result.report = device.launch(*module, "k", setup.launch, setup.options);
  result.out.resize(setup.outWords);
  device.read(result.out.data(), pointers[1], setup.outWords * 4);
  return result;
}

// Runs and expects nothing to be found.
inline std::vector<uint32_t> clean(const std::string &ptx, const Input &setup = Input()) {
  Outcome result = run(ptx, setup);
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.report.text(), "");
  result.out.resize(std::max<size_t>(result.out.size(), 1));
  return result.out;
}

// Whether a finding of the kind is made under each of some seeds.
inline ::testing::AssertionResult finds(const std::string &kind, const std::string &ptx, Input setup = Input()) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    setup.options.seed = seed;
    Outcome result = run(ptx, setup);
    if (!result.error.empty())
      return ::testing::AssertionFailure() << result.error;
    if (!result.has(kind))
      return ::testing::AssertionFailure() << "seed " << seed << " found: " << result.report.text();
  }
  return ::testing::AssertionSuccess();
}

inline uint32_t bits(float value) {
  uint32_t result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}
inline float single(uint32_t value) {
  float result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

} // namespace emulation

#endif // QCC_TEST_UNIT_PTXEMU_EMULATION_H
