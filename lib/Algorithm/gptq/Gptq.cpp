#include "qcc/Algorithm/Gptq.h"
#include "../dense/Dense.h"
#include "../dense/Parallel.h"
#include "../scales/BlockCodes.h"
#include <cmath>

using namespace qcc;

namespace qcc {

/// Some rows of a matrix, all of whose columns are rounded. Rows meet only in blocks of several rows, which a chunk
/// holds whole. Everything is column-major by place (see HessianFactor.cpp), so that loops run along rows.
template <typename Number> class GptqChunk {
public:
  GptqChunk(const Format &format, const HessianFactor &factor, const GptqOptions &options, MatrixView weights,
            float tensorScale, int64_t top, int64_t bottom)
      : format(format), factor(factor), options(options), weights(weights), tensorScale(tensorScale), top(top),
        rows(bottom - top), n(weights.columns), width(format.block ? format.block : n),
        height(format.blockRows ? format.blockRows : weights.rows), rowBlocks((rows + height - 1) / height) {
    const size_t size = size_t(rows * n), blocks = size_t(format.columnBlocks(n));
    adjusted.resize(size);
    errors.resize(size);
    codes.resize(size);
    scales.resize(blocks * size_t(rowBlocks));
    rowScale.resize(blocks * size_t(rows));
    quotients.resize(size_t(rows));
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t a = 0; a < n; ++a)
        adjusted[size_t(a * rows + row)] = weights.row(top + row)[column(a)];
    errors = adjusted;

    isStatic = factor.isOrdered || width >= n || options.scales;
    // Nested widths; a level that is the block's chooses its scale on the way.
    auto push = [&](int64_t level) {
      level = std::min(level, n);
      if (level > 0 && (levels.empty() || level < levels.back()))
        levels.push_back(level);
    };
    const int64_t lazy = std::max<int64_t>(1, options.lazyColumns);
    if (isStatic)
      push(lazy);
    else if (width >= lazy)
      push(width), push(lazy);
    else
      push(lazy / width * width), push(width);
    push(32);
    push(8);
  }

  void run() {
    if (isStatic)
      for (int64_t block = 0; block < format.columnBlocks(n); ++block)
        chooseScales(block, [&](int64_t row, int64_t at) { return weights.row(top + row)[at]; });
    solve(0, n, 0);
  }

  void store(EncodedMatrix &matrix) const {
    const int64_t perRow = format.columnBlocks(n);
    for (int64_t i = 0; i < rowBlocks; ++i)
      for (int64_t block = 0; block < perRow; ++block)
        format.storeScale(matrix, (top / height + i) * perRow + block, scales[size_t(block * rowBlocks + i)]);
    // A few rows at once, because a row's codes lie far apart.
    constexpr int64_t strip = 16;
    std::vector<uint32_t> strips(size_t(strip * n), 0);
    for (int64_t first = 0; first < rows; first += strip) {
      const int64_t count = std::min(strip, rows - first);
      for (int64_t a = 0; a < n; ++a)
        for (int64_t i = 0; i < count; ++i)
          strips[size_t(i * n + column(a))] = codes[size_t(a * rows + first + i)];
      for (int64_t i = 0; i < count; ++i)
        format.storeRow(matrix, top + first + i, {strips.data() + i * n, size_t(n)});
    }
  }

  double objective() const { return damped - factor.added * energy; }

private:
  int64_t column(int64_t place) const { return factor.order[size_t(n - 1 - place)]; }
  const Number *triangle() const;

  template <typename Value> void chooseScales(int64_t block, const Value &value) {
    const int64_t left = block * width, right = std::min(n, left + width);
    std::vector<float> values, importance;
    for (int64_t i = 0; i < rowBlocks; ++i) {
      const int64_t first = i * height, last = std::min(rows, first + height);
      values.clear();
      importance.clear();
      for (int64_t row = first; row < last; ++row)
        for (int64_t at = left; at < right; ++at) {
          values.push_back(value(row, at));
          if (options.clip && options.weighClip)
            importance.push_back(float(factor.diagonal[size_t(at)]));
        }
      BlockScale &scale = scales[size_t(block * rowBlocks + i)];
      if (options.scales) {
        scale = options.scales->blocks[size_t((top / height + i) * format.columnBlocks(n) + block)];
      } else if (options.clip) {
        scale = searchScale(format, values.data(), options.weighClip ? importance.data() : nullptr,
                            int64_t(values.size()), tensorScale, *options.clip);
      } else {
        auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
        scale = format.chooseScale(*lowest, *highest, tensorScale);
      }
      std::fill(rowScale.begin() + block * rows + first, rowScale.begin() + block * rows + last, scale);
    }
  }

