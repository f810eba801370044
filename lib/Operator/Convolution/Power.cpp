#include "Power.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

Value qcc::absolutePower(Kernel &k, Value x, int64_t p) {
  if (p == 2)
    return arith::MulFOp::create(k.b, x, x);
  Value magnitude = math::AbsFOp::create(k.b, x);
  return p == 1 ? magnitude : Value(math::PowFOp::create(k.b, magnitude, numberConstant(k.b, x.getType(), double(p))));
}

Value qcc::rootOf(Kernel &k, Value sum, int64_t p) {
  if (p == 1)
    return sum;
  if (p == 2)
    return math::SqrtOp::create(k.b, sum);
  return math::PowFOp::create(k.b, sum, numberConstant(k.b, sum.getType(), 1.0 / double(p)));
}
