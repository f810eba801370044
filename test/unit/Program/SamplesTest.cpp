#include "qcc/Program/Samples.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace qcc;

namespace {

template <typename T>
NpzArray array(std::string name, DataType type, std::vector<int64_t> shape, std::vector<T> values) {
  NpzArray result{std::move(name), type, std::move(shape), std::vector<uint8_t>(values.size() * sizeof(T))};
  std::memcpy(result.bytes.data(), values.data(), result.bytes.size());
  return result;
}

template <typename T> std::vector<T> values(const NpzArray &array) {
  std::vector<T> result(array.bytes.size() / sizeof(T));
  std::memcpy(result.data(), array.bytes.data(), array.bytes.size());
  return result;
}

std::string write(const std::vector<NpzArray> &arrays) {
  std::string path = testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name() + ".npz", error;
  EXPECT_TRUE(writeNpz(path, arrays, error)) << error;
  return path;
}

Manifest image() {
  Manifest manifest;
  manifest.inputs = {{"x", DataType::F32, {2}}, {"scale", DataType::F32, {}}};
  return manifest;
}

Manifest decoder() {
  Manifest manifest;
  manifest.inputs = {{"input_ids", DataType::I64, {std::string("batch"), std::string("tokens")}},
                     {"attention_mask", DataType::I64, {std::string("batch"), std::string("total")}},
                     {"position_ids", DataType::I32, {std::string("batch"), std::string("tokens")}},
                     {"past_0", DataType::F32, {2, std::string("batch"), std::string("past"), 4}}};
  return manifest;
}

const auto F32 = DataType::F32;

TEST(Samples, aStackAndWhatAllShare) {
  auto path = write({array<float>("in:x", F32, {3, 2}, {1, 2, 3, 4, 5, 6}), array<float>("scale", F32, {}, {7}),
                     array<float>("other", F32, {1}, {0})});
  Samples samples;
  std::string error;
  ASSERT_TRUE(Samples::read({path, path}, image(), samples, error)) << error;
  ASSERT_EQ(samples.size(), 6u);
  EXPECT_EQ(values<float>(samples[4][0]), (std::vector<float>{3, 4}));
  EXPECT_EQ(samples[4][0].shape, std::vector<int64_t>{2});
  EXPECT_EQ(values<float>(samples[4][1]), std::vector<float>{7});
}

TEST(Samples, aDecoderNeedsTokensOnly) {
  auto path = write({array<int64_t>("input_ids", DataType::I64, {2, 1, 3}, {5, 6, 7, 8, 9, 10})});
  Samples samples;
  std::string error;
  ASSERT_TRUE(Samples::read({path}, decoder(), samples, error)) << error;
  ASSERT_EQ(samples.size(), 2u);
  std::vector<NpzArray> second = samples[1];
  EXPECT_EQ(values<int64_t>(second[0]), (std::vector<int64_t>{8, 9, 10}));
  EXPECT_EQ(values<int64_t>(second[1]), (std::vector<int64_t>{1, 1, 1}));
  EXPECT_EQ(values<int32_t>(second[2]), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(second[3].shape, (std::vector<int64_t>{2, 1, 0, 4}));
}

TEST(Samples, whatIsWrongIsSaid) {
  auto why = [](std::vector<NpzArray> arrays) {
    Samples samples;
    std::string error;
    EXPECT_FALSE(Samples::read({write(arrays)}, image(), samples, error));
    return error.substr(error.find(".npz: ") + 6);
  };
  EXPECT_EQ(why({array<float>("x", F32, {2}, {1, 2})}), "there is no array 'scale', which is an input of the program");
  EXPECT_EQ(why({array<float>("x", F32, {1, 1, 2}, {1, 2}), array<float>("scale", F32, {}, {7})}),
            "'x' has 3 axes, the program's input has 1; one more would be a stack of samples");
  EXPECT_EQ(why({array<float>("x", F32, {1, 2}, {1, 2}), array<float>("scale", F32, {2}, {7, 8})}),
            "'scale' holds 2 samples, another input holds 1");
}

} // namespace
