// Rounding to nearest and decoding of a 1024 x 4096 matrix, in GB of float32 a second of one core's own time.
#include "qcc/Format/Format.h"
#include <cmath>
#include <cstdio>
#include <ctime>

using namespace qcc;

/// Seconds that this thread has run.
static double ownSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

int main(int count, char **names) {
  constexpr int64_t rows = 1024, size = 4096;
  std::vector<float> matrix(rows * size), values(matrix.size());
  for (size_t i = 0; i < matrix.size(); ++i)
    matrix[i] = std::sin(float(i) * 0.7f) * std::sin(float(i) * 0.013f);
  auto best = [&](auto work) {
    double least = 1e9;
    for (int round = 0; round < 5; ++round) {
      double begin = ownSeconds();
      work();
      least = std::min(least, ownSeconds() - begin);
    }
    return double(matrix.size()) * 4e-9 / least;
  };
  for (int i = 1; i < count; ++i) {
    Format format = llvm::cantFail(findFormat(names[i]));
    EncodedMatrix encoded;
    double rounding = best([&] { encoded = format.encode(matrix, rows, size); });
    double decoding = best([&] { format.decode(encoded, 0, rows, values.data()); });
    std::printf("%-16s rounds %.2f GB/s, decodes %.2f GB/s\n", names[i], rounding, decoding);
  }
}
