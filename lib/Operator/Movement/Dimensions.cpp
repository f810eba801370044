// An integer tensor whose elements are dimension expressions: what is left of a computation on shapes whose result is
// used as data.
#include "Register.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

static LogicalResult lowerDimensions(const Node &node, Lowering &lowering) {
  Kernel k(lowering, "dimensions", node.op->getLoc());
  Type element = node.outputElement();
  Value base = k.pointer(node.output());
  for (auto [i, value] : llvm::enumerate(*node.resolved("values"))) {
    Value number = k.dim(value);
    if (computeType(element) != number.getType())
      number = arith::TruncIOp::create(k.b, computeType(element), number);
    k.storeAt(base, k.constant(i), element, number);
  }
  k.launch(lowering.dims.constant(1), lowering.dims.constant(1));
  return success();
}

void qcc::registerDimensions(OperatorRegistry &registry) {
  Operator op;
  op.domain = "qcc", op.type = "Dimensions";
  op.infer = [](Infer &infer) -> LogicalResult {
    infer.resultContents(0, *infer.resolved("values"));
    return success();
  };
  op.lower = lowerDimensions;
  registry.add(op);
  // Defines dimension symbols by the elements of its operand.
  registry.add("qcc", "Read", [](Infer &) { return success(); }, [](const Node &, Lowering &) { return success(); });
}
