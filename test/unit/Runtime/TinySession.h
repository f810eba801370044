// A session of the artifact around TinyProgram.c and TinyDeviceProgram.c.
#ifndef QCC_TEST_UNIT_RUNTIME_TINYSESSION_H
#define QCC_TEST_UNIT_RUNTIME_TINYSESSION_H

#include "TinyModel.h"
#include "qcc/Runtime/qcc.h"

#include <numeric>

namespace qcc::test {

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
  DLTensor view() {
    return {values.data(), {1, 0}, static_cast<int32_t>(shape.size()), {2, 32, 1}, shape.data(), nullptr, 0};
  }
};

// `tokens` rows per batch, counting up from `from`.
inline Tensor counting(int64_t batch, int64_t tokens, float from = 1) {
  Tensor tensor{{batch, tokens, 4}, std::vector<float>(batch * tokens * 4)};
  std::iota(tensor.values.begin(), tensor.values.end(), from);
  return tensor;
}

class TinySession : public ::testing::Test {
protected:
  // An artifact with code for the processor and for a device.
  void writeBoth() { write({tinyManifest().targets[1], tinyDeviceTarget()}, TINY_DEVICE_PROGRAM); }
  void write(const std::vector<Manifest::Target> &targets, const char *hostPart, const Parts &more = {}) {
    path = temporaryPath("session.qcc");
    Manifest manifest = tinyManifest();
    manifest.targets = targets;
    Parts parts = {{"code/device.so", readBytes(hostPart)}, {"code/device.ptx", readBytes(TINY_PTX)}};
    parts.insert(parts.end(), more.begin(), more.end());
    std::string why;
    ASSERT_TRUE(writeTiny(path, manifest, readBytes(TINY_PROGRAM), why, parts)) << why;
  }
  qcc1_status tryModel() {
    qcc1_model_close(model);
    qcc1_model_options options = {sizeof(options), nullptr, device.empty() ? nullptr : device.c_str()};
    return qcc1_model_open(path.c_str(), &options, &model, &error);
  }
  void openModel() { ASSERT_EQ(tryModel(), QCC1_OK) << error.message; }
  void TearDown() override {
    for (DLManagedTensor *tensor : kept)
      tensor->deleter(tensor);
    qcc1_session_close(session);
    qcc1_model_close(model);
    std::filesystem::remove(path);
  }
  void open(int threads) {
    qcc1_session_close(session);
    session = nullptr;
    qcc1_session_options options = {sizeof(options), threads, nullptr, outputsOnDevice, graphs};
    ASSERT_EQ(qcc1_session_open(model, &options, &session, &error), QCC1_OK) << error.message;
  }
  // Runs with x, the mode and, when given, past; asks for `names`.
  qcc1_status run(Tensor &x, std::vector<const char *> names = {}, int64_t mode = 0, Tensor *past = nullptr) {
    DLTensor views[3] = {x.view(), {&mode, {1, 0}, 0, {0, 64, 1}, nullptr, nullptr, 0}, {}};
    std::vector<qcc1_input> inputs = {{"mode", &views[1]}, {"x", &views[0]}};
    if (past) {
      views[2] = past->view();
      inputs.push_back({"past", &views[2]});
    }
    return runWith(inputs, names);
  }
  qcc1_status runWith(const std::vector<qcc1_input> &inputs, std::vector<const char *> names = {}) {
    std::vector<qcc1_output> outputs;
    for (const char *name : names)
      outputs.push_back({name, nullptr});
    qcc1_status status =
        qcc1_session_run(session, inputs.data(), inputs.size(), outputs.data(), outputs.size(), &error);
    results.clear();
    for (qcc1_output &output : outputs) {
      EXPECT_EQ(output.tensor != nullptr, status == QCC1_OK);
      if (output.tensor) {
        kept.push_back(output.tensor);
        results.push_back(output.tensor->dl_tensor);
      }
    }
    return status;
  }
  std::vector<float> values(size_t index) {
    const DLTensor &tensor = results.at(index);
    int64_t count = std::accumulate(tensor.shape, tensor.shape + tensor.ndim, int64_t(1), std::multiplies<>());
    const float *data = static_cast<const float *>(tensor.data);
    return {data, data + count};
  }
  void expectError(qcc1_status status, qcc1_status expected, const std::string &part) {
    EXPECT_EQ(status, expected);
    EXPECT_EQ(error.code, expected);
    EXPECT_NE(std::string(error.message).find(part), std::string::npos) << error.message;
  }

  std::string path, device;
  int32_t outputsOnDevice = 0, graphs = 0;
  qcc1_model *model = nullptr;
  qcc1_session *session = nullptr;
  qcc1_error error = {sizeof(qcc1_error), 0, {}, {}};
  std::vector<DLTensor> results;
  std::vector<DLManagedTensor *> kept;
};

} // namespace qcc::test

#endif // QCC_TEST_UNIT_RUNTIME_TINYSESSION_H
