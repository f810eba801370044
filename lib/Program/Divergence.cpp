#include "qcc/Program/Divergence.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace qcc {
namespace {

// KL(p ‖ q) = Σ p (log p − log q) of the distributions that two rows of logits stand for. Logits less their largest:
// then nothing overflows, and with P = Σ exp(p) and Q = Σ exp(q) it is Σ exp(p) (p − q) / P − log P + log Q.
double divergenceOf(const float *p, const float *q, int64_t size) {
  double largestP = *std::max_element(p, p + size), largestQ = *std::max_element(q, q + size);
  double sumP = 0, sumQ = 0, cross = 0;
  for (int64_t i = 0; i < size; ++i) {
    double a = p[i] - largestP, b = q[i] - largestQ, share = std::exp(a);
    sumP += share, sumQ += std::exp(b), cross += share * (a - b);
  }
  return cross / sumP - std::log(sumP) + std::log(sumQ);
}

double quietNan() { return std::numeric_limits<double>::quiet_NaN(); }

} // namespace

bool Divergence::add(const std::vector<NpzArray> &reference, const std::vector<NpzArray> &subject, std::string &error) {
  for (size_t output = 0; output < reference.size(); ++output) {
    const NpzArray &expected = reference[output], &actual = subject[output];
    if (expected.shape != actual.shape || expected.type != actual.type) {
      error = "output '" + expected.name + "' has another shape or type than the reference's";
      return false;
    }
    if (expected.type != DataType::F32)
      continue;
    // What allocates bytes aligns them for every type.
    const auto *b = reinterpret_cast<const float *>(expected.bytes.data());
    const auto *a = reinterpret_cast<const float *>(actual.bytes.data());
    const size_t count = expected.bytes.size() / sizeof(float);
    Sums &sums = outputs[expected.name];
    for (size_t i = 0; i < count; ++i) {
      double difference = double(a[i]) - b[i];
      sums.difference += difference * difference;
      sums.energy += double(b[i]) * b[i];
    }
    int64_t size = expected.shape.empty() ? 1 : expected.shape.back();
    if (logits.empty() && size > 1)
      logits = expected.name;
    if (logits != expected.name || size < 2)
      continue;
    for (size_t at = 0; at + static_cast<size_t>(size) <= count; at += static_cast<size_t>(size)) {
      const float *p = &b[at], *q = &a[at];
      divergence += divergenceOf(p, q, size);
      same += std::max_element(p, p + size) - p == std::max_element(q, q + size) - q;
      ++rowCount;
    }
  }
  return true;
}

std::map<std::string, double> Divergence::relativeErrors() const {
  std::map<std::string, double> errors;
  for (const auto &[name, sums] : outputs)
    errors[name] = sums.difference == 0 ? 0 : std::sqrt(sums.difference / sums.energy);
  return errors;
}

double Divergence::kld() const { return rowCount ? divergence / double(rowCount) : quietNan(); }

double Divergence::top1() const { return rowCount ? double(same) / double(rowCount) : quietNan(); }

} // namespace qcc
