#include "qcc/Algorithm/SignRounding.h"
#include "Steps.h"

using namespace qcc;

llvm::Error steps::signRounding(MethodGroup &group) {
  SignRoundingOptions options;
  options.threads = group.threads();
  return roundAll(group, [&](size_t i, MatrixView matrix) -> Result<EncodedMatrix> {
    const BlockScales *chosen = group.blockScales(i);
    auto result = qcc::signRounding(group.format(), matrix, group.covariance(),
                                    chosen ? *chosen : nearestScales(group.format(), matrix), options);
    if (!result)
      return Refusal{result.reason()};
    return std::move(result->encoded);
  });
}
