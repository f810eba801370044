#include "Match.h"
#include "dialects/qnt/Qnt.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

/// A constant float32 matrix as `qnt.weight` (outputs × inputs); `outputsAlongRows` says how it stands in the model.
static Value matrix(OpBuilder &b, Value constant, bool outputsAlongRows) {
  auto weight = constant.getDefiningOp<onnx::WeightOp>();
  auto type = weight ? cast<RankedTensorType>(constant.getType()) : RankedTensorType();
  if (!weight || type.getRank() != 2 || !type.getElementType().isF32() || type.getNumElements() == 0)
    return {};
  SmallVector<int64_t> shape(type.getShape());
  if (!outputsAlongRows)
    std::swap(shape[0], shape[1]);
  return qnt::WeightOp::create(b, constant.getLoc(), RankedTensorType::get(shape, type.getElementType()),
                               weight.getName(), "float32", outputsAlongRows ? "rows" : "columns", weight.getData(),
                               IntegerAttr());
}

static Value linear(OpBuilder &b, Location loc, Value x, Value weight, Type result) {
  return qnt::LinearOp::create(b, loc, result, x, weight, b.getStringAttr("f32"));
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
  if (Value weight = matrix(b, w, rows))
    node->getResult(0).replaceAllUsesWith(linear(b, node->getLoc(), x, weight, node->getResult(0).getType()));
}

/// A Gemm becomes a linear operation and the addition of its operand C.
static void raiseGemm(onnx::NodeOp op) {
  Node node(op);
  OpBuilder b(op);
  if (node.intAttr("transA", 0) || node.floatAttr("alpha", 1) != 1 || (node.has(2) && node.floatAttr("beta", 1) != 1) ||
      !node.element(0).isF32())
    return;
  Value weight = matrix(b, node.input(1), node.intAttr("transB", 0) != 0);
  if (!weight)
    return;
  Value y = linear(b, op->getLoc(), node.input(0), weight, node.output().getType());
  if (node.has(2))
    y = makeNode(b, op->getLoc(), "Add", 14, {y, node.input(2)}, {}, node.output().getType());
  op->getResult(0).replaceAllUsesWith(y);
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
