// Matrices to encode, and what came of them.
#pragma once

#include "qcc/Format/Format.h"

#include <cmath>
#include <random>

inline std::vector<float> normalMatrix(int64_t rows, int64_t columns, float deviation = 1, unsigned seed = 1) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(size_t(rows * columns), 0);
  for (float &value : values)
    value = normal(generator);
  return values;
}

inline std::vector<float> decoded(const qcc::Format &format, const qcc::EncodedMatrix &matrix) {
  std::vector<float> values(size_t(matrix.rows * matrix.columns), 0);
  format.decode(matrix, 0, matrix.rows, values.data());
  return values;
}

/// Signal to noise in decibels.
inline double sqnr(llvm::ArrayRef<float> original, llvm::ArrayRef<float> rounded) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < original.size(); ++i) {
    signal += double(original[i]) * original[i];
    noise += (double(original[i]) - rounded[i]) * (double(original[i]) - rounded[i]);
  }
  return 10 * std::log10(signal / noise);
}
