#include "qcc/Algorithm/Hqq.h"
#include "Steps.h"

using namespace qcc;

llvm::Error steps::hqq(MethodGroup &group) {
  HqqOptions options;
  options.threads = group.threads();
  return roundAll(group, [&](size_t, MatrixView matrix) -> Result<EncodedMatrix> {
    auto scales = qcc::hqq(group.format(), matrix, options);
    if (!scales)
      return Refusal{scales.reason()};
    return encodeWithScales(group.format(), matrix, *scales);
  });
}
