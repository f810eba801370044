#include "Steps.h"

using namespace qcc;

llvm::Error steps::importance(MethodGroup &group) {
  std::vector<double> squares(size_t(group.columns()), 0);
  for (int64_t column = 0; column < group.columns(); ++column)
    squares[size_t(column)] = group.covariance()[column * (group.columns() + 1)];
  return roundAll(group, [&](size_t, MatrixView matrix) -> Result<EncodedMatrix> {
    return encodeWithScales(group.format(), matrix,
                            searchScales(group.format(), matrix, squares.data(), ScaleSearch(), group.threads()));
  });
}
