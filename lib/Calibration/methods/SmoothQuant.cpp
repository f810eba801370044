#include "qcc/Algorithm/SmoothQuant.h"
#include "Steps.h"

using namespace qcc;

llvm::Error steps::smoothQuant(MethodGroup &group) {
  constexpr double alpha = 0.5; // SmoothQuant's own default (arXiv 2211.10438, section 4.1)
  group.scaleInput(smoothingScales(group.maxAbsolute(), maxByColumn(group.matrices()), alpha));
  return llvm::Error::success();
}
