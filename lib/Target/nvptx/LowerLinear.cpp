#include "Linear.h"
#include "LinearKernel.h"

using namespace mlir;
using namespace qcc;

llvm::StringRef qcc::deviceInstruction(const DeviceFacts &, bool integer) { return integer ? "dp4a" : "fma.rn.f32"; }

static constexpr int fewTokens = 4; // that one pass over the weights serves

LogicalResult qcc::lowerDeviceLinear(qnt::LinearOp op, Lowering &lowering) {
  auto weight = op.getWeight().getDefiningOp<qnt::WeightOp>();
  auto format = findFormat(weight.getFormat());
  if (!format)
    return op.emitError(llvm::toString(format.takeError()));
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  DeviceLinear linear;
  linear.op = op, linear.format = *format;
  linear.layout = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1));
  linear.integer = op.getAct() == "int8";
  SmallVector<Dim> shape = dimsOf(op.getX().getType());
  linear.tokens = lowering.dims.product(ArrayRef<Dim>(shape).drop_back());
  linear.weights = lowering.storage(weight.getResult());
  // What all ways share has its place before they part.
  lowering.storage(op.getX());
  lowering.storage(lowering.stored(op.getY()));
  DeviceActivations activations;
  if (linear.integer)
    activations = quantizeOnDevice(lowering, op.getX(), linear.layout, linear.tokens);
  if (auto known = constantOf(linear.tokens)) {
    emitFewTokens(lowering, linear, *known <= 1 ? 1 : fewTokens, activations);
    return success();
  }
  Value one = arith::ConstantOp::create(lowering.host, lowering.loc, lowering.host.getI64IntegerAttr(1));
  Value isOne =
      arith::CmpIOp::create(lowering.host, lowering.loc, arith::CmpIPredicate::sle, lowering.size(linear.tokens), one);
  lowering.branch(
      isOne, [&] { emitFewTokens(lowering, linear, 1, activations); },
      [&] { emitFewTokens(lowering, linear, fewTokens, activations); });
  return success();
}
