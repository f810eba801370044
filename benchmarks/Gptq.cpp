// Times GPTQ of one square layer: gptq-benchmark FORMAT COLUMNS TOKENS THREADS. Prints seconds of the covariance, the
// factorization and the columns: of the processor's time with one thread, which other programs disturb less, of the
// clock's with several.
#include "qcc/Algorithm/Gptq.h"
#include "qcc/Algorithm/Covariance.h"
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>

using namespace qcc;

template <typename Work> static double seconds(unsigned threads, const Work &work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t processor = std::clock();
  work();
  if (threads == 1)
    return double(std::clock() - processor) / CLOCKS_PER_SEC;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int main(int count, char **arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: gptq-benchmark FORMAT COLUMNS TOKENS THREADS\n");
    return 2;
  }
  auto format = findFormat(arguments[1]);
  if (!format) {
    fprintf(stderr, "%s\n", llvm::toString(format.takeError()).c_str());
    return 2;
  }
  const int64_t n = std::atoll(arguments[2]), tokens = std::atoll(arguments[3]);
  const auto threads = unsigned(std::atoi(arguments[4]));
  std::mt19937_64 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> weights(size_t(n * n)), activations(size_t(tokens * n));
  for (float &weight : weights)
    weight = 0.02f * normal(generator);
  for (int64_t token = 0; token < tokens; ++token) {
    float carried = 0;
    for (int64_t i = 0; i < n; ++i)
      activations[size_t(token * n + i)] = carried = 0.8f * carried + normal(generator);
  }
  Covariance covariance(n, threads);
  std::vector<double> matrix;
  const double gathered = seconds(threads, [&] {
    covariance.add({activations, tokens, n});
    matrix = covariance.matrix();
  });
  HessianOptions options;
  options.threads = threads;
  std::optional<HessianFactor> factor;
  const double factored = seconds(threads, [&] {
    auto made = HessianFactor::create(matrix.data(), n, options);
    if (made)
      factor = std::move(*made);
  });
  if (!factor)
    return 1;
  GptqOptions solver;
  solver.threads = threads;
  double objective = 0;
  const double solved = seconds(threads, [&] {
    auto result = gptq(*format, {weights, n, n}, *factor, solver);
    objective = result ? result->objective : NAN;
  });
  printf("{\"covariance\": %.3f, \"factor\": %.3f, \"columns\": %.3f, \"objective\": %.9g}\n", gathered, factored,
         solved, objective);
}
