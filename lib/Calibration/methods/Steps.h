// The steps of methods: each a function in a file of its own, and a row of the table in Methods.cpp.
#pragma once

#include "qcc/Calibration/MethodGroup.h"

namespace qcc::steps {

llvm::Error roundToNearest(MethodGroup &group);
llvm::Error importance(MethodGroup &group);
llvm::Error hqq(MethodGroup &group);
llvm::Error gptq(MethodGroup &group);
llvm::Error signRounding(MethodGroup &group);
llvm::Error clip(MethodGroup &group);
llvm::Error awq(MethodGroup &group);
llvm::Error smoothQuant(MethodGroup &group);

/// Rounds every matrix by `round(index, matrix)`, which gives a `Result` of codes.
template <typename Round> llvm::Error roundAll(MethodGroup &group, const Round &round) {
  for (size_t i = 0; i < group.size(); ++i) {
    Result<EncodedMatrix> codes = round(i, group.matrix(i));
    if (!codes)
      return llvm::createStringError(codes.reason());
    group.setCodes(i, std::move(*codes));
  }
  return llvm::Error::success();
}

} // namespace qcc::steps
