#include "qcc/Algorithm/Rotation.h"
#include "../dense/Parallel.h"
#include <cmath>
#include <random>
#include <string>

using namespace qcc;

static bool isPrime(int64_t p) {
  for (int64_t i = 2; i * i <= p; ++i)
    if (p % i == 0)
      return false;
  return p > 1;
}

/// Jacobsthal's matrix: Q_ij = χ(i - j), χ being 1 for squares modulo p, -1 for others, 0 for 0.
static std::vector<int8_t> jacobsthal(int64_t p) {
  std::vector<int8_t> character(size_t(p), -1), result(size_t(p * p), 0);
  for (int64_t i = 1; i < p; ++i)
    character[size_t(i * i % p)] = 1;
  character[0] = 0;
  for (int64_t i = 0; i < p; ++i)
    for (int64_t j = 0; j < p; ++j)
      result[size_t(i * p + j)] = character[size_t((i - j + p) % p)];
  return result;
}

/// [[0, 1ᵀ], [sign 1, Q]]: C Cᵀ = p I.
static std::vector<int8_t> conference(int64_t p, int8_t sign) {
  const int64_t n = p + 1;
  std::vector<int8_t> q = jacobsthal(p), result(size_t(n * n), 0);
  for (int64_t i = 1; i < n; ++i) {
    result[size_t(i)] = 1;
    result[size_t(i * n)] = sign;
    for (int64_t j = 1; j < n; ++j)
      result[size_t(i * n + j)] = q[size_t((i - 1) * p + j - 1)];
  }
  return result;
}

std::vector<int8_t> qcc::hadamardMatrix(int64_t size) {
  if (size == 1)
    return {1};
  // Paley I: I + S, S being the skew conference matrix of p + 1.
  if (size % 4 == 0 && isPrime(size - 1)) {
    std::vector<int8_t> result = conference(size - 1, -1);
    for (int64_t i = 0; i < size; ++i)
      result[size_t(i * size + i)] = 1;
    return result;
  }
  // Paley II: the symmetric conference matrix of p + 1 with 0 replaced by [[1, -1], [-1, -1]], ±1 by ±[[1, 1], [1,
  // -1]].
  const int64_t half = size / 2;
  if (size % 4 != 0 || half % 4 != 2 || !isPrime(half - 1))
    return {};
  std::vector<int8_t> small = conference(half - 1, 1), result(size_t(size * size), 0);
  for (int64_t i = 0; i < half; ++i)
    for (int64_t j = 0; j < half; ++j) {
      const int8_t value = small[size_t(i * half + j)];
      int8_t *corner = result.data() + 2 * i * size + 2 * j;
      corner[0] = value ? value : int8_t(1);
      corner[1] = corner[size] = value ? value : int8_t(-1);
      corner[size + 1] = value ? int8_t(-value) : int8_t(-1);
    }
  return result;
}

Result<Rotation> Rotation::create(int64_t size, uint64_t seed) { return blocks(size, size, seed); }

Result<Rotation> Rotation::blocks(int64_t size, int64_t block, uint64_t seed) {
  if (size <= 0 || block <= 0 || size % block)
    return Refusal{"blocks of " + std::to_string(block) + " do not divide " + std::to_string(size) + " channels"};
  Rotation rotation;
  rotation.channels = size;
  rotation.block = block;
  constexpr int64_t largestOrder = 256;
  int64_t order = block, power = 1;
  for (; order % 2 == 0; order /= 2)
    power *= 2;
  // From the smallest order on: the more powers of two, the fewer additions.
  for (int64_t part = power; part >= 1 && rotation.matrix.empty(); part /= 2)
    if (block / part <= largestOrder) {
      rotation.order = block / part;
      rotation.matrix = hadamardMatrix(rotation.order);
    }
  if (rotation.matrix.empty())
    return Refusal{"there is no Hadamard matrix here for " + std::to_string(block) + " channels; blocks of " +
                   std::to_string(power) + " can be rotated"};
  if (seed) {
    std::mt19937_64 generator(seed);
    for (int64_t i = 0; i < size; ++i)
      rotation.signs.push_back(generator() & 1 ? 1.0f : -1.0f);
  }
  return rotation;
}

/// v (H_1 ⊗ I), unscaled. Sylvester's matrices are symmetric.
static void multiplyPowers(float *v, int64_t size, int64_t order) {
  for (int64_t step = order; step < size; step *= 2)
    for (int64_t first = 0; first < size; first += 2 * step)
      for (int64_t i = first; i < first + step; ++i) {
        const float a = v[i], b = v[i + step];
        v[i] = a + b;
        v[i + step] = a - b;
      }
}

/// v (I ⊗ H_m) / sqrt(size), or with the transposed matrix.
void Rotation::multiplyOrder(float *v, bool transposed) const {
  const float scale = float(1 / std::sqrt(double(block)));
  std::vector<float> sums(size_t(order), 0);
  for (int64_t first = 0; first < block; first += order) {
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (int64_t i = 0; i < order; ++i)
      for (int64_t j = 0; j < order; ++j)
        sums[size_t(transposed ? i : j)] += v[first + (transposed ? j : i)] * float(matrix[size_t(i * order + j)]);
    for (int64_t i = 0; i < order; ++i)
      v[first + i] = sums[size_t(i)] * scale;
  }
}

void Rotation::apply(float *values, int64_t rows, unsigned threads) const {
  parallelFor(rows, threads, [&](int64_t row) {
    float *v = values + row * channels;
    for (size_t i = 0; i < signs.size(); ++i)
      v[i] *= signs[i];
    for (int64_t first = 0; first < channels; first += block) {
      multiplyPowers(v + first, block, order);
      multiplyOrder(v + first, false);
    }
  });
}

void Rotation::applyTransposed(float *values, int64_t rows, unsigned threads) const {
  parallelFor(rows, threads, [&](int64_t row) {
    float *v = values + row * channels;
    for (int64_t first = 0; first < channels; first += block) {
      multiplyPowers(v + first, block, order);
      multiplyOrder(v + first, true);
    }
    for (size_t i = 0; i < signs.size(); ++i)
      v[i] *= signs[i];
  });
}
