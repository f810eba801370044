#include "Cuda/Architecture.h"
#include "TinySession.h"

#include <cstdlib>

using namespace qcc;
using namespace qcc::test;

namespace {

// Sets a variable of the environment as long as it lives.
class Setting {
public:
  Setting(const char *name, const std::string &value) : name(name) { ::setenv(name, value.c_str(), 1); }
  ~Setting() { ::unsetenv(name); }

private:
  const char *name;
};

std::vector<uint8_t> bytesOf(const std::string &text) { return {text.begin(), text.end()}; }

class DeviceTest : public TinySession {
protected:
  void writeForDevice(const char *hostPart = TINY_DEVICE_PROGRAM) { write({tinyDeviceTarget()}, hostPart); }
};

TEST_F(DeviceTest, namesThatAreNone) {
  writeForDevice();
  for (const char *name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "emulate:0"}) {
    device = name;
    expectError(tryModel(), QCC1_ARGUMENT, "devices are cpu, cuda, cuda:N (the Nth, from 0) and emulate");
  }
}

TEST_F(DeviceTest, noDriver) {
  writeForDevice();
  Setting driver("QCC_CUDA_DRIVER", "/nonexistent/libcuda.so.1");
  for (const char *name : {"", "cuda", "cuda:3"}) {
    device = name;
    expectError(tryModel(), QCC1_TARGET, "no CUDA driver: /nonexistent/libcuda.so.1: cannot open");
    expectError(tryModel(), QCC1_TARGET, "install NVIDIA's driver, or take the device 'emulate' (--device=emulate)");
  }
  device = "cpu";
  expectError(tryModel(), QCC1_TARGET, "the artifact has device (not here: it is for cuda devices)");
}

TEST_F(DeviceTest, driversThatAreTooOld) {
  writeForDevice();
  {
    Setting driver("QCC_CUDA_DRIVER", OLD_DRIVER);
    expectError(tryModel(), QCC1_TARGET, "it is for CUDA 11.4, qcc needs one for CUDA 12.0 or newer; update NVIDIA's");
  }
  Setting driver("QCC_CUDA_DRIVER", PARTIAL_DRIVER);
  expectError(tryModel(), QCC1_TARGET,
              "(for CUDA 12.0) does not have cuGetErrorName, which one for CUDA 12.0 or newer");
}

TEST(Architecture, runsOn) {
  struct Case {
    const char *architecture;
    bool isCompiled;
    std::pair<int, int> runs, doesNot;
  };
  const Case cases[] = {{"sm_80", false, {8, 0}, {7, 5}},     {"sm_80", false, {12, 1}, {7, 5}},
                        {"sm_80", true, {8, 9}, {9, 0}},      {"sm_90a", false, {9, 0}, {10, 0}},
                        {"sm_90a", true, {9, 0}, {8, 9}},     {"sm_100f", false, {10, 3}, {12, 0}},
                        {"sm_103f", false, {10, 3}, {10, 0}}, {"sm_120f", true, {12, 1}, {13, 0}}};
  for (const Case &test : cases) {
    cuda::Architecture architecture;
    ASSERT_TRUE(cuda::Architecture::parse(test.architecture, architecture)) << test.architecture;
    EXPECT_TRUE(architecture.runsOn(test.runs.first, test.runs.second, test.isCompiled)) << test.architecture;
    EXPECT_FALSE(architecture.runsOn(test.doesNot.first, test.doesNot.second, test.isCompiled)) << test.architecture;
  }
  for (const char *none : {"", "sm_", "sm_9", "sm_90b", "sm_90aa", "sm_1000", "compute_90", "sm_-90", "sm_0900"}) {
    cuda::Architecture architecture;
    EXPECT_FALSE(cuda::Architecture::parse(none, architecture)) << none;
  }
}

class EmulatedTest : public DeviceTest {
protected:
  void SetUp() override { device = "emulate"; }
  void openForDevice(const char *hostPart = TINY_DEVICE_PROGRAM) {
    writeForDevice(hostPart);
    openModel();
    open(1);
  }
  // A fresh device: nothing holds the old one.
  void close() {
    for (DLManagedTensor *tensor : kept)
      tensor->deleter(tensor);
    kept.clear();
    qcc1_session_close(session);
    session = nullptr;
    qcc1_model_close(model);
    model = nullptr;
  }
};

