#include "qcc/Algorithm/SmoothQuant.h"
#include "Steps.h"

using namespace qcc;

llvm::Error steps::smoothQuant(MethodGroup &group) {
  constexpr double alpha = 0.5; // SmoothQuant's own default (arXiv 2211.10438, section 4.1)
  std::vector<float> scales = smoothingScales(group.maxAbsolute(), maxByColumn(group.matrices()), alpha);
  tieScales(scales, group.ties());
  group.scaleInput(scales);
  return llvm::Error::success();
}
