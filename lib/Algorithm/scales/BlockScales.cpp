#include "qcc/Algorithm/BlockScales.h"
#include "../dense/Dense.h"
#include "../dense/Parallel.h"
#include "BlockCodes.h"
#include <cmath>

using namespace qcc;

static float tensorScaleOf(const Format &format, MatrixView weights) {
  if (format.scale->tensorScaleFor() == 0)
    return 1;
  float amax = 0;
  for (int64_t i = 0; i < weights.size(); ++i)
    amax = std::max(amax, std::abs(weights.data[i]));
  return format.chooseTensorScale(amax);
}

/// Fills the scales of all blocks, choose(place, tensor scale) giving each.
template <typename Choose>
static BlockScales chooseAll(const Format &format, MatrixView weights, unsigned threads, const Choose &choose) {
  BlockScales result;
  result.tensorScale = tensorScaleOf(format, weights);
  const int64_t perRow = format.columnBlocks(weights.columns), rowBlocks = format.rowBlocks(weights.rows);
  result.blocks.resize(size_t(perRow * rowBlocks));
  parallelFor(rowBlocks, threads, [&](int64_t rowBlock) {
    for (int64_t i = 0; i < perRow; ++i)
      result.blocks[size_t(rowBlock * perRow + i)] =
          choose(placeOf(format, weights.rows, weights.columns, rowBlock, i), result.tensorScale);
  });
  return result;
}

BlockScales qcc::nearestScales(const Format &format, MatrixView weights) {
  return chooseAll(format, weights, 1, [&](const BlockPlace &place, float tensorScale) {
    float lowest = 0, highest = 0;
    for (int64_t row = place.top; row < place.bottom; ++row)
      for (const float *at = weights.row(row) + place.left; at < weights.row(row) + place.right; ++at) {
        lowest = std::min(lowest, *at);
        highest = std::max(highest, *at);
      }
    return format.chooseScale(lowest, highest, tensorScale);
  });
}

BlockScales qcc::searchScales(const Format &format, MatrixView weights, const double *importance,
                              const ScaleSearch &search, unsigned threads) {
  return chooseAll(format, weights, threads, [&](const BlockPlace &place, float tensorScale) {
    std::vector<float> values, factors;
    gather(weights, place, values);
    for (int64_t row = place.top; importance && row < place.bottom; ++row)
      factors.insert(factors.end(), importance + place.left, importance + place.right);
    return searchScale(format, values.data(), importance ? factors.data() : nullptr, place.size(), tensorScale, search);
  });
}

namespace {

/// The blocks of one column of blocks, of a range of rows: each row's scale minimizes e H eᵀ.
class CovarianceSearch {
public:
  CovarianceSearch(const Format &format, MatrixView weights, const double *covariance, const ScaleSearch &search,
                   int64_t left, int64_t right)
      : format(format), weights(weights), search(search), left(left), width(right - left) {
    for (int64_t i = left; i < right; ++i)
      for (int64_t j = left; j < right; ++j)
        part.push_back(float(covariance[i * weights.columns + j]));
  }

  /// `result` is the first row's block; the others follow at a distance of `stride`.
  void run(int64_t top, int64_t bottom, float tensorScale, BlockScale *result, int64_t stride) {
    const int64_t rows = bottom - top;
    std::vector<float> errors(size_t(rows * width)), products(errors.size());
    std::vector<double> best(size_t(rows), -1);
    std::vector<uint32_t> codes(size_t(width), 0u);
    std::vector<BlockScale> tried(size_t(rows), BlockScale{});
    std::vector<float> lowest(size_t(rows), 0), highest(size_t(rows), 0);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < width; ++i) {
        lowest[size_t(row)] = std::min(lowest[size_t(row)], weights.row(top + row)[left + i]);
        highest[size_t(row)] = std::max(highest[size_t(row)], weights.row(top + row)[left + i]);
      }
    for (int step = -1; step < search.steps; ++step) {
      double share = search.steps > 1 ? double(step) / (search.steps - 1) : 0;
      float factor = step < 0 ? 1 : float(search.highest + share * (search.lowest - search.highest));
      for (int64_t row = 0; row < rows; ++row) {
        const float *values = weights.row(top + row) + left;
        float *error = errors.data() + row * width;
        const BlockScale scale = tried[size_t(row)] =
            format.chooseScale(lowest[size_t(row)] * factor, highest[size_t(row)] * factor, tensorScale);
        format.element->encodeBlock({values, size_t(width)}, scale.value, scale.zero, codes.data());
        valuesOf(format, codes.data(), width, scale, error);
        for (int64_t i = 0; i < width; ++i)
          error[i] = values[i] - error[i];
      }
      dense::product(rows, width, width, errors.data(), part.data(), products.data());
      for (int64_t row = 0; row < rows; ++row) {
        double error = 0;
        for (int64_t i = row * width; i < (row + 1) * width; ++i)
          error += double(errors[size_t(i)]) * products[size_t(i)];
        if (step < 0 || error < best[size_t(row)]) {
          best[size_t(row)] = error;
          result[row * stride] = tried[size_t(row)];
        }
      }
    }
  }

private:
  const Format &format;
  MatrixView weights;
  const ScaleSearch &search;
  int64_t left, width;
  std::vector<float> part;
};

} // namespace

