#include "qcc/Algorithm/Covariance.h"
#include "../dense/Dense.h"
#include "../dense/Parallel.h"
#include <cassert>

using namespace qcc;

/// Tokens of a piece: enough for the product to cost far more than adding it up in float64, few enough for float32.
static constexpr int64_t pieceTokens = 512;

Covariance::Covariance(int64_t columns, unsigned threads)
    : width(columns), threads(threads), sum(size_t(columns * columns)) {}

void Covariance::include(const float *rows, int64_t number) {
  piece.resize(sum.size());
  dense::gram(number, width, rows, piece.data(), threads);
  parallelFor(width, threads, [&](int64_t i) {
    for (int64_t j = i * width + i; j < (i + 1) * width; ++j)
      sum[size_t(j)] += piece[size_t(j)];
  });
}

void Covariance::flush() {
  if (!pending.empty())
    include(pending.data(), int64_t(pending.size()) / width);
  pending.clear();
}

void Covariance::add(MatrixView activations) {
  assert(activations.columns == width && "activations of another width");
  count += activations.rows;
  for (int64_t row = 0; row < activations.rows;) {
    const int64_t held = int64_t(pending.size()) / width;
    const int64_t take = std::min(activations.rows - row, pieceTokens - held);
    if (take == pieceTokens) {
      include(activations.row(row), take);
    } else {
      pending.insert(pending.end(), activations.row(row), activations.row(row + take));
      if (held + take == pieceTokens)
        flush();
    }
    row += take;
  }
}

void Covariance::merge(Covariance &other) {
  assert(width == other.width && "covariances of different widths");
  other.flush();
  for (size_t i = 0; i < sum.size(); ++i)
    sum[i] += other.sum[i];
  count += other.count;
}

std::vector<double> Covariance::matrix() {
  flush();
  Covariance copy(0);
  copy.width = width, copy.count = count, copy.sum = sum;
  return copy.release();
}

std::vector<double> Covariance::release() {
  flush();
  piece = {}, pending = {};
  const double tokens = double(std::max<int64_t>(count, 1));
  for (int64_t i = 0; i < width; ++i)
    for (int64_t j = i; j < width; ++j) {
      sum[size_t(i * width + j)] /= tokens;
      sum[size_t(j * width + i)] = sum[size_t(i * width + j)];
    }
  count = 0;
  return std::move(sum);
}
