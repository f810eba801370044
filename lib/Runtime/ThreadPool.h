// The threads of a session. They are started once and run whole programs together (SPMD).
#ifndef QCC_LIB_RUNTIME_THREADPOOL_H
#define QCC_LIB_RUNTIME_THREADPOOL_H

#include <atomic>
#include <condition_variable>
#include <csetjmp>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace qcc {

// As many threads as the process may run at once: its affinity mask and its control group's quota.
int usableThreads();

// How one thread waits for others at one kind of place: by `pause` as long as they are likely to be running, then by
// giving its core away each time, because they may be waiting for this very core. The spinning adapts: where it was in
// vain it is halved, where it was not it is doubled, so threads that share a core hand it over at once.
class Patience {
public:
  void wait();
  void end(); // what was waited for has come
  // Long enough for a thread without work to sleep.
  bool spent() const { return yields == manyYields; }

private:
  static constexpr int leastSpins = 16, mostSpins = 2048, manyYields = 100;
  int limit = mostSpins, waits = 0, yields = 0;
};

class ThreadPool {
public:
  // Throws std::system_error when the system gives no more threads.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int64_t size() const { return count; }

  // Calls work(argument, thread) on every thread, thread 0 being the caller's; returns when all have ended. False when
  // a thread left through `abandon`.
  using Work = void (*)(void *argument, int64_t thread);
  bool run(Work work, void *argument);

  // Inside a run: waits until every thread is here.
  void barrier(int64_t thread);
  // Inside a run: ends it for this thread here and for the others at their next barrier. Nothing between here and `run`
  // may hold a C++ object: the stack is left by longjmp.
  [[noreturn]] void abandon(int64_t thread);

private:
  void stop();
  void serve(int64_t thread);
  void call(int64_t thread);

  const int64_t count;
  std::vector<std::thread> workers;
  // What belongs to one thread.
  struct alignas(64) Slot {
    std::jmp_buf exit;
    Patience atBarrier, betweenRuns;
  };
  std::vector<Slot> slots;

  // Each on a cache line of its own: waiting threads read one while others write the next.
  alignas(64) std::atomic<int64_t> arrived{0};
  alignas(64) std::atomic<uint64_t> epoch{0};
  alignas(64) std::atomic<bool> abandoned{false};
  alignas(64) std::atomic<int64_t> running{0};
  alignas(64) std::atomic<uint64_t> generation{0}; // of the work; changes under the mutex
  std::mutex mutex;
  std::condition_variable started;
  bool stopping = false;
  Work work = nullptr;
  void *argument = nullptr;
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_THREADPOOL_H
