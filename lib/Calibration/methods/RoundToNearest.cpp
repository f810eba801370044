#include "Steps.h"

using namespace qcc;

llvm::Error steps::roundToNearest(MethodGroup &group) {
  return roundAll(group, [&](size_t i, MatrixView matrix) -> Result<EncodedMatrix> {
    if (const BlockScales *scales = group.blockScales(i))
      return encodeWithScales(group.format(), matrix, *scales);
    return group.format().encode(llvm::ArrayRef(matrix.data, size_t(matrix.size())), matrix.rows, matrix.columns);
  });
}