Result<BlockScales> qcc::searchScalesByCovariance(const Format &format, MatrixView weights, const double *covariance,
                                                  const ScaleSearch &search, unsigned threads) {
  if (format.isPlain())
    return Refusal{"format '" + format.name + "' has no scales to search for"};
  if (format.blockRows != 1)
    return Refusal{"a block of format '" + format.name +
                   "' spans several rows: its scale cannot be searched for row by row"};
  BlockScales result;
  result.tensorScale = tensorScaleOf(format, weights);
  const int64_t perRow = format.columnBlocks(weights.columns), step = 256;
  result.blocks.resize(size_t(perRow * weights.rows));
  parallelFor(perRow, threads, [&](int64_t index) {
    BlockPlace place = placeOf(format, weights.rows, weights.columns, 0, index);
    CovarianceSearch one(format, weights, covariance, search, place.left, place.right);
    for (int64_t top = 0; top < weights.rows; top += step)
      one.run(top, std::min(weights.rows, top + step), result.tensorScale, &result.blocks[size_t(top * perRow + index)],
              perRow);
  });
  return result;
}

EncodedMatrix qcc::encodeWithScales(const Format &format, MatrixView weights, const BlockScales &scales) {
  const int64_t columns = weights.columns, perRow = format.columnBlocks(columns);
  EncodedMatrix result = format.allocate(weights.rows, columns, scales.tensorScale);
  for (size_t i = 0; i < scales.blocks.size(); ++i)
    format.storeScale(result, int64_t(i), scales.blocks[i]);
  std::vector<uint32_t> codes(size_t(columns), 0);
  for (int64_t row = 0; row < weights.rows; ++row) {
    int64_t rowBlock = format.blockRows ? row / format.blockRows : 0;
    for (int64_t i = 0; i < perRow; ++i) {
      BlockPlace place = placeOf(format, weights.rows, columns, rowBlock, i);
      const BlockScale &scale = scales.blocks[size_t(rowBlock * perRow + i)];
      format.element->encodeBlock({weights.row(row) + place.left, size_t(place.right - place.left)}, scale.value,
                                  scale.zero, codes.data() + place.left);
    }
    format.storeRow(result, row, codes);
  }
  return result;
}

std::vector<float> qcc::decodeAll(const Format &format, const EncodedMatrix &matrix) {
  std::vector<float> values(size_t(matrix.rows * matrix.columns), 0);
  format.decode(matrix, 0, matrix.rows, values.data());
  return values;
}

double qcc::outputError(MatrixView weights, const std::vector<float> &quantized, const double *covariance) {
  const int64_t columns = weights.columns, step = 64;
  double total = 0;
  std::vector<double> errors(size_t(step * columns)), products(errors.size());
  for (int64_t top = 0; top < weights.rows; top += step) {
    // Column-major: a column is one row's error. H is symmetric, so its order does not matter.
    int64_t rows = std::min(step, weights.rows - top);
    for (int64_t i = 0; i < rows * columns; ++i)
      errors[size_t(i)] = double(weights.row(top)[i]) - quantized[size_t(top * columns + i)];
    std::fill(products.begin(), products.end(), 0);
    dense::addProduct(columns, rows, columns, covariance, columns, errors.data(), columns, products.data(), columns);
    for (int64_t i = 0; i < rows * columns; ++i)
      total += errors[size_t(i)] * products[size_t(i)];
  }
  return total;
}