  /// The scales of the block [begin, end), from the weights that would be best there if none was to be rounded any
  /// more: errors e that make all of its terms vanish, e V = -(what earlier columns contribute) V_kk.
  void chooseReachedScales(int64_t begin, int64_t end) {
    const int64_t first = n - end, count = (end - begin) * rows;
    free.assign(errors.begin() + first * rows, errors.begin() + first * rows + count);
    for (int64_t i = 0; i < count; ++i)
      free[size_t(i)] -= adjusted[size_t(first * rows + i)];
    dense::solveUnitLower(rows, end - begin, triangle() + first + first * n, n, free.data(), rows);
    for (int64_t i = 0; i < count; ++i)
      free[size_t(i)] = errors[size_t(first * rows + i)] - free[size_t(i)];
    chooseScales(begin / width,
                 [&](int64_t row, int64_t at) { return float(free[size_t((end - 1 - at) * rows + row)]); });
  }

  /// Rounds the columns [begin, end) in the order of processing; what the columns before `begin` do to them is applied.
  void solve(int64_t begin, int64_t end, size_t level) {
    if (level == levels.size()) {
      for (int64_t i = begin; i < end; ++i) {
        correct(begin, i, i, i + 1);
        round(n - 1 - i);
      }
      return;
    }
    for (int64_t at = begin; at < end; at += levels[level]) {
      const int64_t stop = std::min(end, at + levels[level]);
      correct(begin, at, at, stop);
      if (!isStatic && levels[level] == width)
        chooseReachedScales(at, stop);
      solve(at, stop, level + 1);
    }
  }

  /// w'_k = w_k + Σ_i e_i V_ik / V_kk for columns [from, to) and the sum over columns [first, last).
  void correct(int64_t first, int64_t last, int64_t from, int64_t to) {
    const int64_t i0 = n - last, k0 = n - to;
    if (to - from > 1) {
      dense::addProduct(rows, to - from, last - first, errors.data() + i0 * rows, rows, triangle() + i0 + k0 * n, n,
                        adjusted.data() + k0 * rows, rows);
      return;
    }
    Number *sum = adjusted.data() + k0 * rows;
    for (int64_t i = i0; i < n - first; ++i) {
      const Number *error = errors.data() + i * rows, factorOf = triangle()[i + k0 * n];
      for (int64_t row = 0; row < rows; ++row)
        sum[row] += error[row] * factorOf;
    }
  }

  /// Rounds the column at a place and leaves its error.
  void round(int64_t place) {
    const int64_t at = column(place);
    const BlockScale *scale = rowScale.data() + at / width * rows;
    const Number *wanted = adjusted.data() + place * rows;
    Number *error = errors.data() + place * rows;
    uint32_t *code = codes.data() + place * rows;
    if (format.hasZero) {
      for (int64_t row = 0; row < rows; ++row)
        format.element->encodeBlock(float(wanted[row]), scale[row].value, scale[row].zero, code + row);
    } else {
      // What encodeBlock divides by itself, here by another scale for each row.
      for (int64_t row = 0; row < rows; ++row)
        quotients[size_t(row)] = float(wanted[row]) / scale[row].value;
      format.element->encodeBlock(quotients, 1, 0, code);
    }
    const float *table = format.hasZero ? nullptr : format.element->values().data();
    double sum = 0, square = 0;
    for (int64_t row = 0; row < rows; ++row) {
      float number = table ? table[code[row]] : float(int32_t(code[row]) - scale[row].zero);
      Number value = number * scale[row].value, distance = wanted[row] - value;
      error[row] -= value;
      sum += double(distance) * distance;
      square += double(error[row]) * error[row];
    }
    if (factor.isDead[size_t(at)])
      return;
    damped += factor.pivots[size_t(place)] * factor.pivots[size_t(place)] * sum;
    energy += square;
  }

