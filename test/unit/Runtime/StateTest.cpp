#include "State.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

using namespace qcc;

namespace {

// Whatever the axis, growing moves no stored element: read after grow gives what was loaded.
TEST(State, growsAlongAnyAxis) {
  for (int64_t axis : {0, 1, 2, 3}) {
    Manifest::State description{"past", "present", DataType::I16, {2, 3, 5, 4}, axis};
    State state(description);
    std::vector<int64_t> dims = {2, 3, 5, 4};
    ASSERT_TRUE(state.bind(dims));
    std::vector<int16_t> contents(2 * 3 * 5 * 4), back(contents.size());
    std::iota(contents.begin(), contents.end(), int16_t(1));
    ASSERT_TRUE(state.load(reinterpret_cast<const uint8_t *>(contents.data()), dims[axis]));
    EXPECT_EQ(state.dims(), dims);
    ASSERT_EQ(state.bytes(), static_cast<int64_t>(contents.size() * 2));
    for (int64_t room : {33, 100, 1000}) {
      ASSERT_TRUE(state.grow(room));
      EXPECT_GE(state.capacity(), room);
      state.read(reinterpret_cast<uint8_t *>(back.data()));
      EXPECT_EQ(back, contents);
    }
  }
}

TEST(State, whatIsNotStoredIsZero) {
  Manifest::State description{"past", "present", DataType::F32, {2, 0, 3}, 1};
  State state(description);
  ASSERT_TRUE(state.bind({2, 0, 3}));
  ASSERT_TRUE(state.grow(40));
  for (int64_t i = 0; i < 2 * state.capacity() * 3; ++i)
    EXPECT_EQ(reinterpret_cast<const float *>(state.data())[i], 0.0f);
}

TEST(State, sizesOutOfRange) {
  Manifest::State description{
      "past", "present", DataType::F32, {std::string("a"), std::string("b"), std::string("c")}, 1};
  State state(description);
  EXPECT_FALSE(state.bind({int64_t(1) << 40, 0, int64_t(1) << 40}));
  ASSERT_TRUE(state.bind({int64_t(1) << 30, 0, 1 << 20}));
  EXPECT_FALSE(state.grow(1 << 20));
  EXPECT_FALSE(state.grow(INT64_MAX));
  EXPECT_EQ(state.capacity(), 0);
  ASSERT_TRUE(state.bind({0, 0, 7}));
  EXPECT_TRUE(state.grow(5));
}

} // namespace
