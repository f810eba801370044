// A float32 matrix that somebody else keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qcc {

/// Row-major, without gaps. Of weights, a row makes one output; of activations, a row is one token.
struct MatrixView {
  const float *data = nullptr;
  int64_t rows = 0, columns = 0;

  MatrixView() = default;
  MatrixView(const float *data, int64_t rows, int64_t columns) : data(data), rows(rows), columns(columns) {}
  MatrixView(const std::vector<float> &values, int64_t rows, int64_t columns)
      : MatrixView(values.data(), rows, columns) {}

  const float *row(int64_t index) const { return data + index * columns; }
  int64_t size() const { return rows * columns; }
};

} // namespace qcc
