#include "ConstantMath.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

namespace {
/// What a batch normalization multiplies each channel by and then adds to it.
struct Affine {
  Value scale, shift;
  Affine(ConstantMath &m, const Node &norm) {
    Value variance = norm.input(4);
    Value epsilon = m.scalar(norm.element(4), norm.floatAttr("epsilon", 1e-5), "epsilon");
    Value deviation =
        m.node("Sqrt", 13, {m.binary("Add", variance, epsilon)}, cast<RankedTensorType>(variance.getType()).getShape());
    scale = m.binary("Div", norm.input(1), deviation);
    shift = m.binary("Sub", norm.input(2), m.binary("Mul", norm.input(3), scale));
  }
};
} // namespace

static bool isFloatConstant(Value value, Type element) {
  auto tensor = constantOf(value);
  return tensor && tensor->type.getElementType() == element;
}

/// The weights of a convolution with each output channel multiplied by its scale.
static Value scaleKernel(ConstantMath &m, const Node &conv, Value scale, int64_t channels) {
  Value weights = conv.input(1);
  SmallVector<int64_t> shape(cast<RankedTensorType>(weights.getType()).getShape()), stretched(shape.size(), 1);
  if (conv.type() == "Conv") {
    stretched[0] = channels;
    return m.binary("Mul", weights, m.reshape(scale, stretched));
  }
  // The weights of ConvTranspose are input channels × output channels of a group.
  int64_t groups = conv.intAttr("group", 1);
  SmallVector<int64_t> grouped = {groups, shape[0] / groups}, perGroup = {groups, 1};
  grouped.append(shape.begin() + 1, shape.end());
  stretched[1] = shape[1];
  perGroup.append(stretched.begin() + 1, stretched.end());
  Value scaled = m.binary("Mul", m.reshape(weights, grouped), m.reshape(scale, perGroup));
  return m.reshape(scaled, shape);
}

/// The matrix B of a Gemm with each column of the result multiplied by its scale.
static Value scaleMatrix(ConstantMath &m, const Node &gemm, Value scale, int64_t channels) {
  bool transposed = gemm.intAttr("transB", 0) != 0;
  return m.binary("Mul", gemm.input(1),
                  m.reshape(scale, transposed ? ArrayRef<int64_t>{channels, 1} : ArrayRef<int64_t>{1, channels}));
}

static void fold(onnx::NodeOp normOp) {
  Node norm(normOp);
  if (norm.intAttr("training_mode", 0) || norm.inputs() != 5 || !normOp->getOperand(0).hasOneUse())
    return;
  for (unsigned i = 1; i < norm.outputs(); ++i)
    if (norm.hasOutput(i))
      return;
  onnx::NodeOp op;
  for (StringRef type : {"Conv", "ConvTranspose", "Gemm"})
    if (auto found = madeBy(norm.input(0), type))
      op = found;
  if (!op || op->getBlock() != normOp->getBlock())
    return;
  Node before(op);
  Type element = before.element(0);
  for (unsigned i = 1; i < 5; ++i)
    if (!isFloatConstant(norm.input(i), element))
      return;
  int64_t channels = cast<RankedTensorType>(norm.input(1).getType()).getNumElements();
  if (!isFloatConstant(before.input(1), element) || (before.has(2) && !isFloatConstant(before.input(2), element)))
    return;
  bool isGemm = before.type() == "Gemm";
  // The bias must have one number per channel, or one for all.
  auto biasType = before.has(2) ? cast<RankedTensorType>(before.input(2).getType()) : RankedTensorType();
  if (biasType && biasType.getNumElements() != 1 &&
      (biasType.getNumElements() != channels || biasType.getShape().back() != channels))
    return;

  OpBuilder b(op);
  ConstantMath m{b, normOp->getLoc()};
  Affine affine(m, norm);
  Value weights =
      isGemm ? scaleMatrix(m, before, affine.scale, channels) : scaleKernel(m, before, affine.scale, channels);
  Value bias = affine.shift;
  SmallVector<NamedAttribute> attrs(op.getAttrs().getValue());
  if (biasType) {
    Value own = m.reshape(before.input(2), {biasType.getNumElements()});
    if (double beta = before.floatAttr("beta", 1); beta != 1)
      own = m.binary("Mul", own, m.scalar(element, beta, "beta"));
    bias = m.binary("Add", bias, m.binary("Mul", affine.scale, own));
  }
  llvm::erase_if(attrs, [](NamedAttribute attr) { return attr.getName() == "beta"; });
  auto folded =
      onnx::NodeOp::create(b, normOp->getLoc(), TypeRange{normOp->getResult(0).getType()}, op.getOpTypeAttr(),
                           op.getDomainAttr(), op.getVersionAttr(), b.getDictionaryAttr(attrs), op.getResolvedAttr(),
                           op.getDefinesAttr(), ValueRange{before.input(0), weights, bias}, 0);
  normOp->getResult(0).replaceAllUsesWith(folded->getResult(0));
}

void qcc::foldBatchNormalization(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    if (op->getNumResults() && madeBy(op->getResult(0), "BatchNormalization"))
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : candidates)
    fold(op);
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
