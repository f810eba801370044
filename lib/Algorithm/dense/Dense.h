// Dense linear algebra, from OpenBLAS: it picks its kernels by the CPU it runs on, so that last bits may differ between
// CPUs. Its own threads stay unused, for the whole process: work is split over ours, in pieces that do not depend on
// their number, so that results do not either.
#pragma once

#include <cstdint>

namespace qcc::dense {

/// C (m x n) += A (m x k) * B (k x n), column-major: element (i, j) of C is at c[i + j * ldc].
void addProduct(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                int64_t ldc);
void addProduct(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                int64_t ldc);

/// X with X (m x n) * L = B, which `x` holds before; L is lower triangular with a diagonal of ones. Column-major.
void solveUnitLower(int64_t m, int64_t n, const float *l, int64_t ldl, float *x, int64_t ldx);
void solveUnitLower(int64_t m, int64_t n, const double *l, int64_t ldl, double *x, int64_t ldx);

/// C (m x n) = A (m x k) * B (k x n), row-major and without gaps.
void product(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c, unsigned threads = 1);

/// The upper triangle (row-major) of XᵀX of `rows` x `columns` row-major values; what is below it is left as it is.
void gram(int64_t rows, int64_t columns, const float *x, float *result, unsigned threads);

/// Replaces the lower triangle (column-major) of a symmetric matrix by L of L Lᵀ. False where it is not positive
/// definite; the triangle then holds nothing of use.
bool factorize(int64_t size, double *matrix, unsigned threads);

} // namespace qcc::dense
