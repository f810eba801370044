// The programs as a shell runs them, on the artifact around TinyProgram.c.
#include "Shell.h"
#include "TinyModel.h"
#include "qcc/Npz/Npz.h"

using namespace qcc;
using namespace qcc::test;

namespace {

NpzArray floats(const std::string &name, std::vector<int64_t> shape, std::vector<float> values) {
  NpzArray array{name, DataType::F32, std::move(shape), std::vector<uint8_t>(values.size() * 4)};
  std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
  return array;
}

class CommandTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::string why;
    Manifest manifest = tinyManifest();
    manifest.targets.push_back(tinyDeviceTarget());
    ASSERT_TRUE(
        writeTiny(artifact, manifest, readBytes(TINY_PROGRAM), why,
                  {{"code/device.so", readBytes(TINY_DEVICE_PROGRAM)}, {"code/device.ptx", readBytes(TINY_PTX)}}))
        << why;
  }
  void TearDown() override {
    for (const std::string &path : {artifact, npz, out})
      std::filesystem::remove(path);
  }
  void write(const std::vector<NpzArray> &arrays) {
    std::string error;
    ASSERT_TRUE(writeNpz(npz, arrays, error)) << error;
  }
  Result run(const std::string &arguments) {
    return shell(std::string(QCC_RUN) + " " + artifact + " " + arguments + " 2>&1");
  }
  void expect(const Result &result, int status, const std::string &part) {
    EXPECT_EQ(result.status, status) << result.text;
    EXPECT_NE(result.text.find(part), std::string::npos) << result.text;
  }

  const std::string artifact = temporaryPath("command.qcc"), npz = temporaryPath("in.npz"),
                    out = temporaryPath("out.npz");
  const NpzArray mode{"in:mode", DataType::I64, {}, std::vector<uint8_t>(8)};
  const NpzArray x = floats("in:x", {1, 1, 4}, {1, 1, 1, 1});
};

TEST_F(CommandTest, golden) {
  write({mode, x, floats("out:y", {1, 1, 4}, {1, 2, 3, 4}), floats("out:total", {}, {4})});
  expect(run("--golden=" + npz + " --threads=2"), 0, "same  y  f32 1x1x4  relative error 0");
  write({mode, x, floats("out:y", {1, 1, 4}, {1, 2, 3, 4.5f})});
  expect(run("--golden=" + npz), 1, "DIFFERENT  y  f32 1x1x4  relative error 0.0");
  expect(run("--golden=" + npz + " --tolerance=0.2"), 0, "same  y");
  expect(run("--json --golden=" + npz), 1, "\"passed\":false");
  write({mode, x, floats("in:past", {1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}),
         floats("out:present", {1, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1, 1})});
  expect(run("--golden=" + npz + " --golden=" + npz), 0, "same  present  f32 1x3x4");
  write({mode, x});
  expect(run("--golden=" + npz), 2, "no expected output");
  write({x, floats("out:y", {1, 1, 4}, {1, 2, 3, 4})});
  expect(run("--golden=" + npz), 2, "input 'mode' is missing");
  write({mode, x, floats("y", {1}, {1})});
  expect(run("--golden=" + npz), 2, "'y' is neither in:NAME nor out:NAME");
}

TEST_F(CommandTest, onDevices) {
  write({mode, x, floats("out:y", {1, 1, 4}, {1, 2, 3, 4}), floats("out:total", {}, {4})});
  expect(run("--golden=" + npz + " --device=cpu"), 0, "same  y  f32 1x1x4  relative error 0");
  expect(run("--golden=" + npz + " --device=emulate"), 0, "same  y  f32 1x1x4  relative error 0");
  expect(run("--golden=" + npz + " --device=emulate --graphs"), 0, "same  total");
  Result refused = shell("QCC_CUDA_DRIVER=/nonexistent.so " QCC_RUN " " + artifact + " --device=cuda 2>&1");
  expect(refused, 2, "no CUDA driver: /nonexistent.so: ");
  expect(refused, 2, "--device=emulate");
  NpzArray plainX = x, stray = mode;
  plainX.name = "x", stray.name = "mode";
  stray.bytes[0] = 5;
  write({plainX, stray});
  expect(run("--in=" + npz + " --device=emulate"), 2, "[kernel stray, line 142: st.global.u64 [%d3], %d2");
}

