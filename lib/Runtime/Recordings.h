// Runs that a session's queue has recorded, one for each of the inputs' shapes that came last.
#ifndef QCC_LIB_RUNTIME_RECORDINGS_H
#define QCC_LIB_RUNTIME_RECORDINGS_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qcc {

class Recordings {
public:
  struct Output {
    std::vector<int64_t> dims;
    int64_t bytes;
    bool made;
  };
  struct Recording {
    std::vector<int64_t> shape, dependencies; // no dependencies: nothing is recorded
    size_t slot;                              // in the queue
    std::vector<Output> outputs;
    uint64_t used; // the time of its last use
  };

  // That of the shape; where there is none, one in the place of the least recently used.
  Recording &find(const std::vector<int64_t> &shape);

private:
  std::vector<Recording> recordings;
  uint64_t time = 0;
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_RECORDINGS_H
