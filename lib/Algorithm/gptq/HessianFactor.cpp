// The factor that GPTQ works with.
//
// The paper (equations 2 and 3, algorithm 1) takes U, upper triangular with H⁻¹ = Uᵀ U, and after rounding column k
// adds
// -(w_k - q_k) / U_kk · U_kj to every later column j. With V = U⁻¹, so H = V Vᵀ and V upper triangular, the same
// adjusted weights follow from V alone: e = w - q of the original weights costs e H eᵀ = Σ_k (Σ_{i≤k} e_i V_ik)², and
// the term of k vanishes for
//
//   w'_k = w_k + Σ_{i<k} e_i V_ik / V_kk,
//
// which is what column k is to be rounded from. So one Cholesky factorization in reversed order is all that is needed:
// no inverse, and the objective is Σ_k (V_kk (w'_k - q_k))².
//
// Reversed order: place a = n - 1 - i holds the column that is processed as the i-th. In places H = L Lᵀ with L lower
// triangular, and V_ik is L[a(i)][a(k)]; column-major, what a column needs lies in one piece. The triangle is kept
// divided by its diagonal.
#include "../dense/Dense.h"
#include "../dense/Parallel.h"
#include "qcc/Algorithm/Gptq.h"
#include <cmath>
#include <numeric>

using namespace qcc;

std::vector<int64_t> qcc::activationOrder(const double *covariance, int64_t columns) {
  std::vector<int64_t> order(size_t(columns), 0);
  std::iota(order.begin(), order.end(), 0);
  auto key = [&](int64_t i) { return covariance[i * columns + i]; };
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return key(a) != key(b) ? key(a) > key(b) : a < b; });
  return order;
}

std::vector<float> qcc::permuteColumns(MatrixView matrix, const std::vector<int64_t> &order) {
  std::vector<float> result;
  result.reserve(size_t(matrix.size()));
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t column : order)
      result.push_back(matrix.row(row)[column]);
  return result;
}

std::vector<double> qcc::permuteCovariance(const double *covariance, const std::vector<int64_t> &order) {
  std::vector<double> result;
  result.reserve(order.size() * order.size());
  for (int64_t row : order)
    for (int64_t column : order)
      result.push_back(covariance[row * int64_t(order.size()) + column]);
  return result;
}

bool HessianFactor::build(const double *covariance, double ratio, unsigned threads) {
  const int64_t n = columns();
  double sum = 0;
  int64_t live = 0;
  for (int64_t column = 0; column < n; ++column)
    if (!isDead[size_t(column)]) {
      sum += diagonal[size_t(column)];
      ++live;
    }
  const double mean = sum / double(live);
  damping = ratio;
  added = ratio * mean;
  wide.resize(size_t(n * n));
  parallelFor(n, threads, [&](int64_t a) {
    const int64_t column = order[size_t(n - 1 - a)];
    const double *from = covariance + column * n;
    double *to = wide.data() + a * n;
    for (int64_t b = a; b < n; ++b)
      to[b] = from[order[size_t(n - 1 - b)]];
    to[a] = (isDead[size_t(column)] ? mean : to[a]) + added;
  });
  return dense::factorize(n, wide.data(), threads);
}

void HessianFactor::normalize(bool single) {
  const int64_t n = columns();
  pivots.resize(size_t(n));
  narrow.resize(single ? size_t(n * n) : 0);
  for (int64_t a = 0; a < n; ++a) {
    double *column = wide.data() + a * n;
    pivots[size_t(a)] = column[a];
    for (int64_t b = a + 1; b < n; ++b)
      column[b] /= column[a];
    for (int64_t b = a + 1; single && b < n; ++b)
      narrow[size_t(a * n + b)] = float(column[b]);
  }
  if (single)
    wide = {};
}

Result<HessianFactor> HessianFactor::create(const double *covariance, int64_t columns, const HessianOptions &options) {
  HessianFactor factor;
  factor.diagonal.resize(size_t(columns));
  factor.isDead.resize(size_t(columns));
  bool isZero = true;
  for (int64_t i = 0; i < columns; ++i) {
    double value = factor.diagonal[size_t(i)] = covariance[i * columns + i];
    if (!std::isfinite(value) || value < 0)
      return Refusal{"the Hessian's diagonal holds " + std::to_string(value) + " at column " + std::to_string(i) +
                     ": calibration data with infinities or NaNs cannot be used"};
    factor.isDead[size_t(i)] = value == 0;
    isZero &= value == 0;
  }
  if (isZero)
    return Refusal{"the Hessian is zero: no calibration data reached this input"};
  factor.isOrdered = options.activationOrder;
  factor.order.resize(size_t(columns));
  std::iota(factor.order.begin(), factor.order.end(), 0);
  if (options.activationOrder)
    factor.order = qcc::activationOrder(covariance, columns);

  double damping = options.damping;
  for (int attempt = 0;; ++attempt) {
    if (factor.build(covariance, damping, options.threads))
      break;
    if (attempt >= options.retries)
      return Refusal{"the Hessian is not positive definite, even with " + std::to_string(damping) +
                     " of its mean diagonal added: use more or other calibration data"};
    damping = damping > 0 ? 10 * damping : 0.01;
  }
  constexpr int64_t widestExact = 2048;
  factor.normalize(options.singlePrecision.value_or(columns > widestExact));
  return factor;
}