TEST_F(EmulatedTest, standsInForTheDriver) {
  Setting driver("QCC_CUDA_DRIVER", EMULATED_DRIVER);
  for (const char *name : {"", "cuda", "cuda:0"}) {
    device = name;
    openForDevice();
    EXPECT_STREQ(qcc1_model_target(model), "device");
    Tensor x = counting(1, 2);
    ASSERT_EQ(run(x, {"y"}), QCC1_OK) << error.message;
    EXPECT_EQ(values(0)[7], 32.0f);
    close();
  }
  device = "cuda:1";
  expectError(tryModel(), QCC1_TARGET, "the device 'cuda:1' cannot be used: the driver finds 1 device");
}

TEST_F(EmulatedTest, processorFirst) {
  device.clear();
  writeBoth();
  openModel();
  EXPECT_STREQ(qcc1_model_target(model), "here");
  // A session may be elsewhere.
  qcc1_session_options options = {sizeof(options), 1, "emulate", 0, 0};
  ASSERT_EQ(qcc1_session_open(model, &options, &session, &error), QCC1_OK) << error.message;
  Tensor x = counting(1, 2);
  ASSERT_EQ(run(x, {"y"}), QCC1_OK) << error.message;
  EXPECT_EQ(values(0)[7], 32.0f);
  options.device = "abacus";
  qcc1_session *other = nullptr;
  expectError(qcc1_session_open(model, &options, &other, &error), QCC1_ARGUMENT, "'abacus' is no device");
}

TEST_F(EmulatedTest, noCodeForTheDevice) {
  write({tinyManifest().targets[1]}, TINY_DEVICE_PROGRAM);
  expectError(tryModel(), QCC1_TARGET, "the artifact has here (not here: it is for the processor)");
}

TEST_F(EmulatedTest, firstTargetThatFits) {
  Manifest::Target newer = tinyDeviceTarget("sm_90a"), older = tinyDeviceTarget();
  newer.name = "newer";
  write({newer, older}, TINY_DEVICE_PROGRAM);
  Setting architecture("QCC_EMULATED_ARCHITECTURE", "8.6");
  openModel();
  EXPECT_STREQ(qcc1_model_target(model), "device");
  write({newer}, TINY_DEVICE_PROGRAM);
  expectError(tryModel(), QCC1_TARGET,
              "newer (not here: its device code is sm_90a ptx, the device is emulate (emulated sm_86, compute "
              "capability 8.6))");
}

TEST_F(EmulatedTest, compiledCodeComesFirst) {
  // The emulator runs PTX alone, so that is taken where compiled code would be.
  Manifest::Target target = tinyDeviceTarget();
  target.device.modules.insert(target.device.modules.begin(), {"sm_80", "cubin", "code/device.cubin"});
  Setting architecture("QCC_EMULATED_ARCHITECTURE", "sm_80");
  write({target}, TINY_DEVICE_PROGRAM,
        {{"code/device.cubin", bytesOf("\x7f"
                                       "ELF")}});
  openModel();
  target.device.modules.pop_back();
  write({target}, TINY_DEVICE_PROGRAM,
        {{"code/device.cubin", bytesOf("\x7f"
                                       "ELF")}});
  expectError(tryModel(), QCC1_TARGET,
              "'code/device.cubin': CUDA_ERROR_NO_BINARY_FOR_GPU: the emulator runs PTX, not compiled code");
}

TEST_F(EmulatedTest, settingsThatAreNone) {
  writeForDevice();
  for (auto [name, value] : {std::pair("QCC_EMULATED_ARCHITECTURE", "nine"), std::pair("QCC_EMULATED_MEMORY", "much"),
                             std::pair("QCC_EMULATED_MULTIPROCESSORS", "0")}) {
    Setting setting(name, value);
    expectError(tryModel(), QCC1_TARGET, std::string(name) + "=" + value + " is not ");
  }
}

TEST_F(EmulatedTest, tooLittleMemory) {
  writeForDevice();
  {
    Setting memory("QCC_EMULATED_MEMORY", "100");
    expectError(tryModel(), QCC1_MEMORY,
                "no memory for the weights; 256 bytes are needed, emulate (emulated sm_80, "
                "compute capability 8.0) has 100 bytes of 100 bytes free: 156 bytes are lacking");
  }
  Setting memory("QCC_EMULATED_MEMORY", "64K");
  openModel();
  open(1);
  Tensor x = counting(1, 100), wide = counting(1, 3000);
  ASSERT_EQ(run(x), QCC1_OK) << error.message;
  expectError(run(wide), QCC1_MEMORY, "bytes are lacking");
  EXPECT_EQ(qcc1_session_length(session, 0), 100);
  ASSERT_EQ(run(x, {"total"}), QCC1_OK) << error.message;
  EXPECT_EQ(values(0)[0], 400 * 401.0f);
  expectError(run(x, {}, 3), QCC1_MEMORY, "1152921504606846976 bytes of intermediate values; 1073741824.00 GiB");
}

