#include "ThreadPool.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace qcc {
namespace {

void pauseCore() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

} // namespace

void Patience::wait() {
  if (yields == 0 && waits < limit) {
    ++waits;
    pauseCore();
    return;
  }
  if (yields == 0)
    limit = std::max(limit / 2, leastSpins);
  yields = std::min(yields + 1, manyYields);
  sched_yield();
}

void Patience::end() {
  if (yields == 0)
    limit = std::min(limit * 2, mostSpins);
  waits = yields = 0;
}

int usableThreads() {
  int usable = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    usable = CPU_COUNT(&set);
  if (std::FILE *file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    long long quota = 0, period = 0;
    if (std::fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
      usable = static_cast<int>(std::min<long long>(usable, std::max(1LL, quota / period)));
    std::fclose(file);
  }
  return std::clamp(usable, 1, 256);
}

ThreadPool::ThreadPool(int threads) : count(threads), slots(threads) {
  try {
    for (int64_t thread = 1; thread < count; ++thread)
      workers.emplace_back([this, thread] { serve(thread); });
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopping = true;
    generation.fetch_add(1, std::memory_order_release);
  }
  started.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::call(int64_t thread) {
  if (setjmp(slots[thread].exit) == 0)
    work(argument, thread);
}

void ThreadPool::serve(int64_t thread) {
  uint64_t seen = 0;
  for (;;) {
    // The next token's run usually follows at once, so the thread looks out for it before it sleeps.
    Patience &patience = slots[thread].betweenRuns;
    while (generation.load(std::memory_order_acquire) == seen && !patience.spent())
      patience.wait();
    patience.end();
    if (generation.load(std::memory_order_acquire) == seen) {
      std::unique_lock<std::mutex> lock(mutex);
      started.wait(lock, [&] { return generation.load(std::memory_order_relaxed) != seen; });
    }
    seen = generation.load(std::memory_order_acquire);
    if (stopping)
      return;
    call(thread);
    running.fetch_sub(1, std::memory_order_release);
  }
}

bool ThreadPool::run(Work newWork, void *newArgument) {
  abandoned.store(false, std::memory_order_relaxed);
  arrived.store(0, std::memory_order_relaxed);
  running.store(count - 1, std::memory_order_relaxed);
  {
    std::lock_guard<std::mutex> lock(mutex);
    work = newWork;
    argument = newArgument;
    generation.fetch_add(1, std::memory_order_release);
  }
  if (count > 1)
    started.notify_all();
  call(0);
  Patience &patience = slots[0].betweenRuns;
  while (running.load(std::memory_order_acquire) != 0)
    patience.wait();
  patience.end();
  return !abandoned.load(std::memory_order_relaxed);
}

void ThreadPool::barrier(int64_t thread) {
  if (abandoned.load(std::memory_order_acquire))
    std::longjmp(slots[thread].exit, 1);
  if (count == 1)
    return;
  uint64_t before = epoch.load(std::memory_order_relaxed);
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
    arrived.store(0, std::memory_order_relaxed);
    epoch.store(before + 1, std::memory_order_release);
    return;
  }
  Patience &patience = slots[thread].atBarrier;
  while (epoch.load(std::memory_order_acquire) == before) {
    if (abandoned.load(std::memory_order_relaxed))
      std::longjmp(slots[thread].exit, 1);
    patience.wait();
  }
  patience.end();
}

void ThreadPool::abandon(int64_t thread) {
  abandoned.store(true, std::memory_order_release);
  std::longjmp(slots[thread].exit, 1);
}

} // namespace qcc
