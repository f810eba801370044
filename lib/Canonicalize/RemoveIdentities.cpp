#include "Match.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

static bool changesNothing(Node node) {
  if (node.outputs() == 0 || !isa<RankedTensorType>(node.output().getType()) || node.inputs() == 0 || !node.has(0))
    return false;
  if (node.resolved("equal")) // it checks something when the program runs
    return false;
  bool sameType = node.input(0).getType() == node.output().getType();
  StringRef type = node.type();
  if (type == "Identity" || type == "Cast" || type == "CastLike" || type == "Reshape" || type == "Squeeze" ||
      type == "Unsqueeze" || type == "Flatten" || type == "Expand")
    return sameType;
  if (type == "Dropout") // inference: the mask output, where used, is another matter
    return sameType && !node.has(2) && (!node.hasOutput(1) || node.output(1).use_empty());
  if (type == "Transpose")
    return llvm::equal(permutationOf(node.op), llvm::seq<int64_t>(0, node.rank(0)));
  return false;
}

void qcc::removeIdentities(ModuleOp module) {
  module.walk([](onnx::NodeOp op) {
    if (!op.getDomain().empty() || !changesNothing(Node(op)))
      return;
    op->getResult(0).replaceAllUsesWith(op->getOperand(0));
    if (isUnused(op))
      op.erase();
  });
}
