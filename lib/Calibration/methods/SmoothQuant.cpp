#include "qcc/Algorithm/SmoothQuant.h"
#include "Steps.h"

using namespace qcc;

llvm::Error steps::smoothQuant(MethodGroup &group) {
  constexpr double alpha = 0.5; // SmoothQuant's own default (arXiv 2211.10438, section 4.1)
  const std::optional<Format> &activation = group.activationFormat();
  std::vector<float> scales;
  if (!group.alpha() && group.rounds() && activation) {
    SmoothingOptions options;
    options.threads = group.threads();
    auto found =
        searchSmoothing(group.format(), *activation, group.matrices(), group.tokens(), group.maxAbsolute(), options);
    if (!found)
      return llvm::createStringError(found.reason());
    scales = found->scales;
  } else {
    scales = smoothingScales(group.maxAbsolute(), maxByColumn(group.matrices()), group.alpha().value_or(alpha));
  }
  tieScales(scales, group.ties());
  group.scaleInput(scales);
  return llvm::Error::success();
}
