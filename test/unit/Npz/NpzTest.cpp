#include "qcc/Npz/Npz.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <unistd.h>

using namespace qcc;

namespace {

// deflated.npz, stored.npz and strings.npz were written by NumPy 2 (savez_compressed and savez); the values expected
// below are those that were passed to it.
std::string fixture(const std::string &name) { return std::string(FIXTURES) + "/" + name; }

std::vector<uint8_t> readBytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class NumpyFile : public ::testing::Test {
protected:
  void SetUp() override {
    std::string error;
    ASSERT_TRUE(readNpz(fixture("deflated.npz"), arrays, error)) << error;
  }
  template <typename T>
  void expect(const std::string &name, DataType type, std::vector<int64_t> shape, std::vector<T> values) {
    for (const NpzArray &array : arrays)
      if (array.name == name) {
        EXPECT_EQ(array.type, type) << name;
        EXPECT_EQ(array.shape, shape) << name;
        ASSERT_EQ(array.bytes.size(), values.size() * sizeof(T)) << name;
        EXPECT_TRUE(values.empty() || std::memcmp(array.bytes.data(), values.data(), array.bytes.size()) == 0) << name;
        return;
      }
    ADD_FAILURE() << "no array " << name;
  }
  std::vector<NpzArray> arrays;
};

TEST_F(NumpyFile, everyType) {
  EXPECT_EQ(arrays.size(), 18u);
  expect<float>("f32", DataType::F32, {2, 3}, {0, 0.5f, 1, 1.5f, 2, 2.5f});
  expect<double>("f64", DataType::F64, {2}, {1e300, -0.0});
  expect<uint16_t>("f16", DataType::F16, {3}, {0x3c00, 0x4100, 0xc200});
  expect<int8_t>("i8", DataType::I8, {2}, {-1, 2});
  expect<uint8_t>("u8", DataType::U8, {1}, {255});
  expect<int16_t>("i16", DataType::I16, {1}, {-300});
  expect<uint16_t>("u16", DataType::U16, {1}, {65535});
  expect<int32_t>("i32", DataType::I32, {1}, {-7});
  expect<uint32_t>("u32", DataType::U32, {1}, {7});
  expect<int64_t>("i64", DataType::I64, {}, {-5});
  expect<uint64_t>("u64", DataType::U64, {1}, {uint64_t(1) << 63});
  expect<uint8_t>("b", DataType::Bool, {2}, {1, 0});
  expect<float>("c64", DataType::C64, {1}, {1, 2});
  expect<double>("c128", DataType::C128, {1}, {3, -4});
  expect<uint16_t>("bf16", DataType::U16, {1}, {0x3fc0});
  expect<uint8_t>("f8", DataType::U8, {1}, {0x3c});
  expect<float>("empty", DataType::F32, {0, 3}, {});
  std::vector<int32_t> counting(24);
  std::iota(counting.begin(), counting.end(), 0);
  expect<int32_t>("in:a/b.c", DataType::I32, {2, 3, 4}, counting); // in Fortran order in the file
}

TEST_F(NumpyFile, writtenAndReadAgain) {
  std::string path = ::testing::TempDir() + "qcc-" + std::to_string(::getpid()) + ".npz", error;
  ASSERT_TRUE(writeNpz(path, arrays, error)) << error;
  std::vector<NpzArray> back;
  ASSERT_TRUE(readNpz(path, back, error)) << error;
  ASSERT_EQ(back.size(), arrays.size());
  for (size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].name, arrays[i].name);
    EXPECT_EQ(back[i].type, arrays[i].type);
    EXPECT_EQ(back[i].shape, arrays[i].shape);
    EXPECT_EQ(back[i].bytes, arrays[i].bytes);
  }
  std::filesystem::remove(path);
}

TEST(Npz, storedMembers) {
  std::vector<NpzArray> arrays;
  std::string error;
  ASSERT_TRUE(readNpz(fixture("stored.npz"), arrays, error)) << error;
  ASSERT_EQ(arrays.size(), 1u);
  EXPECT_EQ(arrays[0].name, "x");
  EXPECT_EQ(reinterpret_cast<const float *>(arrays[0].bytes.data())[2], 2.0f);
}

TEST(Npz, whatIsNotSupportedIsNamed) {
  std::vector<NpzArray> arrays;
  std::string error;
  EXPECT_FALSE(readNpz(fixture("strings.npz"), arrays, error));
  EXPECT_NE(error.find("'s.npy': elements of type '<U1' are not supported"), std::string::npos) << error;
  EXPECT_FALSE(readNpz("/nonexistent.npz", arrays, error));
  EXPECT_NE(error.find("No such file"), std::string::npos) << error;
  EXPECT_FALSE(readNpz("/", arrays, error));
  EXPECT_FALSE(writeNpz("/nonexistent/x.npz", {}, error));
}

// A change in a member's bytes is always seen; elsewhere (times, attributes) it may be harmless, but never more than
// that.
TEST(Npz, damage) {
  std::vector<uint8_t> bytes = readBytes(fixture("stored.npz"));
  std::vector<NpzArray> arrays;
  std::string error;
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(parseNpz(bytes.data(), length, arrays, error)) << length;
  for (const char *name : {"stored.npz", "deflated.npz"}) {
    bytes = readBytes(fixture(name));
    for (size_t at = 0; at < bytes.size(); ++at)
      for (uint8_t mask : {0x01, 0x80, 0xff}) {
        std::vector<uint8_t> altered = bytes;
        altered[at] ^= mask;
        if (!parseNpz(altered.data(), altered.size(), arrays, error))
          EXPECT_FALSE(error.empty());
      }
  }
  bytes = readBytes(fixture("stored.npz"));
  const std::string magic = "NUMPY";
  size_t start = std::search(bytes.begin(), bytes.end(), magic.begin(), magic.end()) - bytes.begin() - 1;
  for (size_t at = start; at < start + 128 + 12; ++at) {
    std::vector<uint8_t> altered = bytes;
    altered[at] ^= 4;
    EXPECT_FALSE(parseNpz(altered.data(), altered.size(), arrays, error)) << at;
  }
}

} // namespace
