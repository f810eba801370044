#include "Steps.h"

using namespace qcc;

llvm::Error steps::clip(MethodGroup &group) {
  for (size_t i = 0; i < group.size(); ++i) {
    auto scales =
        searchScalesByCovariance(group.format(), group.matrix(i), group.covariance(), ScaleSearch(), group.threads());
    if (!scales)
      return llvm::createStringError(scales.reason());
    group.setBlockScales(i, std::move(*scales));
  }
  return llvm::Error::success();
}
