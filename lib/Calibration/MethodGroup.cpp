#include "qcc/Calibration/MethodGroup.h"
#include "qcc/Algorithm/Covariance.h"
#include "qcc/Algorithm/Statistics.h"
#include "qcc/Pack/WeightMatrix.h"
#include <cmath>

using namespace qcc;

static constexpr int64_t searchedTokens = 128; // that steps try out what they choose on

MethodGroup::MethodGroup(const Format &format, std::vector<std::vector<float>> matrices, int64_t columns,
                         unsigned threads)
    : numbers(format), width(columns), threadCount(threads), weights(std::move(matrices)), scales(weights.size()) {
  result.weights.resize(weights.size());
}

void MethodGroup::startOver(const Format &format) {
  numbers = format;
  scales.assign(weights.size(), std::nullopt);
  result.weights.assign(weights.size(), {});
}

const EncodedMatrix *MethodGroup::codes(size_t index) const {
  return result.weights[index].codes ? &*result.weights[index].codes : nullptr;
}

Result<const HessianFactor *> MethodGroup::hessian() {
  if (!factor) {
    HessianOptions options;
    options.activationOrder = true;
    options.threads = threadCount;
    auto made = HessianFactor::create(covariance(), width, options);
    if (!made)
      return Refusal{made.reason()};
    factor = std::move(*made);
  }
  return &*factor;
}

MatrixView MethodGroup::matrix(size_t index) const {
  return MatrixView(weights[index], int64_t(weights[index].size()) / width, width);
}

std::vector<MatrixView> MethodGroup::matrices() const {
  std::vector<MatrixView> all;
  for (size_t i = 0; i < weights.size(); ++i)
    all.push_back(matrix(i));
  return all;
}

/// `count` tokens, evenly spread.
static std::vector<float> spreadTokens(const Activations &activations, int64_t count) {
  std::vector<float> tokens;
  int64_t all = 0, passed = 0;
  for (size_t sample = 0; sample < activations.samples(); ++sample)
    all += activations[sample].rows;
  int64_t step = std::max<int64_t>(1, all / count);
  for (size_t sample = 0; sample < activations.samples(); ++sample) {
    MatrixView view = activations[sample];
    for (int64_t row = 0; row < view.rows; ++row)
      if (passed++ % step == 0)
        tokens.insert(tokens.end(), view.row(row), view.row(row) + view.columns);
  }
  return tokens;
}

llvm::Error MethodGroup::observe(const Activations &activations, bool withCovariance) {
  Covariance sum(withCovariance ? width : 0, threadCount);
  Moments moments(width);
  for (size_t sample = 0; sample < activations.samples(); ++sample) {
    MatrixView tokens = activations[sample];
    if (!isFinite({tokens.data, size_t(tokens.size())}))
      return llvm::createStringError("sample " + std::to_string(sample) +
                                     " of the calibration data makes infinities or NaNs in what is multiplied");
    if (withCovariance)
      sum.add(tokens);
    moments.add(tokens);
  }
  if (moments.tokens() == 0)
    return llvm::createStringError("the calibration data have no token that is multiplied");
  if (withCovariance)
    covariances = sum.release();
  means = moments.meanAbsolute();
  most = moments.maxAbsolute();
  someTokens = spreadTokens(activations, searchedTokens);
  return llvm::Error::success();
}

const BlockScales *MethodGroup::blockScales(size_t index) const { return scales[index] ? &*scales[index] : nullptr; }

void MethodGroup::setBlockScales(size_t index, BlockScales chosen) { scales[index] = std::move(chosen); }

void MethodGroup::scaleInput(const std::vector<float> &s) {
  if (llvm::all_of(s, [](float value) { return value == 1; }))
    return;
  factor.reset();
  for (std::vector<float> &matrix : weights)
    for (size_t i = 0; i < matrix.size(); ++i)
      matrix[i] *= s[i % size_t(width)];
  for (int64_t i = 0; i < width; ++i) {
    means[size_t(i)] /= s[size_t(i)], most[size_t(i)] /= s[size_t(i)];
    for (int64_t j = 0; j < width && !covariances.empty(); ++j)
      covariances[size_t(i * width + j)] /= double(s[size_t(i)]) * s[size_t(j)];
  }
  result.inverseScales.resize(size_t(width), 1);
  for (int64_t i = 0; i < width; ++i)
    result.inverseScales[size_t(i)] /= s[size_t(i)];
}

void MethodGroup::setCodes(size_t index, EncodedMatrix codes) {
  result.weights[index].signalToNoise = signalToNoise(numbers, weights[index], codes);
  result.weights[index].codes = std::move(codes);
}

void MethodGroup::keepRows() {
  for (auto [weight, rows] : llvm::zip(result.weights, weights))
    weight.rows = std::move(rows);
}
