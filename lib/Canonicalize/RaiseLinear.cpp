#include "Match.h"
#include "dialects/qnt/Qnt.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

/// A constant float matrix as `qnt.weight` (outputs × inputs); `outputsAlongRows` says how it stands in the model.
static Value matrix(OpBuilder &b, Value constant, bool outputsAlongRows) {
  auto weight = constant.getDefiningOp<onnx::WeightOp>();
  auto type = weight ? cast<RankedTensorType>(constant.getType()) : RankedTensorType();
  if (!weight || type.getRank() != 2 || !type.getElementType().isF32() || type.getNumElements() == 0)
    return {};
  SmallVector<int64_t> shape(type.getShape());
  if (!outputsAlongRows)
    std::swap(shape[0], shape[1]);
  return qnt::WeightOp::create(b, constant.getLoc(), RankedTensorType::get(shape, type.getElementType()),
                               weight.getName(), "float32", outputsAlongRows ? "rows" : "columns", weight.getData());
}

/// The bias of one number per output that `value` is, null when it is something else.
static bool isBias(Value value, int64_t outputs) {
  auto tensor = constantOf(value);
  return tensor && tensor->type.getElementType().isF32() && tensor->type.getNumElements() == outputs &&
         tensor->type.getShape().back() == outputs;
}

static void replace(OpBuilder &b, onnx::NodeOp last, Value x, Value weight, Value bias) {
  Value y = qnt::LinearOp::create(b, last->getLoc(), last->getResult(0).getType(), x, weight, bias, Value(),
                                  b.getStringAttr("f32"), b.getStringAttr("none"));
  last->getResult(0).replaceAllUsesWith(y);
}

static void raiseMatMul(onnx::NodeOp node) {
  OpBuilder b(node);
  Value x = node->getOperand(0), w = node->getOperand(1);
  auto type = cast<RankedTensorType>(x.getType());
  if (!type.getElementType().isF32() || type.getRank() < 2)
    return;
  bool rows = false;
  if (auto transpose = madeBy(w, "Transpose"); transpose && permutationOf(transpose) == ArrayRef<int64_t>{1, 0})
    w = transpose->getOperand(0), rows = true;
  Value weight = matrix(b, w, rows);
  if (!weight)
    return;
  onnx::NodeOp last = node;
  Value bias;
  if (node->hasOneUse())
    if (auto add = dyn_cast<onnx::NodeOp>(*node->getUsers().begin());
        add && add->getNumResults() == 1 && madeBy(add->getResult(0), "Add") && add->getBlock() == node->getBlock())
      if (auto sum = splitOperands(
              add, [&](Value v) { return isBias(v, cast<RankedTensorType>(weight.getType()).getDimSize(0)); });
          sum && add->getResult(0).getType() == node->getResult(0).getType())
        bias = sum->first, last = add;
  b.setInsertionPoint(last);
  replace(b, last, x, weight, bias);
}

static void raiseGemm(onnx::NodeOp op) {
  Node node(op);
  OpBuilder b(op);
  if (node.intAttr("transA", 0) || node.floatAttr("alpha", 1) != 1 || node.floatAttr("beta", 1) != 1 ||
      !node.element(0).isF32())
    return;
  int64_t outputs = node.has(2) ? cast<RankedTensorType>(node.output().getType()).getShape().back() : 0;
  if (node.has(2) && !isBias(node.input(2), outputs))
    return;
  Value weight = matrix(b, node.input(1), node.intAttr("transB", 0) != 0);
  if (weight)
    replace(b, op, node.input(0), weight, node.has(2) ? node.input(2) : Value());
}

void qcc::raiseLinear(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    if (op.getDomain().empty() && (op.getOpType() == "MatMul" || op.getOpType() == "Gemm"))
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : candidates)
    op.getOpType() == "MatMul" ? raiseMatMul(op) : raiseGemm(op);
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
