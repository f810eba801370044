#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

static SmallVector<int64_t> inverse(ArrayRef<int64_t> perm) {
  SmallVector<int64_t> result(perm.size());
  for (auto [i, axis] : llvm::enumerate(perm))
    result[axis] = int64_t(i);
  return result;
}

/// `value` with its axes in the order that `perm` says. A transpose that made it is part of the new one.
static Value transposed(OpBuilder &b, Location loc, const Dimensions &dims, Value value, ArrayRef<int64_t> perm) {
  SmallVector<int64_t> order(perm);
  if (auto inner = madeBy(value, "Transpose")) {
    SmallVector<int64_t> first = permutationOf(inner);
    for (int64_t &axis : order)
      axis = first[axis];
    value = inner->getOperand(0);
  }
  if (llvm::equal(order, llvm::seq<int64_t>(0, int64_t(order.size()))))
    return value;
  SmallVector<Dim> from = dimsOf(value.getType()), to;
  for (int64_t axis : order)
    to.push_back(from[axis]);
  return makeNode(b, loc, "Transpose", 13, {value}, {b.getNamedAttr("perm", b.getDenseI64ArrayAttr(order))},
                  dims.tensor(to, cast<ShapedType>(value.getType()).getElementType()));
}

static void moveBehind(onnx::NodeOp concat, const Dimensions &dims) {
  auto first = madeBy(concat->getOperand(0), "Transpose");
  if (!first)
    return;
  SmallVector<int64_t> perm = permutationOf(first), back = inverse(perm);
  bool returns = llvm::any_of(concat->getResult(0).getUsers(), [&](Operation *user) {
    return permutationOf(madeBy(user->getNumResults() ? user->getResult(0) : Value(), "Transpose")) == back;
  });
  if (!returns)
    return;
  Location loc = concat->getLoc();
  OpBuilder b(concat);
  SmallVector<Value> kept;
  for (Value operand : concat->getOperands())
    kept.push_back(transposed(b, loc, dims, operand, back));
  int64_t axis = Node(concat).intAttr("axis", 0), rank = int64_t(perm.size());
  auto type = cast<RankedTensorType>(concat->getResult(0).getType());
  SmallVector<Dim> from = dimsOf(type), to;
  for (int64_t i : back)
    to.push_back(from[i]);
  Value all = makeNode(b, loc, "Concat", 13, kept,
                       {b.getNamedAttr("axis", b.getI64IntegerAttr(perm[axis < 0 ? axis + rank : axis]))},
                       dims.tensor(to, type.getElementType()));
  if (auto resolved = concat.getResolvedAttr()) // what it requires of lengths
    all.getDefiningOp<onnx::NodeOp>().setResolvedAttr(resolved);
  concat->getResult(0).replaceAllUsesWith(transposed(b, loc, dims, all, perm));
}

void qcc::moveTransposes(ModuleOp module) {
  auto dims = Dimensions::load(module);
  if (failed(dims))
    return;
  SmallVector<onnx::NodeOp> concats, transposes;
  module.walk([&](onnx::NodeOp op) {
    Value result = op->getNumResults() ? op->getResult(0) : Value();
    if (auto node = madeBy(result, "Concat"))
      concats.push_back(node);
    else if (auto other = madeBy(result, "Transpose"))
      transposes.push_back(other);
  });
  for (onnx::NodeOp concat : concats)
    moveBehind(concat, *dims);
  for (onnx::NodeOp node : transposes)
    if (madeBy(node->getOperand(0), "Transpose")) {
      OpBuilder b(node);
      Value one = transposed(b, node->getLoc(), *dims, node->getOperand(0), permutationOf(node));
      node->getResult(0).replaceAllUsesWith(one);
    }
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
