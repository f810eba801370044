#include "Dense.h"
#include "Parallel.h"
#include <cblas.h>
#include <cmath>

// NOLINTNEXTLINE(readability-identifier-naming): LAPACK's name
extern "C" void dpotrf_(const char *triangle, const int *size, double *matrix, const int *stride, int *info);

namespace qcc::dense {

/// Rows and columns of the pieces of a large matrix.
static constexpr int64_t tile = 512;

static int64_t pieces(int64_t count, int64_t size) { return (count + size - 1) / size; }

static void useOneThread() {
  static const bool isDone = (openblas_set_num_threads(1), true);
  (void)isDone;
}

void addProduct(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                int64_t ldc) {
  useOneThread();
  if (m && n && k)
    cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, int(m), int(n), int(k), 1, a, int(lda), b, int(ldb), 1, c,
                int(ldc));
}

void addProduct(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                int64_t ldc) {
  useOneThread();
  if (m && n && k)
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, int(m), int(n), int(k), 1, a, int(lda), b, int(ldb), 1, c,
                int(ldc));
}

void solveUnitLower(int64_t m, int64_t n, const float *l, int64_t ldl, float *x, int64_t ldx) {
  useOneThread();
  if (m && n)
    cblas_strsm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasUnit, int(m), int(n), 1, l, int(ldl), x,
                int(ldx));
}

void solveUnitLower(int64_t m, int64_t n, const double *l, int64_t ldl, double *x, int64_t ldx) {
  useOneThread();
  if (m && n)
    cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasUnit, int(m), int(n), 1, l, int(ldl), x,
                int(ldx));
}

void product(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c, unsigned threads) {
  constexpr int64_t strip = 128;
  useOneThread();
  parallelFor(n ? pieces(m, strip) : 0, threads, [&](int64_t i) {
    const int64_t top = i * strip, rows = std::min(strip, m - top);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(rows), int(n), int(k), 1, a + top * k,
                int(std::max<int64_t>(k, 1)), b, int(n), 0, c + top * n, int(n));
  });
}

void gram(int64_t rows, int64_t columns, const float *x, float *result, unsigned threads) {
  const int64_t across = pieces(columns, tile);
  const int stride = int(columns);
  useOneThread();
  parallelFor(across * across, threads, [&](int64_t index) {
    const int64_t i = index / across * tile, j = index % across * tile;
    const int height = int(std::min(tile, columns - i)), width = int(std::min(tile, columns - j));
    float *part = result + i * columns + j;
    if (i == j)
      cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, width, int(rows), 1, x + i, stride, 0, part, stride);
    else if (i < j)
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, height, width, int(rows), 1, x + i, stride, x + j, stride, 0,
                  part, stride);
  });
}

bool factorize(int64_t size, double *matrix, unsigned threads) {
  constexpr int64_t step = 256;
  const int stride = int(size);
  useOneThread();
  auto at = [&](int64_t row, int64_t column) { return matrix + row + column * size; };
  for (int64_t done = 0; done < size; done += step) {
    const int count = int(std::min(step, size - done));
    int info = 0;
    dpotrf_("L", &count, at(done, done), &stride, &info);
    // OpenBLAS does not stop at a NaN.
    for (int64_t i = done; i < done + count && info == 0; ++i)
      info = !std::isfinite(*at(i, i));
    if (info != 0)
      return false;
    const int64_t next = done + count, down = pieces(size - next, tile);
    auto heightOf = [&](int64_t row) { return int(std::min(tile, size - row)); };
    parallelFor(down, threads, [&](int64_t index) {
      const int64_t row = next + index * tile;
      cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, heightOf(row), count, 1,
                  at(done, done), stride, at(row, done), stride);
    });
    parallelFor(down * down, threads, [&](int64_t index) {
      const int64_t row = next + index / down * tile, column = next + index % down * tile;
      if (row == column)
        cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, heightOf(row), count, -1, at(row, done), stride, 1,
                    at(row, row), stride);
      else if (row > column)
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, heightOf(row), heightOf(column), count, -1, at(row, done),
                    stride, at(column, done), stride, 1, at(row, column), stride);
    });
  }
  return true;
}

} // namespace qcc::dense
