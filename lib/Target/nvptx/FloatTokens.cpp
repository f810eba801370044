// A linear operation for many tokens in float32, whose weights are floats: tiles of sums from shared memory.
#include "LinearKernel.h"
#include "qcc/Target/DeviceContraction.h"
#include "qcc/Tile/Numbers.h"

using namespace mlir;
using namespace qcc;

/// The type of weights that stand as floats in the artifact; null for others.
static Type floatOf(const PackedLayout &layout, MLIRContext *context) {
  if (layout.scaleBytes || layout.hasZero || layout.hasRowScales)
    return {};
  return plainType(layout.element, context);
}

bool qcc::hasFloatTokens(const DeviceLinear &linear) {
  qnt::LinearOp op = linear.op;
  return linear.type == ComputeType::F32 && floatOf(linear.layout, op->getContext());
}

void qcc::emitFloatTokens(Lowering &lowering, const DeviceLinear &linear) {
  Dimensions &d = lowering.dims;
  const PackedLayout &layout = linear.layout;
  qnt::LinearOp op = linear.op;
  Type type = floatOf(layout, op->getContext());
  Value x = op.getX(), y = op.getY();
  Contraction c;
  c.rows = linear.tokens, c.columns = d.constant(layout.rows), c.depth = d.constant(layout.columns);
  c.accumulator = lowering.host.getF32Type();
  c.left = [&](Kernel &k, ArrayRef<Value>, Value token, Value i) {
    return k.loadAt(k.pointer(x), k.add(k.mul(token, k.constant(layout.columns)), i), c.accumulator);
  };
  c.right = [&](Kernel &k, ArrayRef<Value>, Value i, Value row) {
    int64_t each = layout.chunkColumns(), bytes = storageBytes(type);
    auto constant = [&](int64_t value) { return k.constant(value); };
    Value tile = k.div(row, constant(PackedLayout::tileRows)), inTile = k.rem(row, constant(PackedLayout::tileRows));
    Value block = k.div(i, constant(layout.block)), column = k.rem(i, constant(layout.block));
    Value chunk = k.div(column, constant(each));
    // In elements, all of which are aligned to their size.
    Value place = k.add(k.mul(tile, constant(layout.tileBytes() / bytes)),
                        k.mul(block, constant(layout.blockBytes(layout.block) / bytes)));
    place = k.add(place, k.add(k.mul(chunk, constant(layout.chunkBytes() / bytes)), k.mul(inTile, constant(each))));
    return castNumber(k.b, k.loadAt(k.argument(linear.weights), k.add(place, k.rem(column, constant(each))), type),
                      computeType(type), c.accumulator);
  };
  c.store = [&](Kernel &k, ArrayRef<Value>, Value token, Value row, Value sum) {
    k.store(y, Index(dimsOf(y.getType()), k.add(k.mul(token, k.constant(layout.rows)), row)), sum);
  };
  emitDeviceContraction(lowering, linear.kernelName("tiles"), c);
}
