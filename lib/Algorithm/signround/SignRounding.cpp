#include "qcc/Algorithm/SignRounding.h"
#include "../dense/Dense.h"
#include "../dense/Parallel.h"
#include "../scales/BlockCodes.h"
#include <algorithm>
#include <cmath>

using namespace qcc;

namespace {

/// An element's codes in the order of their values; only those that rounding makes, and one of those of equal value.
class Ladder {
public:
  explicit Ladder(const Format &format) {
    const ElementCodec &element = *format.element;
    for (uint32_t code = 0; code < 1u << element.bits(); ++code)
      if (element.encode(element.values()[code]) == code)
        codes.push_back(code);
    std::sort(codes.begin(), codes.end(), [&](uint32_t a, uint32_t b) {
      float x = element.values()[a], y = element.values()[b];
      return x != y ? x < y : a < b;
    });
    codes.erase(std::unique(codes.begin(), codes.end(),
                            [&](uint32_t a, uint32_t b) { return element.values()[a] == element.values()[b]; }),
                codes.end());
    place.resize(size_t(1) << element.bits());
    for (uint32_t code = 0; code < place.size(); ++code)
      place[code] = std::lower_bound(codes.begin(), codes.end(), element.values()[code],
                                     [&](uint32_t a, float value) { return element.values()[a] < value; }) -
                    codes.begin();
  }
  /// The neighbour of a code, `direction` 1 above or -1 below; the code itself at the end.
  uint32_t neighbour(uint32_t code, int direction) const {
    int64_t at = place[code] + direction;
    return at < 0 || at >= int64_t(codes.size()) ? code : codes[size_t(at)];
  }

private:
  std::vector<uint32_t> codes;
  std::vector<int64_t> place;
};

/// Some rows.
class Chunk {
public:
  Chunk(const Format &format, MatrixView weights, const Ladder &ladder, const BlockScales &scales, int64_t top,
        int64_t bottom)
      : weights(weights), top(top), rows(bottom - top), n(weights.columns), low(size_t(rows * n)), high(low.size()),
        lowCode(low.size()), highCode(low.size()), offset(low.size()), isUp(low.size()), best(low.size()),
        errors(low.size()), gradient(low.size()) {
    const int64_t perRow = format.columnBlocks(n);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t block = 0; block < perRow; ++block) {
        const int64_t rowBlock = format.blockRows ? (top + row) / format.blockRows : 0;
        const BlockPlace place = placeOf(format, weights.rows, n, rowBlock, block);
        const BlockScale &scale = scales.blocks[size_t(rowBlock * perRow + block)];
        bracket(format, ladder, scale, row, place.left, place.right);
      }
  }

  void run(const float *covariance, const SignRoundingOptions &options) {
    std::vector<double> least(size_t(rows), 0);
    const double rate = options.learningRate > 0 ? options.learningRate : 1.0 / std::max(1, options.iterations);
    for (int iteration = 0; iteration <= options.iterations; ++iteration) {
      const float step = float(rate * (1 - double(iteration) / std::max(1, options.iterations)));
      round();
      dense::product(rows, n, n, errors.data(), covariance, gradient.data());
      for (int64_t row = 0; row < rows; ++row) {
        const size_t first = size_t(row * n), last = first + size_t(n);
        double error = 0;
        for (size_t i = first; i < last; ++i)
          error += double(errors[i]) * gradient[i];
        if (iteration == 0)
          nearest += error;
        if (iteration == 0 || error < least[size_t(row)]) {
          least[size_t(row)] = error;
          std::copy(isUp.begin() + row * n, isUp.begin() + (row + 1) * n, best.begin() + row * n);
        }
        // The error's gradient by V is -2 (e H) times the step between the two values, which is positive.
        for (size_t i = first; i < last; ++i) {
          float moved = offset[i] + (gradient[i] > 0 ? step : gradient[i] < 0 ? -step : 0);
          offset[i] = moved < -0.5f ? -0.5f : moved > 0.5f ? 0.5f : moved;
        }
      }
    }
    for (double error : least)
      found += error;
  }

  void store(const Format &format, EncodedMatrix &matrix) const {
    std::vector<uint32_t> codes(size_t(n), 0);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < n; ++i)
        codes[size_t(i)] = best[size_t(row * n + i)] ? highCode[size_t(row * n + i)] : lowCode[size_t(row * n + i)];
      format.storeRow(matrix, top + row, codes);
    }
  }

  double found = 0, nearest = 0;

private:
  /// The two values around each weight of a block's row. Weights beyond the last have the same twice.
  void bracket(const Format &format, const Ladder &ladder, const BlockScale &scale, int64_t row, int64_t left,
               int64_t right) {
    const float *values = weights.row(top + row);
    for (int64_t i = left; i < right; ++i) {
      const size_t at = size_t(row * n + i);
      uint32_t code, other;
      float value, otherValue;
      format.element->encodeBlock(values[i], scale.value, scale.zero, &code);
      valuesOf(format, &code, 1, scale, &value);
      const int direction = values[i] > value ? 1 : -1;
      other = values[i] == value ? code : ladder.neighbour(code, direction);
      valuesOf(format, &other, 1, scale, &otherValue);
      const bool isBelow = direction > 0;
      low[at] = isBelow ? value : otherValue;
      high[at] = isBelow ? otherValue : value;
      lowCode[at] = isBelow ? code : other;
      highCode[at] = isBelow ? other : code;
    }
  }

  /// Up where w + V (high - low) is nearer to the upper value.
  void round() {
    const float *values = weights.row(top);
    for (size_t i = 0; i < low.size(); ++i) {
      const float span = high[i] - low[i];
      const bool up = values[i] - low[i] + offset[i] * span > 0.5f * span;
      isUp[i] = up;
      errors[i] = values[i] - (up ? high[i] : low[i]);
    }
  }

  MatrixView weights;
  int64_t top, rows, n;
  std::vector<float> low, high;
  std::vector<uint32_t> lowCode, highCode;
  std::vector<float> offset; // V
  std::vector<char> isUp, best;
  std::vector<float> errors, gradient;
};

} // namespace

Result<SignRoundingResult> qcc::signRounding(const Format &format, MatrixView weights, const double *covariance,
                                             const BlockScales &scales, const SignRoundingOptions &options) {
  if (!isFinite({weights.data, size_t(weights.size())}))
    return Refusal{"the weights hold infinities or NaNs"};
  if (format.element->bits() > 16)
    return Refusal{"format '" + format.name + "' stores weights as they are: there is nothing to round"};
  const int64_t columns = weights.columns, step = 128, chunks = (weights.rows + step - 1) / step;
  const Ladder ladder(format);
  const std::vector<float> narrow(covariance, covariance + columns * columns);
  SignRoundingResult result;
  result.encoded = format.allocate(weights.rows, columns, scales.tensorScale);
  for (size_t i = 0; i < scales.blocks.size(); ++i)
    format.storeScale(result.encoded, int64_t(i), scales.blocks[i]);
  std::vector<double> found(size_t(chunks), 0), nearest(size_t(chunks), 0);
  parallelFor(chunks, options.threads, [&](int64_t i) {
    Chunk chunk(format, weights, ladder, scales, i * step, std::min(weights.rows, (i + 1) * step));
    chunk.run(narrow.data(), options);
    chunk.store(format, result.encoded);
    found[size_t(i)] = chunk.found;
    nearest[size_t(i)] = chunk.nearest;
  });
  for (int64_t i = 0; i < chunks; ++i) {
    result.error += found[size_t(i)];
    result.errorOfNearest += nearest[size_t(i)];
  }
  return result;
}
