#include "CpuFeatures.h"
#include "TinyModel.h"
#include "qcc/Runtime/qcc.h"

#include <elf.h>

using namespace qcc;
using namespace qcc::test;

namespace {

class ModelTest : public ::testing::Test {
protected:
  void SetUp() override {
    path = temporaryPath("model.qcc");
    code = readBytes(TINY_PROGRAM);
  }
  void TearDown() override {
    qcc1_model_close(model);
    std::filesystem::remove(path);
  }
  void write(const Manifest &manifest) {
    std::string why;
    ASSERT_TRUE(writeTiny(path, manifest, code, why)) << why;
  }
  qcc1_status open(const char *target = nullptr) {
    qcc1_model_close(model);
    qcc1_model_options options = {sizeof(options), target, nullptr};
    return qcc1_model_open(path.c_str(), &options, &model, &error);
  }
  void expectError(qcc1_status status, qcc1_status expected, const std::string &part) {
    EXPECT_EQ(status, expected);
    EXPECT_NE(std::string(error.message).find(part), std::string::npos) << error.message;
    EXPECT_EQ(model, nullptr);
  }

  std::string path;
  std::vector<uint8_t> code;
  qcc1_model *model = nullptr;
  qcc1_error error = {sizeof(qcc1_error), 0, {}, {}};
};

TEST_F(ModelTest, describesItself) {
  write(tinyManifest());
  ASSERT_EQ(open(), QCC1_OK) << error.message;
  EXPECT_STREQ(qcc1_model_target(model), "here"); // the first needs a feature that no machine has
  EXPECT_EQ(qcc1_model_input_count(model), 2u);
  EXPECT_EQ(qcc1_model_output_count(model), 2u);
  EXPECT_EQ(qcc1_model_state_count(model), 1u);
  qcc1_value value = {};
  value.struct_size = sizeof(value);
  ASSERT_EQ(qcc1_model_output(model, 0, &value), QCC1_OK);
  EXPECT_STREQ(value.name, "y");
  EXPECT_EQ(value.rank, 3);
  EXPECT_EQ(value.dtype.code, 2);
  EXPECT_EQ(value.dtype.bits, 32);
  EXPECT_EQ(value.dims[0], -1);
  EXPECT_STREQ(value.symbols[0], "batch");
  EXPECT_EQ(value.dims[2], 4);
  EXPECT_STREQ(value.symbols[2], "");
  EXPECT_EQ(qcc1_model_output(model, 2, &value), QCC1_ARGUMENT);
  qcc1_state state = {};
  state.struct_size = sizeof(state);
  ASSERT_EQ(qcc1_model_state(model, 0, &state), QCC1_OK);
  EXPECT_STREQ(state.value.name, "past");
  EXPECT_STREQ(state.output, "present");
  EXPECT_EQ(state.axis, 1);
  size_t size = 0;
  EXPECT_EQ(std::memcmp(qcc1_model_part(model, "tokenizer.bin", &size), "abc", 3), 0);
  EXPECT_EQ(size, 3u);
  EXPECT_EQ(qcc1_model_part(model, "nothing", &size), nullptr);
  EXPECT_NE(std::string(qcc1_model_manifest(model)).find("/layer.0/Second"), std::string::npos);
  EXPECT_EQ(qcc1_model_verify(model, &error), QCC1_OK);
}

TEST_F(ModelTest, targetsThatDoNotFit) {
  write(tinyManifest());
  expectError(open("future"), QCC1_TARGET, "future (not here: no-such-feature)");
  expectError(open("gpu"), QCC1_TARGET, "no code for target 'gpu'; the artifact has future, here");
}

TEST_F(ModelTest, codeOfAnotherMachine) {
  code[offsetof(Elf64_Ehdr, e_machine)] = EM_S390;
  write(tinyManifest());
  expectError(open(), QCC1_TARGET, "another processor architecture");
  code.resize(20);
  write(tinyManifest());
  expectError(open(), QCC1_TARGET, "too short");
  code.assign(4096, 'x');
  write(tinyManifest());
  expectError(open(), QCC1_TARGET, "not a 64-bit ELF shared object");
}

TEST_F(ModelTest, codeOfAnotherContract) {
  code = readBytes(TINY_PROGRAM_OTHER_ABI);
  write(tinyManifest());
  expectError(open(), QCC1_TARGET, "ABI version is 99");
  code = readBytes(TINY_PROGRAM);
  Manifest manifest = tinyManifest();
  manifest.outputs.pop_back();
  write(manifest);
  expectError(open(), QCC1_TARGET, "not the manifest's");
}

TEST_F(ModelTest, filesThatAreNone) {
  expectError(qcc1_model_open("/nonexistent/model.qcc", nullptr, &model, &error), QCC1_FILE, "No such file");
  expectError(qcc1_model_open("/", nullptr, &model, &error), QCC1_FILE, "not a regular file");
  writeBytes(path, {});
  expectError(open(), QCC1_FILE, "empty file");
  writeBytes(path, std::vector<uint8_t>(1000, 'a'));
  expectError(open(), QCC1_FILE, "not a complete qcc artifact");
  expectError(qcc1_model_open(nullptr, nullptr, &model, &error), QCC1_ARGUMENT, "no path");
  expectError(qcc1_model_open_memory(nullptr, 0, nullptr, &model, &error), QCC1_FILE, "no data");
}

TEST_F(ModelTest, memoryNeedsNoAlignment) {
  write(tinyManifest());
  std::vector<uint8_t> bytes = readBytes(path);
  bytes.insert(bytes.begin(), 5, 0);
  ASSERT_EQ(qcc1_model_open_memory(bytes.data() + 5, bytes.size() - 5, nullptr, &model, &error), QCC1_OK)
      << error.message;
  qcc1_session *session = nullptr;
  ASSERT_EQ(qcc1_session_open(model, nullptr, &session, &error), QCC1_OK);
  float x[4] = {1, 1, 1, 1};
  int64_t shape[3] = {1, 1, 4}, zero = 0;
  DLTensor xView = {x, {1, 0}, 3, {2, 32, 1}, shape, nullptr, 0},
           mode = {&zero, {1, 0}, 0, {0, 64, 1}, nullptr, nullptr, 0};
  qcc1_input inputs[2] = {{"x", &xView}, {"mode", &mode}};
  qcc1_output output = {"y", nullptr};
  ASSERT_EQ(qcc1_session_run(session, inputs, 2, &output, 1, &error), QCC1_OK) << error.message;
  EXPECT_EQ(static_cast<float *>(output.tensor->dl_tensor.data)[3], 4.0f);
  output.tensor->deleter(output.tensor);
  qcc1_session_close(session);
}

TEST(CpuFeatures, knowsTheBaselineAndNothingUnknown) {
#if defined(__x86_64__)
  for (const char *feature : {"sse2", "cmov", "fxsr", "64bit"})
    EXPECT_TRUE(cpuSupports(feature)) << feature;
  EXPECT_EQ(cpuSupports("avx2"), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(cpuSupports("fma"), __builtin_cpu_supports("fma") != 0);
  EXPECT_EQ(cpuSupports("avx512f"), __builtin_cpu_supports("avx512f") != 0);
  EXPECT_EQ(cpuSupports("avx512vnni"), __builtin_cpu_supports("avx512vnni") != 0);
  EXPECT_EQ(cpuSupports("avx512vbmi"), __builtin_cpu_supports("avx512vbmi") != 0);
  EXPECT_EQ(cpuSupports("avx512bf16"), __builtin_cpu_supports("avx512bf16") != 0);
  EXPECT_EQ(cpuSupports("avxvnni"), __builtin_cpu_supports("avxvnni") != 0);
#elif defined(__aarch64__)
  EXPECT_TRUE(cpuSupports("neon"));
#endif
  EXPECT_FALSE(cpuSupports("no-such-feature"));
  EXPECT_FALSE(cpuSupports(""));
}

} // namespace
