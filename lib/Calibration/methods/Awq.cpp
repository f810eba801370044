#include "qcc/Algorithm/Awq.h"
#include "Steps.h"

using namespace qcc;

llvm::Error steps::awq(MethodGroup &group) {
  AwqOptions options;
  options.threads = group.threads();
  options.ties = group.ties();
  auto found = searchAwqScales(group.format(), group.matrices(), group.covariance(), group.meanAbsolute(), options);
  if (!found)
    return llvm::createStringError(found.reason());
  group.scaleInput(found->scales);
  return llvm::Error::success();
}