TEST_F(CommandTest, python) {
  if (shell(PYTHON " -c 'import numpy, ml_dtypes' 2>&1").status != 0)
    GTEST_SKIP() << "no Python with NumPy";
  if (QCC_SANITIZED)
    GTEST_SKIP() << "Python loads no library that sanitizers watch";
  expect(shell("QCC_DIR=" QCC_DIR " PYTHONPATH=" PYTHON_PACKAGE " " PYTHON " " DEVICE_SCRIPT " " + artifact + " 2>&1"),
         0, "good\n");
}

TEST_F(CommandTest, inAndOut) {
  NpzArray plainX = x, plainMode = mode;
  plainX.name = "x", plainMode.name = "mode";
  write({plainX, plainMode});
  expect(run("--in=" + npz + " --out=" + out), 0, "");
  std::vector<NpzArray> results;
  std::string error;
  ASSERT_TRUE(readNpz(out, results, error)) << error;
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].name, "y");
  EXPECT_EQ(results[0].bytes, floats("y", {1, 1, 4}, {1, 2, 3, 4}).bytes);
  expect(run("--in=" + npz), 0, "total  f32 scalar");
  plainMode.bytes[0] = 1;
  write({plainX, plainMode});
  expect(run("--in=" + npz), 2, "node '/layer.0/Second'");
}

TEST_F(CommandTest, bench) {
  NpzArray plainX = x, plainMode = mode;
  plainX.name = "x", plainMode.name = "mode";
  write({plainX, plainMode});
  expect(run("--bench=7 --json --threads=1 --in=" + npz), 0, "\"runs\":7");
  expect(run("--bench --prefill=4 --decode=2"), 2, "input 'x' is not one that a decoder has");
}

TEST_F(CommandTest, usage) {
  expect(run("--help"), 0, "usage: qcc-run");
  expect(run("--threads=0"), 2, "not a valid value: --threads=0");
  expect(run("--tolerance=x"), 2, "not a valid value: --tolerance=x");
  expect(run("--device=tpu"), 2, "'tpu' is no device; devices are cpu, cuda");
  expect(run("--no-such"), 2, "usage: qcc-run");
  expect(shell(std::string(QCC_RUN) + " 2>&1"), 2, "usage: qcc-run");
  expect(shell(std::string(QCC_RUN) + " /nonexistent.qcc 2>&1"), 2, "/nonexistent.qcc: No such file");
  expect(run("--prompt=x"), 2, "--prompt: input 'x' is not one that a decoder has");
}

TEST_F(CommandTest, clientInC) {
  expect(shell(std::string(C_CLIENT) + " " + artifact + " 2>&1"), 0, "1 2 3 4\n");
  expect(shell(std::string(C_CLIENT) + " /nonexistent.qcc 2>&1"), 2, "No such file");
}

TEST_F(CommandTest, inspect) {
  std::string inspect = std::string(QCC_INSPECT) + " ";
  expect(shell(inspect + artifact + " 2>&1"), 0, "past -> present  f32 [batch, length, 4], grows along 1");
  expect(shell(inspect + artifact + " 2>&1"), 0, "cuda sm_80  ptx    code/device.ptx");
  expect(shell(inspect + "--json " + artifact), 0, "\"kld\": 0.25");
  expect(shell(inspect + "--verify " + artifact), 0, "verified");
  std::vector<uint8_t> bytes = readBytes(artifact);
  bytes[bytes.size() / 2] ^= 1;
  writeBytes(artifact, bytes);
  expect(shell(inspect + artifact + " 2>&1"), 2, "is not what was built");
  expect(shell(inspect + " 2>&1"), 2, "usage: qcc-inspect");
}

} // namespace