TEST_F(EmulatedTest, alteredDeviceCode) {
  writeForDevice();
  std::vector<uint8_t> file = readBytes(path);
  const std::string inside = "mul.f32";
  auto at = std::search(file.begin(), file.end(), inside.begin(), inside.end());
  ASSERT_NE(at, file.end());
  *at = 'a';
  writeBytes(path, file);
  expectError(tryModel(), QCC1_FILE, "'code/device.ptx' is not what was built: its hash differs");
}

TEST_F(EmulatedTest, partsThatDoNotFit) {
  writeForDevice(TINY_DEVICE_PROGRAM_OTHER_KERNEL);
  expectError(tryModel(), QCC1_TARGET,
              "kernel 'rescale' in 'code/device.ptx' is missing; the artifact's host code and");
  // The host part of a program for the processor.
  writeForDevice(TINY_PROGRAM);
  expectError(tryModel(), QCC1_TARGET, "it does not define qcc_device_v1");
  Manifest::Target target = tinyDeviceTarget();
  target.device.modules[0].entry = "code/broken.ptx";
  write({target}, TINY_DEVICE_PROGRAM, {{"code/broken.ptx", bytesOf("nonsense")}});
  expectError(tryModel(), QCC1_TARGET, "'code/broken.ptx': CUDA_ERROR_INVALID_PTX");
}

TEST_F(EmulatedTest, failuresReachTheCaller) {
  openForDevice();
  Tensor x = counting(1, 2);
  expectError(run(x, {}, 6), QCC1_RUN, "starting kernel 5: CUDA_ERROR_INVALID_HANDLE");
  expectError(run(x, {}, 7), QCC1_RUN, "CUDA_ERROR_INVALID_VALUE: copy from the device: the 8 bytes from 0x");
  ASSERT_EQ(run(x), QCC1_OK) << error.message;
  expectError(run(x, {}, 5), QCC1_RUN, "starting kernel stray: CUDA_ERROR_ILLEGAL_ADDRESS: ");
  EXPECT_EQ(qcc1_session_length(session, 0), 2);
  // As on hardware, nothing runs in this context any more.
  expectError(run(x), QCC1_RUN, "CUDA_ERROR_ILLEGAL_ADDRESS");
  close();
  openModel();
  open(1);
  ASSERT_EQ(run(x), QCC1_OK) << error.message;
}

TEST_F(EmulatedTest, clusters) {
  Setting architecture("QCC_EMULATED_ARCHITECTURE", "9.0");
  openForDevice(TINY_DEVICE_PROGRAM_CLUSTERS);
  Tensor x = counting(3, 50);
  ASSERT_EQ(run(x, {"y"}), QCC1_OK) << error.message;
  for (size_t i = 0; i < x.values.size(); ++i)
    ASSERT_EQ(values(0)[i], x.values[i] * float(1 + i % 4));
}

TEST_F(EmulatedTest, tensorMaps) {
  Setting architecture("QCC_EMULATED_ARCHITECTURE", "9.0");
  openForDevice();
  Tensor x = counting(1, 8);
  expectError(run(x, {}, 8), QCC1_RUN, "describing a tensor to the copy engine: CUDA_ERROR_INVALID_VALUE: ");
  ASSERT_EQ(run(x), QCC1_OK) << error.message;
}

