#include "qcc/Algorithm/Allocation.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace qcc;

namespace {

using Tensors = std::vector<std::vector<AllocationChoice>>;

Tensors randomTensors(size_t count, size_t choices, unsigned seed) {
  std::mt19937_64 generator(seed);
  Tensors tensors(count);
  for (auto &tensor : tensors) {
    double size = 1000 + double(generator() % 9000), sensitivity = std::exp(double(generator() % 600) / 100 - 3);
    for (size_t i = 0; i < choices; ++i) {
      double bits = 2 + double(generator() % 1400) / 100;
      tensor.push_back({int64_t(size * bits / 8),
                        sensitivity * size * std::exp2(-2 * bits) * (0.5 + double(generator() % 100) / 100)});
    }
  }
  return tensors;
}

void expectConsistent(const Tensors &tensors, const Allocation &answer, int64_t budget) {
  int64_t bytes = 0;
  double loss = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    bytes += tensors[i][size_t(answer.choices[i])].bytes;
    loss += tensors[i][size_t(answer.choices[i])].loss;
  }
  EXPECT_EQ(bytes, answer.bytes);
  EXPECT_LE(bytes, budget);
  EXPECT_NEAR(loss, answer.loss, 1e-9 * loss);
  EXPECT_LE(answer.lowerBound, answer.loss);
}

double bruteForce(const Tensors &tensors, size_t at, int64_t budget) {
  if (at == tensors.size())
    return 0;
  double best = INFINITY;
  for (const AllocationChoice &choice : tensors[at])
    if (choice.bytes <= budget)
      best = std::min(best, choice.loss + bruteForce(tensors, at + 1, budget - choice.bytes));
  return best;
}

TEST(Allocation, isTheBestOfAll) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    Tensors tensors = randomTensors(7, 4, seed);
    int64_t least = 0, most = 0;
    for (const auto &tensor : tensors) {
      int64_t low = INT64_MAX, high = 0;
      for (const AllocationChoice &choice : tensor) {
        low = std::min(low, choice.bytes);
        high = std::max(high, choice.bytes);
      }
      least += low;
      most += high;
    }
    for (int part = 0; part <= 10; ++part) {
      int64_t budget = least + (most - least) * part / 10;
      auto answer = allocate(tensors, budget);
      ASSERT_TRUE(bool(answer)) << answer.reason();
      expectConsistent(tensors, *answer, budget);
      EXPECT_NEAR(answer->loss, bruteForce(tensors, 0, budget), 1e-12 + 1e-9 * answer->loss);
      EXPECT_EQ(answer->lowerBound, answer->loss);
    }
    EXPECT_NE(allocate(tensors, least - 1).reason().find("smallest formats"), std::string::npos);
  }
}

TEST(Allocation, ofManyTensorsIsWithinItsBound) {
  Tensors tensors = randomTensors(300, 8, 5);
  int64_t budget = 0;
  for (const auto &tensor : tensors)
    budget += tensor[0].bytes / 2 + tensor[1].bytes / 2;
  AllocationOptions few;
  few.states = 50;
  auto exact = allocate(tensors, budget), rough = allocate(tensors, budget, few);
  ASSERT_TRUE(bool(exact)) << exact.reason();
  ASSERT_TRUE(bool(rough)) << rough.reason();
  expectConsistent(tensors, *exact, budget);
  expectConsistent(tensors, *rough, budget);
  EXPECT_LE(exact->loss, rough->loss);
  EXPECT_LE(rough->lowerBound, exact->loss);
  EXPECT_LT(rough->loss, 1.01 * rough->lowerBound);
}

TEST(Allocation, refusesInWords) {
  EXPECT_NE(allocate({{}}, 10).reason().find("no format"), std::string::npos);
  EXPECT_FALSE(bool(allocate({{{-1, 0}}}, 10)));
  EXPECT_FALSE(bool(allocate({{{1, NAN}}}, 10)));
  EXPECT_FALSE(bool(allocate({{{INT64_MAX, 0}}, {{INT64_MAX, 0}}}, INT64_MAX)));
  EXPECT_TRUE(bool(allocate({}, 0)));
}

} // namespace
