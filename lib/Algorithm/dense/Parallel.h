// Work that is split over threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace qcc {

/// Calls work(i) for every i below `count`, each once, on up to `threads` threads. What one call writes no other may
/// read.
template <typename Work> void parallelFor(int64_t count, unsigned threads, const Work &work) {
  std::atomic<int64_t> next{0};
  auto run = [&] {
    for (int64_t i = next++; i < count; i = next++)
      work(i);
  };
  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min<int64_t>(threads, count); ++i)
    others.emplace_back(run);
  run();
  for (std::thread &other : others)
    other.join();
}

} // namespace qcc
