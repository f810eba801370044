#include "qcc/Algorithm/Gptq.h"
#include "Steps.h"

using namespace qcc;

llvm::Error steps::gptq(MethodGroup &group) {
  auto factor = group.hessian();
  if (!factor)
    return llvm::createStringError(factor.reason());
  return roundAll(group, [&](size_t i, MatrixView matrix) -> Result<EncodedMatrix> {
    GptqOptions options;
    options.scales = group.blockScales(i);
    options.clip = ScaleSearch();
    options.threads = group.threads();
    auto result = qcc::gptq(group.format(), matrix, **factor, options);
    if (!result)
      return Refusal{result.reason()};
    return std::move(result->encoded);
  });
}
