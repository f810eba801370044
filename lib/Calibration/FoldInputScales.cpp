#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Calibration/Methods.h"
#include "qcc/Operator/Node.h"

using namespace mlir;
using namespace qcc;

/// A float32 constant of `count` elements.
static std::optional<std::vector<float>> vectorOf(Value value, int64_t count) {
  auto tensor = constantOf(value);
  if (!tensor || !tensor->type.getElementType().isF32() || tensor->type.getNumElements() != count)
    return std::nullopt;
  std::vector<float> numbers(count);
  memcpy(numbers.data(), tensor->bytes.data(), count * sizeof(float));
  return numbers;
}

/// The operand of a normalization that its scale is; its bias, where it has one, is the next. Nothing for other nodes.
static std::optional<unsigned> scaleOperand(onnx::NodeOp node) {
  StringRef type = node.getOpType();
  if (type == "RMSNormalization" || type == "LayerNormalization" || type == "SimplifiedLayerNormalization")
    return 1;
  if (type == "SkipSimplifiedLayerNormalization" || type == "SkipLayerNormalization")
    return 2;
  return std::nullopt;
}

/// Takes the multiplication by `scale` into what makes `x`.
static bool fold(onnx::NodeOp mul, Value x, ArrayRef<float> scale) {
  auto norm = x.getDefiningOp<onnx::NodeOp>();
  std::optional<unsigned> first = norm ? scaleOperand(norm) : std::nullopt;
  if (!first || !x.hasOneUse() || x != norm->getResult(0))
    return false;
  bool hasBias = norm.getOpType() == "LayerNormalization" || norm.getOpType() == "SkipLayerNormalization";
  SmallVector<unsigned> operands = {*first};
  if (hasBias && Node(norm).has(*first + 1))
    operands.push_back(*first + 1);
  SmallVector<std::vector<float>> scaled;
  for (unsigned operand : operands) {
    auto numbers = vectorOf(norm->getOperand(operand), int64_t(scale.size()));
    if (!numbers)
      return false;
    for (auto [number, factor] : llvm::zip(*numbers, scale))
      number *= factor;
    scaled.push_back(std::move(*numbers));
  }
  OpBuilder b(norm);
  for (auto [operand, numbers] : llvm::zip(operands, scaled)) {
    auto old = norm->getOperand(operand).getDefiningOp<onnx::WeightOp>();
    ArrayRef<char> bytes(reinterpret_cast<const char *>(numbers.data()), numbers.size() * sizeof(float));
    ElementsAttr data = DenseResourceElementsAttr::get(cast<ShapedType>(old.getData().getType()), old.getName(),
                                                       HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
    norm->setOperand(operand, onnx::WeightOp::create(b, old.getLoc(), old.getResult().getType(), old.getName(), data));
  }
  mul->getResult(0).replaceAllUsesWith(x);
  return true;
}

SmallVector<Operation *> qcc::foldInputScales(ModuleOp module) {
  SmallVector<Operation *> left;
  Block &block = module.lookupSymbol<func::FuncOp>("main").getBody().front();
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto mul = dyn_cast<onnx::NodeOp>(op);
    if (!mul || !mul->hasAttr(inputScaleAttr))
      continue;
    auto weight = mul->getOperand(1).getDefiningOp<onnx::WeightOp>();
    auto type = cast<RankedTensorType>(weight.getResult().getType());
    auto scale = vectorOf(weight.getResult(), type.getNumElements());
    if (!scale || !fold(mul, mul->getOperand(0), *scale))
      left.push_back(mul);
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isa<onnx::NodeOp, onnx::WeightOp>(op) && isUnused(&op))
      op.erase();
  return left;
}
