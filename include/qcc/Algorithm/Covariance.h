// The covariance of a linear's input, which GPTQ calls its Hessian.
#pragma once

#include "qcc/Algorithm/MatrixView.h"

namespace qcc {

/// The mean of xᵀx over tokens x. Products are float32, in pieces of a few hundred tokens; sums of pieces are float64.
/// Takes 12 bytes for each of columns² elements. Infinities and NaNs come out as NaNs, which HessianFactor refuses.
class Covariance {
public:
  explicit Covariance(int64_t columns, unsigned threads = 1);
  void add(MatrixView activations);
  void merge(Covariance &other);
  int64_t columns() const { return width; }
  int64_t tokens() const { return count; }
  /// [columns][columns], both triangles; zero before any token.
  std::vector<double> matrix();
  /// The same, of which nothing more is kept here.
  std::vector<double> release();

private:
  void include(const float *rows, int64_t number);
  void flush();

  int64_t width, count = 0;
  unsigned threads;
  std::vector<float> pending; // tokens that are not in the sum yet
  std::vector<float> piece;
  std::vector<double> sum; // the upper triangle
};

} // namespace qcc
