#include "Dense.h"
#include <algorithm>
#include <cblas.h>
#include <cmath>

// NOLINTNEXTLINE(readability-identifier-naming): LAPACK's name
extern "C" void dpotrf_(const char *triangle, const int *size, double *matrix, const int *stride, int *info);

namespace qcc::dense {

BlasThreads::BlasThreads(unsigned count) : before(openblas_get_num_threads()) {
  openblas_set_num_threads(int(std::max(1u, count)));
}

BlasThreads::~BlasThreads() { openblas_set_num_threads(before); }

void addProduct(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                int64_t ldc) {
  if (m && n && k)
    cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, int(m), int(n), int(k), 1, a, int(lda), b, int(ldb), 1, c,
                int(ldc));
}

void addProduct(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                int64_t ldc) {
  if (m && n && k)
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, int(m), int(n), int(k), 1, a, int(lda), b, int(ldb), 1, c,
                int(ldc));
}

void solveUnitLower(int64_t m, int64_t n, const float *l, int64_t ldl, float *x, int64_t ldx) {
  if (m && n)
    cblas_strsm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasUnit, int(m), int(n), 1, l, int(ldl), x,
                int(ldx));
}

void solveUnitLower(int64_t m, int64_t n, const double *l, int64_t ldl, double *x, int64_t ldx) {
  if (m && n)
    cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasUnit, int(m), int(n), 1, l, int(ldl), x,
                int(ldx));
}

void product(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c) {
  if (m && n)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(m), int(n), int(k), 1, a, int(std::max<int64_t>(k, 1)),
                b, int(n), 0, c, int(n));
}

void gram(int64_t rows, int64_t columns, const float *x, float *result) {
  if (columns)
    cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, int(columns), int(rows), 1, x, int(columns), 0, result,
                int(columns));
}

bool factorize(int64_t size, double *matrix) {
  int n = int(size), info = 0;
  dpotrf_("L", &n, matrix, &n, &info);
  // OpenBLAS does not stop at a NaN.
  for (int64_t i = 0; i < size && info == 0; ++i)
    if (!std::isfinite(matrix[i * (size + 1)]))
      return false;
  return info == 0;
}

} // namespace qcc::dense
