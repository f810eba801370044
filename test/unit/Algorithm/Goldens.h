// The goldens of this folder.
#pragma once

#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Npz/Npz.h"
#include "gtest/gtest.h"

#include <cstring>

/// A problem, and what the papers' algorithms in float64 NumPy make of it; goldens/make.py writes the file.
class Goldens : public ::testing::Test {
protected:
  void SetUp() override {
    std::string error;
    ASSERT_TRUE(qcc::readNpz(GOLDENS, arrays, error)) << error;
    const qcc::NpzArray &x = array("activations"), &w = array("weights");
    tokens = x.shape[0], columns = x.shape[1], rows = w.shape[0];
    weights = numbers<float>("weights");
    covariance.resize(size_t(columns * columns));
    std::vector<int8_t> values = numbers<int8_t>("activations");
    activations.assign(values.begin(), values.end());
    for (int64_t token = 0; token < tokens; ++token) {
      const float *row = activations.data() + token * columns;
      for (int64_t i = 0; i < columns; ++i)
        for (int64_t j = 0; j < columns; ++j)
          covariance[size_t(i * columns + j)] += double(row[i]) * row[j];
    }
    for (double &value : covariance)
      value /= double(tokens);
  }
  qcc::MatrixView view() const { return {weights, rows, columns}; }
  const qcc::NpzArray &array(const std::string &name) {
    for (const qcc::NpzArray &array : arrays)
      if (array.name == name)
        return array;
    ADD_FAILURE() << "no array " << name;
    return arrays.front();
  }
  template <typename Number> std::vector<Number> numbers(const std::string &name) {
    const qcc::NpzArray &from = array(name);
    std::vector<Number> values(from.bytes.size() / sizeof(Number));
    std::memcpy(values.data(), from.bytes.data(), from.bytes.size());
    return values;
  }
  std::vector<qcc::NpzArray> arrays;
  int64_t tokens = 0, rows = 0, columns = 0;
  std::vector<float> weights, activations;
  std::vector<double> covariance;
};
