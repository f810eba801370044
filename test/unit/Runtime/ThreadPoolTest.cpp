#include "ThreadPool.h"

#include <gtest/gtest.h>

#include <numeric>

using namespace qcc;

namespace {

struct Sum {
  ThreadPool *pool;
  std::vector<int64_t> cells; // one per thread
  std::vector<int64_t> totals;
  int64_t leaver = -1;
};

// Each thread adds its neighbour's cell, many times; any missing barrier changes the result.
void addNeighbours(void *argument, int64_t thread) {
  Sum &sum = *static_cast<Sum *>(argument);
  int64_t count = sum.pool->size();
  for (int64_t round = 0; round < 500; ++round) {
    int64_t neighbour = sum.cells[(thread + 1) % count];
    sum.pool->barrier(thread);
    sum.cells[thread] = (sum.cells[thread] + neighbour) % 1000003;
    if (thread == sum.leaver && round == 100)
      sum.pool->abandon(thread);
    sum.pool->barrier(thread);
  }
  sum.totals[thread] = std::accumulate(sum.cells.begin(), sum.cells.end(), int64_t(0));
}

std::vector<int64_t> expectedCells(int64_t count) {
  std::vector<int64_t> cells(count);
  std::iota(cells.begin(), cells.end(), 1);
  for (int round = 0; round < 500; ++round) {
    std::vector<int64_t> next(count);
    for (int64_t i = 0; i < count; ++i)
      next[i] = (cells[i] + cells[(i + 1) % count]) % 1000003;
    cells = next;
  }
  return cells;
}

TEST(ThreadPool, barriersOrderEveryRound) {
  for (int64_t count : {1, 2, 5}) {
    ThreadPool pool(static_cast<int>(count));
    std::vector<int64_t> expected = expectedCells(count);
    for (int repeat = 0; repeat < 5; ++repeat) {
      Sum sum{&pool, std::vector<int64_t>(count), std::vector<int64_t>(count), -1};
      std::iota(sum.cells.begin(), sum.cells.end(), 1);
      ASSERT_TRUE(pool.run(addNeighbours, &sum));
      EXPECT_EQ(sum.cells, expected);
      for (int64_t total : sum.totals)
        EXPECT_EQ(total, std::accumulate(expected.begin(), expected.end(), int64_t(0)));
    }
  }
}

TEST(ThreadPool, aRunThatIsLeftEndsAndTheNextIsWhole) {
  for (int64_t count : {1, 3}) {
    ThreadPool pool(static_cast<int>(count));
    std::vector<int64_t> expected = expectedCells(count);
    for (int repeat = 0; repeat < 5; ++repeat) {
      Sum sum{&pool, std::vector<int64_t>(count, 1), std::vector<int64_t>(count), 0};
      EXPECT_FALSE(pool.run(addNeighbours, &sum));
      EXPECT_EQ(sum.totals, std::vector<int64_t>(count, 0));
      sum = {&pool, std::vector<int64_t>(count), std::vector<int64_t>(count), -1};
      std::iota(sum.cells.begin(), sum.cells.end(), 1);
      ASSERT_TRUE(pool.run(addNeighbours, &sum));
      EXPECT_EQ(sum.cells, expected);
    }
  }
}

TEST(ThreadPool, usableThreadsAreSome) {
  EXPECT_GE(usableThreads(), 1);
  EXPECT_LE(usableThreads(), 256);
}

} // namespace
