#include "qcc/Algorithm/Hqq.h"
#include "../dense/Parallel.h"
#include "../scales/BlockCodes.h"
#include <cmath>

using namespace qcc;

namespace {

/// One block: values w, codes q, a scale s and a zero z, so that s (q - z) stands for w.
class HalfQuadratic {
public:
  HalfQuadratic(const Format &format, std::vector<float> values, const HqqOptions &options)
      : format(format), values(std::move(values)), options(options), codes(this->values.size()),
        rounded(this->values.size()) {}

  BlockScale run(BlockScale start) {
    if (start.value == 0)
      return start;
    BlockScale best = start, scale = start;
    double least = round(scale), beta = options.beta;
    for (int i = 0; i < options.iterations; ++i, beta *= options.kappa) {
      // W_e = shrink_lp(W - s (q - z), β), the proximal step.
      double sum = 0, cross = 0, square = 0;
      for (size_t j = 0; j < values.size(); ++j) {
        const double target = values[j] - shrink(double(values[j]) - rounded[j], beta), code = codes[j];
        // z = mean(q - (W - W_e) / s).
        sum += code - target / scale.value;
        cross += (code - scale.zero) * target;
        square += (code - scale.zero) * (code - scale.zero);
      }
      const double zero = sum / double(values.size());
      BlockScale next = scale;
      next.zero = uint8_t(std::clamp(std::nearbyint(zero), 0.0, double(format.element->largest())));
      if (next.zero == scale.zero && cross > 0 && square > 0) {
        next.code = format.scale->encode(float(cross / square));
        next.value = format.scale->value(next.code);
      }
      if (!(next.value > 0) || (next.zero == scale.zero && next.code == scale.code))
        break;
      scale = next;
      const double error = round(scale);
      if (error < least) {
        least = error;
        best = scale;
      }
    }
    return best;
  }

private:
  /// shrink_lp(x, β) = sign(x) max(|x| - |x|^(p - 1) / β, 0).
  double shrink(double x, double beta) const {
    const double size = std::abs(x);
    return size == 0 ? 0 : std::copysign(std::max(size - std::pow(size, options.norm - 1) / beta, 0.0), x);
  }

  /// Rounds with a scale; Σ |w - q|^p.
  double round(const BlockScale &scale) {
    format.element->encodeBlock(values, scale.value, scale.zero, codes.data());
    valuesOf(format, codes.data(), int64_t(codes.size()), scale, rounded.data());
    double error = 0;
    for (size_t i = 0; i < values.size(); ++i)
      error += std::pow(std::abs(double(values[i]) - rounded[i]), options.norm);
    return error;
  }

  const Format &format;
  std::vector<float> values;
  const HqqOptions &options;
  std::vector<uint32_t> codes;
  std::vector<float> rounded;
};

} // namespace

Result<BlockScales> qcc::hqq(const Format &format, MatrixView weights, const HqqOptions &options) {
  if (!format.hasZero)
    return Refusal{"HQQ does not apply to format '" + format.name + "': its blocks have no zeros"};
  BlockScales scales = nearestScales(format, weights);
  const int64_t perRow = format.columnBlocks(weights.columns);
  parallelFor(int64_t(scales.blocks.size()), options.threads, [&](int64_t i) {
    std::vector<float> values;
    gather(weights, placeOf(format, weights.rows, weights.columns, i / perRow, i % perRow), values);
    scales.blocks[size_t(i)] = HalfQuadratic(format, std::move(values), options).run(scales.blocks[size_t(i)]);
  });
  return scales;
}
