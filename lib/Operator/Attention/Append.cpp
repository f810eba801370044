// qcc.Append: a state of the session with new positions behind the ones it has. Nothing that is stored moves.
#include "Register.h"
#include "Streamed.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferAppend(Infer &infer) {
  SmallVector<Dim> dims = infer.dims(0);
  dims[positionAxis] = infer.dim().add(dims[positionAxis], infer.dims(1)[positionAxis]);
  infer.result(0, dims, infer.element(0));
  return success();
}

static LogicalResult lowerAppend(const Node &node, Lowering &lowering) {
  Value state = node.input(0), added = node.input(1);
  SmallVector<Dim> dims = node.dims(0);
  Extension e;
  e.past = state;
  e.present = StoredRows::of(lowering, state, dims[1], dims[3]);
  e.batch = dims[0], e.heads = dims[1], e.size = dims[3];
  e.before = dims[positionAxis], e.added = node.dims(1)[positionAxis], e.after = node.outputDims()[positionAxis];
  e.source = [&](Kernel &k, Value b, Value h, Value row, Value i) { return k.load(added, {b, h, row, i}); };
  emitExtension(lowering, e);
  lowering.alias(node.output(), state);
  return success();
}

void qcc::registerAppend(OperatorRegistry &registry) {
  Operator op;
  op.domain = "qcc", op.type = "Append";
  op.infer = inferAppend;
  op.extends = [](const Node &node) { return SmallVector<Extended>{{0, 0, positionAxis, node.dims(1)[positionAxis]}}; };
  op.readsOnce = [](const Node &, unsigned i) { return i == 1; };
  op.lower = lowerAppend;
  registry.add(op);
}
