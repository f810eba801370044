// qcc.Append: a state of the session with new positions behind the ones it has. Nothing that is stored moves. Keys and
// values may be one state (2, batch, heads, positions, size); the new ones are then two operands, and the second and
// third result are the halves of the first. The attribute `axis` says that positions stand at another axis than that of
// (batch, heads, positions, size): 1 for (batch, positions, heads, size).
#include "Register.h"
#include "Streamed.h"

using namespace mlir;
using namespace qcc;

static unsigned axisOf(const Node &node) {
  return unsigned(node.intAttr("axis", node.rank(0) == 5 ? positionAxis + 1 : positionAxis));
}

/// The axis of the operands that are appended.
static unsigned addedAxis(const Node &node) { return axisOf(node) - (node.rank(0) - node.rank(1)); }

static LogicalResult inferAppend(Infer &infer) {
  SmallVector<Dim> dims = infer.dims(0);
  unsigned axis = axisOf(infer);
  dims[axis] = infer.dim().add(dims[axis], infer.dims(1)[addedAxis(infer)]);
  infer.result(0, dims, infer.element(0));
  for (unsigned half = 1; half < infer.outputs(); ++half)
    infer.result(half, ArrayRef<Dim>(dims).drop_front(), infer.element(0));
  return success();
}

/// The rows of a state (batch, positions, heads, size).
static StoredRows rowsOfPositions(Lowering &lowering, Value state) {
  Dimensions &d = lowering.dims;
  SmallVector<Dim> dims = dimsOf(state.getType());
  StoredRows rows;
  rows.storage = lowering.storage(state);
  rows.element = lowering.storedElement(state);
  rows.layout = lowering.rowLayout(state);
  rows.head = rows.layout ? d.constant(rows.layout->bytes()) : dims[3];
  rows.offset = d.constant(0), rows.position = d.mul(dims[2], rows.head);
  rows.batch = d.mul(lowering.storedLength(state, 1), rows.position);
  return rows;
}

static LogicalResult lowerAppend(const Node &node, Lowering &lowering) {
  Value state = node.input(0);
  SmallVector<Dim> dims = node.dims(0);
  unsigned axis = axisOf(node);
  bool positionsFirst = dims.size() == 4 && axis == 1;
  Dim heads = dims[positionsFirst ? 2 : dims.size() - 3];
  for (unsigned half = 0; half + 1 < node.inputs(); ++half) {
    Extension e;
    e.past = state, e.half = half;
    e.batch = dims[dims.size() - 4], e.heads = heads, e.size = dims.back();
    e.present =
        positionsFirst ? rowsOfPositions(lowering, state) : StoredRows::of(lowering, state, e.heads, e.size, half);
    e.type = node.element(1 + half);
    e.before = dims[axis], e.added = node.dims(1)[addedAxis(node)], e.after = node.outputDims()[axis];
    e.source = [&, half](Kernel &k, Value b, Value h, Value row, Value i) {
      return positionsFirst ? k.load(node.input(1), {b, row, h, i}) : k.load(node.input(1 + half), {b, h, row, i});
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
    return SmallVector<Extended>{{0, 0, axisOf(node), node.dims(1)[addedAxis(node)]}};
  };
  op.readsOnce = [](const Node &, unsigned i) { return i > 0; };
  op.lower = lowerAppend;
  registry.add(op);
}
