#include "qcc/Tile/Bounds.h"

using namespace mlir;
using namespace qcc;

CheckedIndex qcc::checkedIndex(Kernel &k, Value index, Value length) {
  Value zero = k.constant(0), wrapped = k.select(k.less(index, zero), k.add(index, length), index);
  Value position = k.max(k.min(wrapped, k.sub(length, k.constant(1))), zero);
  return {position, k.equal(position, wrapped)};
}

CheckedIndex qcc::loadIndex(Kernel &k, Value tensor, const Index &at, Value length) {
  Type element = cast<ShapedType>(tensor.getType()).getElementType();
  return checkedIndex(k, castNumber(k.b, k.load(tensor, at), element, k.b.getI64Type()), length);
}

void qcc::checkedLoop(Kernel &k, Value from, Value to, Value guard, llvm::function_ref<Value(Value)> body) {
  Value good = arith::ConstantOp::create(k.b, k.b.getBoolAttr(true));
  Value end = guard ? k.select(guard, to, from) : to;
  SmallVector<Value> all = k.loop(from, end, ValueRange(good), [&](Value i, ValueRange carried) {
    return SmallVector<Value>{k.both(carried[0], body(i))};
  });
  k.check(guard ? k.select(k.less(from, to), k.both(all[0], guard), all[0]) : all[0]);
}
