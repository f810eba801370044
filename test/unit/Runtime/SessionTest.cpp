#include "TinySession.h"

#include <thread>

using namespace qcc;
using namespace qcc::test;

namespace {

// On the processor and on a device everything is as it was.
class SessionTest : public TinySession, public ::testing::WithParamInterface<const char *> {
protected:
  void SetUp() override {
    device = GetParam();
    writeBoth();
    openModel();
    open(2);
  }
  bool isOnDevice() const { return device != "cpu"; }
};

TEST_P(SessionTest, computesWithAnyNumberOfThreads) {
  for (int threads : {1, 2, 3, 7}) {
    open(threads);
    EXPECT_EQ(qcc1_session_threads(session), isOnDevice() ? 1 : threads);
    for (int repeat = 0; repeat < 50; ++repeat) {
      qcc1_session_reset(session);
      Tensor x = counting(3, 5);
      ASSERT_EQ(run(x, {"total", "y"}), QCC1_OK) << error.message;
      std::vector<float> y = values(1);
      ASSERT_EQ(y.size(), x.values.size());
      for (size_t i = 0; i < y.size(); ++i)
        ASSERT_EQ(y[i], x.values[i] * float(1 + i % 4));
      EXPECT_EQ(values(0), std::vector<float>({60 * 61 / 2}));
      kept.back()->deleter(kept.back()), kept.pop_back();
      kept.back()->deleter(kept.back()), kept.pop_back();
    }
  }
}

TEST_P(SessionTest, stateGrowsOverManyRuns) {
  float expected = 0;
  std::vector<float> all[2];
  for (int step = 0; step < 200; ++step) {
    Tensor x = counting(2, 1 + step % 3, float(step));
    expected = 0;
    for (int b = 0; b < 2; ++b) {
      all[b].insert(all[b].end(), x.values.begin() + b * x.values.size() / 2,
                    x.values.begin() + (b + 1) * x.values.size() / 2);
      expected += std::accumulate(all[b].begin(), all[b].end(), 0.0f);
    }
    ASSERT_EQ(run(x, {"total"}), QCC1_OK) << error.message;
    ASSERT_NEAR(values(0)[0], expected, expected * 1e-4f);
    ASSERT_EQ(qcc1_session_length(session, 0), static_cast<int64_t>(all[0].size() / 4));
  }
  Tensor x = counting(2, 1, 7);
  ASSERT_EQ(run(x, {"present"}), QCC1_OK) << error.message;
  all[0].insert(all[0].end(), x.values.begin(), x.values.begin() + 4);
  all[1].insert(all[1].end(), x.values.begin() + 4, x.values.end());
  all[0].insert(all[0].end(), all[1].begin(), all[1].end());
  EXPECT_EQ(values(0), all[0]);
  EXPECT_EQ(results[0].shape[1], qcc1_session_length(session, 0));
}

TEST_P(SessionTest, truncateForgetsTheEnd) {
  Tensor x = counting(1, 6);
  ASSERT_EQ(run(x), QCC1_OK);
  ASSERT_EQ(qcc1_session_truncate(session, 2, &error), QCC1_OK);
  Tensor more = counting(1, 1, 100);
  ASSERT_EQ(run(more, {"present"}), QCC1_OK);
  EXPECT_EQ(values(0), std::vector<float>({1, 2, 3, 4, 5, 6, 7, 8, 100, 101, 102, 103}));
  expectError(qcc1_session_truncate(session, -1, &error), QCC1_ARGUMENT, "below 0");
}

TEST_P(SessionTest, anotherBatchNeedsReset) {
  Tensor two = counting(2, 1), three = counting(3, 1);
  ASSERT_EQ(run(two), QCC1_OK);
  expectError(run(three), QCC1_ARGUMENT, "state 'past' has 2 in dimension 0, the inputs have 3");
  EXPECT_EQ(qcc1_session_length(session, 0), 1);
  qcc1_session_reset(session);
  EXPECT_EQ(run(three), QCC1_OK) << error.message;
}

TEST_P(SessionTest, originalSignature) {
  Tensor x = counting(2, 1, 50), past = counting(2, 3);
  ASSERT_EQ(run(x, {"present", "total"}, 0, &past), QCC1_OK) << error.message;
  ASSERT_EQ(results[0].shape[1], 4);
  std::vector<float> present = values(0), expected(past.values.begin(), past.values.begin() + 12);
  expected.insert(expected.end(), x.values.begin(), x.values.begin() + 4);
  expected.insert(expected.end(), past.values.begin() + 12, past.values.end());
  expected.insert(expected.end(), x.values.begin() + 4, x.values.end());
  EXPECT_EQ(present, expected);
  Tensor empty = counting(2, 0);
  ASSERT_EQ(run(x, {"present"}, 0, &empty), QCC1_OK) << error.message;
  EXPECT_EQ(values(0), x.values);
  Tensor other = counting(3, 2);
  expectError(run(x, {}, 0, &other), QCC1_ARGUMENT, "'past' has 3 in dimension 0 (batch), other inputs have 2");
}

TEST_P(SessionTest, wrongInputsAreNamed) {
  Tensor x = counting(1, 2);
  DLTensor view = x.view();
  int64_t zero = 0;
  DLTensor mode = {&zero, {1, 0}, 0, {0, 64, 1}, nullptr, nullptr, 0};
  expectError(runWith({{"x", &view}}), QCC1_ARGUMENT, "input 'mode' is missing");
  expectError(runWith({{"x", &view}, {"mode", &mode}, {"x", &view}}), QCC1_ARGUMENT, "'x' is passed twice");
  expectError(runWith({{"z", &view}}), QCC1_ARGUMENT, "no input 'z'; its inputs are 'x', 'mode'");
  expectError(runWith({{"x", nullptr}}), QCC1_ARGUMENT, "without name or tensor");
  expectError(runWith({{"x", &mode}, {"mode", &mode}}), QCC1_ARGUMENT, "'x' has element type i64, the model takes f32");
  DLTensor flat = view;
  flat.ndim = 2;
  expectError(runWith({{"x", &flat}, {"mode", &mode}}), QCC1_ARGUMENT, "'x' has 2 dimensions");
  int64_t negative[3] = {1, -2, 4}, huge[3] = {INT64_MAX, INT64_MAX, 4}, wide[3] = {1, 2, 3};
  DLTensor bad = view;
  bad.shape = negative;
  expectError(runWith({{"x", &bad}, {"mode", &mode}}), QCC1_ARGUMENT, "'x' has -2 in dimension 1");
  bad.shape = huge;
  expectError(runWith({{"x", &bad}, {"mode", &mode}}), QCC1_ARGUMENT, "'x' is too large");
  bad.shape = wide;
  expectError(runWith({{"x", &bad}, {"mode", &mode}}), QCC1_ARGUMENT, "input 'x': dimension 2 (width) is 3");
  bad = view;
  bad.device = {2, 7};
  expectError(runWith({{"x", &bad}, {"mode", &mode}}), QCC1_ARGUMENT,
              isOnDevice() ? "neither in the CPU's memory nor" : "not in the CPU's memory");
  bad = view;
  bad.data = nullptr;
  expectError(runWith({{"x", &bad}, {"mode", &mode}}), QCC1_ARGUMENT, "'x' has no data");
  expectError(runWith({{"x", &view}, {"mode", &mode}}, {"q"}), QCC1_ARGUMENT, "no output 'q'");
  expectError(runWith({{"x", &view}, {"mode", &mode}}, {"y", "y"}), QCC1_ARGUMENT, "'y' is asked for twice");
  EXPECT_EQ(qcc1_session_length(session, 0), 0);
  EXPECT_EQ(runWith({{"x", &view}, {"mode", &mode}}), QCC1_OK) << error.message;
}

TEST_P(SessionTest, stridedAndMisalignedInputs) {
  int64_t zero = 0, shape[3] = {2, 3, 4}, strides[3] = {1, 2, 6};
  DLTensor mode = {&zero, {1, 0}, 0, {0, 64, 1}, nullptr, nullptr, 0};
  Tensor columns = counting(2, 3);
  DLTensor view = columns.view();
  view.strides = strides;
  ASSERT_EQ(runWith({{"x", &view}, {"mode", &mode}}, {"present"}), QCC1_OK) << error.message;
  std::vector<float> present = values(0);
  for (int64_t i = 0; i < 24; ++i)
    EXPECT_EQ(present[i], columns.values[i / 12 * 1 + i / 4 % 3 * 2 + i % 4 * 6]);

  Tensor x = counting(2, 3);
  std::vector<uint8_t> bytes(1 + 8 + 96);
  std::memcpy(bytes.data() + 9, x.values.data(), 96);
  DLTensor shifted = {bytes.data() + 1, {1, 0}, 3, {2, 32, 1}, shape, nullptr, 8};
  qcc1_session_reset(session);
  ASSERT_EQ(runWith({{"x", &shifted}, {"mode", &mode}}, {"present"}), QCC1_OK) << error.message;
  EXPECT_EQ(values(0), x.values);
}

TEST_P(SessionTest, failuresInsideTheProgram) {
  Tensor x = counting(1, 2);
  for (int threads : {1, 4}) {
    open(threads);
    ASSERT_EQ(run(x), QCC1_OK);
    expectError(run(x, {"y"}, 1), QCC1_RUN, "node '/layer.0/Second'");
    EXPECT_STREQ(error.node, "/layer.0/Second");
    expectError(run(x, {"y"}, 2), QCC1_MEMORY, "output 'y' of 16777216 x 16777216 x 4");
    expectError(run(x, {"y"}, 3), QCC1_MEMORY, "no memory for 1152921504606846976 bytes");
    expectError(run(x, {"total"}, 4), QCC1_RUN, "did not make output 'total'");
    EXPECT_EQ(qcc1_session_length(session, 0), 2);
    ASSERT_EQ(run(x, {"y"}), QCC1_OK) << error.message;
    EXPECT_EQ(qcc1_session_length(session, 0), 4);
  }
}

TEST_P(SessionTest, outputsOutliveSessionAndModel) {
  Tensor x = counting(1, 1);
  ASSERT_EQ(run(x, {"y"}), QCC1_OK);
  qcc1_model_close(model);
  model = nullptr;
  Tensor again = counting(1, 1, 9);
  ASSERT_EQ(run(again, {"total"}), QCC1_OK); // the session keeps its model
  qcc1_session_close(session);
  session = nullptr;
  EXPECT_EQ(static_cast<float *>(kept[0]->dl_tensor.data)[3], 16.0f);
}

TEST_P(SessionTest, sessionsRunAtOnce) {
  std::vector<std::thread> threads;
  std::vector<int64_t> lengths(4);
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      qcc1_session *own = nullptr;
      qcc1_session_options options = {sizeof(options), 2, nullptr, 0, 0};
      if (qcc1_session_open(model, &options, &own, nullptr) != QCC1_OK)
        return;
      Tensor x = counting(1, 1 + i);
      DLTensor view = x.view();
      int64_t zero = 0;
      DLTensor mode = {&zero, {1, 0}, 0, {0, 64, 1}, nullptr, nullptr, 0};
      qcc1_input inputs[2] = {{"x", &view}, {"mode", &mode}};
      for (int step = 0; step < 50; ++step)
        if (qcc1_session_run(own, inputs, 2, nullptr, 0, nullptr) != QCC1_OK)
          return;
      lengths[i] = qcc1_session_length(own, 0);
      qcc1_session_close(own);
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(lengths, std::vector<int64_t>({50, 100, 150, 200}));
}

TEST_P(SessionTest, wrongOptions) {
  qcc1_session *other = nullptr;
  qcc1_session_options options = {sizeof(options), -1, nullptr, 0, 0};
  expectError(qcc1_session_open(model, &options, &other, &error), QCC1_ARGUMENT, "-1 threads");
  EXPECT_EQ(other, nullptr);
  EXPECT_EQ(qcc1_session_length(session, 1), -1);
}

#if TINY_EMULATED
INSTANTIATE_TEST_SUITE_P(Devices, SessionTest, ::testing::Values("cpu", "emulate"));
#else
INSTANTIATE_TEST_SUITE_P(Devices, SessionTest, ::testing::Values("cpu"));
#endif

} // namespace
