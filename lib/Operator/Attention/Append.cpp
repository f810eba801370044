// qcc.Append: a state of the session with new positions behind the ones it has. Nothing that is stored moves. Keys and
// values may be one state (2, batch, heads, positions, size); the new ones are then two operands, and the second and
// third result are the halves of the first.
#include "Register.h"
#include "Streamed.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferAppend(Infer &infer) {
  SmallVector<Dim> dims = infer.dims(0);
  unsigned axis = dims.size() == 5 ? positionAxis + 1 : positionAxis;
  dims[axis] = infer.dim().add(dims[axis], infer.dims(1)[positionAxis]);
  infer.result(0, dims, infer.element(0));
  for (unsigned half = 1; half < infer.outputs(); ++half)
    infer.result(half, ArrayRef<Dim>(dims).drop_front(), infer.element(0));
  return success();
}

static LogicalResult lowerAppend(const Node &node, Lowering &lowering) {
  Value state = node.input(0);
  SmallVector<Dim> dims = node.dims(0), added = node.dims(1);
  ArrayRef<Dim> part = ArrayRef<Dim>(dims).take_back(4);
  for (unsigned half = 0; half + 1 < node.inputs(); ++half) {
    Extension e;
    e.past = state, e.half = half;
    e.present = StoredRows::of(lowering, state, part[1], part[3], half);
    e.batch = part[0], e.heads = part[1], e.size = part[3];
    e.before = part[positionAxis], e.added = added[positionAxis];
    e.after = node.outputDims()[dims.size() - 2];
    e.source = [&](Kernel &k, Value b, Value h, Value row, Value i) {
      return k.load(node.input(1 + half), {b, h, row, i});
    };
    emitExtension(lowering, e);
    if (node.hasOutput(1 + half))
      lowering.alias(node.output(1 + half), state, e.present.offset);
  }
  lowering.alias(node.output(), state);
  return success();
}

void qcc::registerAppend(OperatorRegistry &registry) {
  Operator op;
  op.domain = "qcc", op.type = "Append";
  op.infer = inferAppend;
  op.extends = [](const Node &node) {
    unsigned axis = node.rank(0) == 5 ? positionAxis + 1 : positionAxis;
    return SmallVector<Extended>{{0, 0, axis, node.dims(1)[positionAxis]}};
  };
  op.readsOnce = [](const Node &, unsigned i) { return i > 0; };
  op.lower = lowerAppend;
  registry.add(op);
}
