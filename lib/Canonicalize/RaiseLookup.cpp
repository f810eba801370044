#include "dialects/qnt/Qnt.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Operator/Node.h"

using namespace mlir;
using namespace qcc;

/// The weight of a linear operation that has these bytes as its rows.
static qnt::WeightOp sharedWeight(onnx::WeightOp table, ArrayRef<qnt::WeightOp> weights) {
  for (qnt::WeightOp weight : weights)
    if (weight.getOrder() == "rows" && weight.getData() == table.getData() &&
        weight.getResult().getType() == table.getResult().getType())
      return weight;
  return {};
}

void qcc::raiseLookup(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return;
  Block &block = main.getBody().front();
  SmallVector<qnt::WeightOp> weights(block.getOps<qnt::WeightOp>());
  for (auto node : llvm::make_early_inc_range(block.getOps<onnx::NodeOp>())) {
    if (node.getOpType() != "Gather" || !node.getDomain().empty() || Node(node).intAttr("axis", 0) != 0)
      continue;
    auto table = node->getOperand(0).getDefiningOp<onnx::WeightOp>();
    qnt::WeightOp weight = table ? sharedWeight(table, weights) : qnt::WeightOp();
    if (!weight)
      continue;
    weight->moveBefore(&block, block.begin());
    OpBuilder b(node);
    node->getResult(0).replaceAllUsesWith(
        qnt::LookupOp::create(b, node.getLoc(), node->getResult(0).getType(), weight.getResult(), node->getOperand(1)));
    node.erase();
    if (table->use_empty())
      table.erase();
  }
}
