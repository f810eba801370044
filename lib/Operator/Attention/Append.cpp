// qcc.Append: a state of the session with new positions behind the ones it has. Nothing that is stored moves.
#include "Register.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferAppend(Infer &infer) {
  SmallVector<Dim> dims = infer.dims(0);
  dims[stateAxis] = infer.dim().add(dims[stateAxis], infer.dims(1)[stateAxis]);
  infer.result(0, dims, infer.element(0));
  return success();
}

static LogicalResult lowerAppend(const Node &node, Lowering &lowering) {
  Value state = node.input(0), added = node.input(1);
  SmallVector<Dim> dims = node.dims(1);
  Dim capacity = lowering.storedLength(state, stateAxis), before = node.dims(0)[stateAxis];
  Type element = node.element(0);
  Kernel k(lowering, "append", node.op->getLoc());
  Value base = k.pointer(state);
  ArrayRef<Dim> rows = ArrayRef<Dim>(dims).drop_back();
  k.loop(k.lo(), k.hi(), [&](Value row) {
    SmallVector<Value> at = k.delinearize(row, rows);
    Value head = k.add(k.mul(at[0], k.dim(dims[1])), at[1]);
    Value position = k.add(k.mul(head, k.dim(capacity)), k.add(k.dim(before), at[2]));
    Value size = k.dim(dims[3]), start = k.mul(position, size), from = k.mul(row, size);
    at.push_back({});
    k.loop(k.constant(0), size, [&](Value i) {
      at.back() = i;
      k.storeAt(base, k.add(start, i), element, k.load(added, Index(dims, at, k.add(from, i))));
    });
  });
  k.launch(lowering.dims.product(rows), lowering.dims.product(dims));
  lowering.alias(node.output(), state);
  return success();
}

void qcc::registerAppend(OperatorRegistry &registry) {
  Operator op;
  op.domain = "qcc", op.type = "Append";
  op.infer = inferAppend;
  op.readsOnce = [](const Node &, unsigned i) { return i == 1; };
  op.lower = lowerAppend;
  registry.add(op);
}