  const Format &format;
  const HessianFactor &factor;
  const GptqOptions &options;
  MatrixView weights;
  float tensorScale;
  int64_t top, rows, n, width, height, rowBlocks;
  bool isStatic;
  std::vector<int64_t> levels;
  std::vector<Number> adjusted; // what a column is rounded from, as far as known
  std::vector<Number> errors;   // original weights, and once rounded, less what they became
  std::vector<Number> free;     // of chooseReachedScales
  std::vector<uint32_t> codes;
  std::vector<BlockScale> scales;   // [column block][row block]
  std::vector<BlockScale> rowScale; // [column block][row]
  std::vector<float> quotients;
  double damped = 0, energy = 0; // of the damped objective, and Σ e²
};

template <> const float *GptqChunk<float>::triangle() const { return factor.narrow.data(); }
template <> const double *GptqChunk<double>::triangle() const { return factor.wide.data(); }

class GptqSolver {
public:
  GptqSolver(const Format &format, MatrixView weights, const HessianFactor &factor, const GptqOptions &options)
      : format(format), weights(weights), factor(factor), options(options) {}

  GptqResult run() {
    float amax = 0;
    for (int64_t i = 0; i < weights.size(); ++i)
      amax = std::max(amax, std::abs(weights.data[i]));
    tensorScale = options.scales ? options.scales->tensorScale : format.chooseTensorScale(amax);
    result.encoded = format.allocate(weights.rows, weights.columns, tensorScale);

    // Enough rows for matrix products to run at speed, few enough for the second cache to hold a step's columns. Not a
    // question of threads, so that results are not either.
    const int64_t height = std::max<int64_t>(1, format.blockRows ? format.blockRows : weights.rows);
    const int64_t share = std::clamp<int64_t>(weights.rows / 8, 32, 256);
    const int64_t step = (share + height - 1) / height * height;
    const int64_t chunks = (weights.rows + step - 1) / step;
    objectives.resize(size_t(chunks));
    parallelFor(chunks, options.threads, [&](int64_t i) {
      int64_t top = i * step, bottom = std::min(weights.rows, top + step);
      if (factor.narrow.empty())
        solve<double>(i, top, bottom);
      else
        solve<float>(i, top, bottom);
    });
    for (double objective : objectives)
      result.objective += objective;
    return std::move(result);
  }

private:
  template <typename Number> void solve(int64_t index, int64_t top, int64_t bottom) {
    GptqChunk<Number> chunk(format, factor, options, weights, tensorScale, top, bottom);
    chunk.run();
    chunk.store(result.encoded);
    objectives[size_t(index)] = chunk.objective();
  }

  const Format &format;
  MatrixView weights;
  const HessianFactor &factor;
  const GptqOptions &options;
  float tensorScale = 1;
  GptqResult result;
  std::vector<double> objectives; // by chunk, so that their sum does not depend on the number of threads
};

} // namespace qcc

Result<GptqResult> qcc::gptq(const Format &format, MatrixView weights, const HessianFactor &factor,
                             const GptqOptions &options) {
  if (factor.columns() != weights.columns)
    return Refusal{"weights of " + std::to_string(weights.columns) + " columns and a Hessian of " +
                   std::to_string(factor.columns())};
  if (options.scales &&
      int64_t(options.scales->blocks.size()) != format.rowBlocks(weights.rows) * format.columnBlocks(weights.columns))
    return Refusal{"the scales given are those of another matrix"};
  if (!isFinite({weights.data, size_t(weights.size())}))
    return Refusal{"the weights hold infinities or NaNs"};
  if (format.element->bits() > 16)
    return Refusal{"format '" + format.name + "' stores weights as they are: GPTQ has nothing to choose"};
  return GptqSolver(format, weights, factor, options).run();
}
