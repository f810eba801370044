// Rounding to nearest and decoding of a 4096 x 4096 matrix, in GB of float32 a second of one core.
#include "qcc/Format/Format.h"
#include <chrono>
#include <cmath>
#include <cstdio>

using namespace qcc;

int main(int count, char **names) {
  constexpr int64_t size = 4096;
  std::vector<float> matrix(size * size), values(matrix.size());
  for (size_t i = 0; i < matrix.size(); ++i)
    matrix[i] = std::sin(float(i) * 0.7f) * std::sin(float(i) * 0.013f);
  auto best = [&](auto work) {
    double least = 1e9;
    for (int round = 0; round < 5; ++round) {
      auto begin = std::chrono::steady_clock::now();
      work();
      least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return double(matrix.size()) * 4e-9 / least;
  };
  for (int i = 1; i < count; ++i) {
    Format format = llvm::cantFail(findFormat(names[i]));
    EncodedMatrix encoded;
    double rounding = best([&] { encoded = format.encode(matrix, size, size); });
    double decoding = best([&] { format.decode(encoded, 0, size, values.data()); });
    std::printf("%-16s rounds %.2f GB/s, decodes %.2f GB/s\n", names[i], rounding, decoding);
  }
}
