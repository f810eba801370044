// Weights and activations to quantize.
#pragma once

#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Format/Format.h"
#include "llvm/Support/Error.h"

#include <cmath>
#include <random>
#include <string>

/// Weights [rows][columns], activations [tokens][columns] whose columns are correlated and differ in size, and the mean
/// of xᵀx over tokens, in float64.
struct Problem {
  int64_t rows, columns, tokens;
  std::vector<float> weights, activations;
  std::vector<double> covariance;

  Problem(int64_t rows, int64_t columns, int64_t tokens, unsigned seed = 1)
      : rows(rows), columns(columns), tokens(tokens), weights(size_t(rows * columns)),
        activations(size_t(tokens * columns)), covariance(size_t(columns * columns)) {
    std::mt19937_64 generator(seed);
    std::normal_distribution<float> normal;
    for (float &weight : weights)
      weight = 0.02f * normal(generator);
    std::vector<float> sizes(size_t(columns), 0);
    for (float &size : sizes)
      size = std::exp(0.7f * normal(generator));
    for (int64_t token = 0; token < tokens; ++token) {
      float carried = 0;
      for (int64_t column = 0; column < columns; ++column) {
        carried = 0.8f * carried + 0.6f * normal(generator);
        activations[size_t(token * columns + column)] = carried * sizes[size_t(column)];
      }
    }
    for (int64_t token = 0; token < tokens; ++token)
      for (int64_t i = 0; i < columns; ++i)
        for (int64_t j = 0; j < columns; ++j)
          covariance[size_t(i * columns + j)] +=
              double(activations[size_t(token * columns + i)]) * activations[size_t(token * columns + j)];
    for (double &value : covariance)
      value /= double(tokens);
  }

  qcc::MatrixView view() const { return {weights, rows, columns}; }
};

inline qcc::Format format(const std::string &name) { return llvm::cantFail(qcc::findFormat(name)); }
