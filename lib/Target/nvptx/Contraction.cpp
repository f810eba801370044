#include "qcc/Target/DeviceContraction.h"

using namespace mlir;
using namespace qcc;

void qcc::emitDeviceContraction(Lowering &lowering, llvm::StringRef name, const Contraction &c) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> space = c.batches;
  space.append({c.rows, c.columns});
  Kernel k(lowering, name, lowering.loc);
  SmallVector<Value> batch = k.delinearize(k.lo(), space);
  Value column = batch.pop_back_val(), row = batch.pop_back_val();
  Value zero = numberConstant(k.b, c.accumulator, 0);
  Value sum = k.loop(k.constant(0), k.dim(c.depth), zero, [&](Value d, ValueRange state) {
    Value product = multiply(k, c.left(k, batch, row, d), c.right(k, batch, d, column));
    return SmallVector<Value>{plus(k, state[0], product)};
  })[0];
  c.store(k, batch, row, column, sum);
  Dim units = dims.product(space);
  k.launch(units, dims.mul(units, c.depth));
}