TEST_F(EmulatedTest, tensorsStayOnTheDevice) {
  outputsOnDevice = 1;
  openForDevice();
  Tensor x = counting(2, 3);
  ASSERT_EQ(run(x, {"y", "present", "total"}), QCC1_OK) << error.message;
  DLTensor y = results[0], present = results[1];
  EXPECT_EQ(y.device.device_type, 2);
  EXPECT_EQ(y.device.device_id, 0);
  EXPECT_EQ(values(1), x.values); // what is on an emulated device can be read here

  // What one run gave is another's input.
  int64_t zero = 0;
  DLTensor mode = {&zero, {1, 0}, 0, {0, 64, 1}, nullptr, nullptr, 0};
  ASSERT_EQ(runWith({{"x", &y}, {"mode", &mode}, {"past", &present}}, {"y", "present"}), QCC1_OK) << error.message;
  for (int64_t i = 0; i < 24; ++i)
    EXPECT_EQ(values(0)[i], x.values[i] * float((1 + i % 4) * (1 + i % 4)));
  EXPECT_EQ(results[1].shape[1], 6);
  EXPECT_EQ(values(1)[4], x.values[4]);
  EXPECT_EQ(values(1)[12], x.values[0]);
  EXPECT_EQ(values(1)[13], x.values[1] * 2);
  // From an address that kernels may not rely on.
  DLTensor shifted = y;
  int64_t shape[3] = {1, 2, 4};
  shifted.shape = shape;
  shifted.byte_offset = 16;
  qcc1_session_reset(session);
  ASSERT_EQ(runWith({{"x", &shifted}, {"mode", &mode}}, {"present"}), QCC1_OK) << error.message;
  EXPECT_EQ(values(0)[0], x.values[4]);

  DLTensor wrong = y;
  wrong.data = x.values.data();
  expectError(runWith({{"x", &wrong}, {"mode", &mode}}), QCC1_ARGUMENT, "its data is not in the device's memory");
  int64_t strides[3] = {1, 2, 6};
  wrong = y;
  wrong.strides = strides;
  expectError(runWith({{"x", &wrong}, {"mode", &mode}}), QCC1_ARGUMENT, "has gaps or another order");
}

TEST_F(EmulatedTest, deviceTensorsOutliveSessionAndModel) {
  outputsOnDevice = 1;
  openForDevice();
  Tensor x = counting(1, 1);
  ASSERT_EQ(run(x, {"y"}), QCC1_OK) << error.message;
  qcc1_session_close(session);
  session = nullptr;
  qcc1_model_close(model);
  model = nullptr;
  EXPECT_EQ(values(0)[3], 16.0f);
}

TEST_F(EmulatedTest, hostTensorsThatAreStrided) {
  openForDevice();
  int64_t zero = 0, strides[3] = {1, 2, 6};
  DLTensor mode = {&zero, {1, 0}, 0, {0, 64, 1}, nullptr, nullptr, 0};
  Tensor columns = counting(2, 3);
  DLTensor view = columns.view();
  view.strides = strides;
  ASSERT_EQ(runWith({{"x", &view}, {"mode", &mode}}, {"present"}), QCC1_OK) << error.message;
  EXPECT_EQ(values(0)[1], columns.values[6]);
}

// The same runs, started kernel by kernel and as graphs.
TEST_F(EmulatedTest, recordedRunsAreTheSame) {
  std::vector<std::vector<float>> given[3];
  for (int kind = 0; kind < 3; ++kind) {
    graphs = kind > 0;
    outputsOnDevice = kind > 1;
    openForDevice(TINY_DEVICE_PROGRAM_CAPTURABLE);
    auto keep = [&] {
      for (size_t k = 0; k < results.size(); ++k)
        given[kind].push_back(values(k));
    };
    // Of equal tables too, after a reset; the state grows and moves in between.
    for (int round = 0; round < 3; ++round) {
      qcc1_session_reset(session);
      for (int step = 0; step < 60; ++step) {
        Tensor x = counting(2, step % 5 == 4 ? 3 : 1, float(100 * round + step));
        ASSERT_EQ(run(x, {"y", "total"}), QCC1_OK) << error.message;
        keep();
      }
      // More shapes than are remembered.
      for (int tokens = 1; tokens < 12; ++tokens) {
        Tensor x = counting(2, tokens);
        ASSERT_EQ(run(x, {"y"}), QCC1_OK) << error.message;
        keep();
      }
      // Nothing changes but what is in the inputs.
      for (int again = 0; again < 5; ++again) {
        qcc1_session_reset(session);
        Tensor x = counting(2, 2, float(again));
        ASSERT_EQ(run(x, {"total", "y"}), QCC1_OK) << error.message;
        keep();
      }
      Tensor x = counting(2, 1);
      ASSERT_EQ(run(x, {"present", "y"}), QCC1_OK) << error.message;
      keep();
      EXPECT_EQ(results[0].device.device_type, outputsOnDevice ? 2 : 1);
    }
    close();
  }
  EXPECT_EQ(given[1], given[0]);
  EXPECT_EQ(given[2], given[0]);
}

} // namespace
