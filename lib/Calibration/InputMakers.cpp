#include "InputMakers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Operator/Node.h"
#include <numeric>

using namespace mlir;
using namespace qcc;

static bool is(onnx::NodeOp node, StringRef domain, StringRef type) {
  return node && node.getDomain() == domain && node.getOpType() == type && node->getNumResults() >= 1;
}

static ArrayRef<int64_t> shapeOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getShape() : ArrayRef<int64_t>();
}

/// Whether nobody reads the value but `reader`, and a session that keeps it as its state.
static bool isReadOnlyBy(Value value, Operation *reader) {
  auto main = value.getParentRegion()->getParentOfType<func::FuncOp>();
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    return use.getOwner() == reader ||
           (isa<func::ReturnOp>(use.getOwner()) && main.getResultAttr(use.getOperandNumber(), stateAttr));
  });
}

/// Whether the node exchanges positions and heads.
static bool exchangesHeads(onnx::NodeOp node) {
  if (!is(node, "", "Transpose"))
    return false;
  auto perm = Node(node).intsAttr("perm");
  return perm && *perm == SmallVector<int64_t>{0, 2, 1, 3};
}

/// The value (…, heads, size) that becomes (…, heads · size) in `joined`; null where it is none.
static Value splitOf(Value joined) {
  auto node = joined.getDefiningOp<onnx::NodeOp>();
  if (!is(node, "", "Reshape"))
    return nullptr;
  ArrayRef<int64_t> from = shapeOf(node->getOperand(0)), to = shapeOf(joined);
  if (from.size() != to.size() + 1 || from.size() < 2 || ShapedType::isDynamic(from.back()) ||
      ShapedType::isDynamic(from.drop_back().back()) || from.back() * from.drop_back().back() != to.back())
    return nullptr;
  return node->getOperand(0);
}

namespace {
/// The way from a group's input back to what makes it.
class WayBack {
public:
  explicit WayBack(int64_t columns) : rows(size_t(columns)) { std::iota(rows.begin(), rows.end(), 0); }

  /// `value` is read by nobody else.
  std::optional<InputMaker> find(Value value) {
    for (int steps = 0; steps < 16; ++steps) {
      if (auto linear = value.getDefiningOp<qnt::LinearOp>())
        return InputMaker{linear, rows};
      auto node = value.getDefiningOp<onnx::NodeOp>();
      if (!node || value != node->getResult(0))
        return std::nullopt;
      Value before;
      if (is(node, "", "Relu"))
        before = node->getOperand(0);
      else if (is(node, "", "Mul"))
        before = factorOf(node);
      else if (is(node, "", "Reshape"))
        before = beforeReshape(node);
      if (!before || !isReadOnlyBy(before, node))
        return std::nullopt;
      value = before;
    }
    return std::nullopt;
  }

private:
  /// Of a product, the operand that a linear operation makes, for which the other is a factor.
  static Value factorOf(onnx::NodeOp product) {
    for (Value operand : product->getOperands())
      if (operand.getDefiningOp<qnt::LinearOp>() && operand.getType() == product->getResult(0).getType() &&
          product->getOperand(0) != product->getOperand(1))
        return operand;
    return nullptr;
  }

  Value beforeReshape(onnx::NodeOp &node) {
    Value before = node->getOperand(0);
    ArrayRef<int64_t> from = shapeOf(before), to = shapeOf(node->getResult(0));
    if (!from.empty() && !to.empty() && from.back() == to.back() && !ShapedType::isDynamic(from.back()))
      return before;
    return beforeAttention(node);
  }

  /// Across attention to what makes its values: (batch, positions, heads · size) from (batch, heads, positions, size).
  Value beforeAttention(onnx::NodeOp &node) {
    Value split = splitOf(node->getResult(0));
    auto back = split ? split.getDefiningOp<onnx::NodeOp>() : onnx::NodeOp();
    if (!exchangesHeads(back) || !isReadOnlyBy(split, node))
      return nullptr;
    Value attended = back->getOperand(0);
    auto attention = attended.getDefiningOp<onnx::NodeOp>();
    if (!is(attention, "", "Attention") || attended != attention->getResult(0) || !isReadOnlyBy(attended, back) ||
        attention->getNumOperands() < 3)
      return nullptr;
    Value values = attention->getOperand(2);
    Operation *reader = attention;
    if (auto append = values.getDefiningOp<onnx::NodeOp>(); is(append, "qcc", "Append")) {
      if (append->getNumOperands() != 2 || !isReadOnlyBy(values, attention))
        return nullptr;
      reader = append, values = append->getOperand(1);
    }
    auto exchange = values.getDefiningOp<onnx::NodeOp>();
    if (!exchangesHeads(exchange) || !isReadOnlyBy(values, reader))
      return nullptr;
    Value heads = exchange->getOperand(0);
    auto reshape = heads.getDefiningOp<onnx::NodeOp>();
    if (!is(reshape, "", "Reshape") || !isReadOnlyBy(heads, exchange))
      return nullptr;
    Value joined = reshape->getOperand(0);
    ArrayRef<int64_t> kept = shapeOf(heads), queries = shapeOf(attended), from = shapeOf(joined);
    if (kept.size() != 4 || queries.size() != 4 || from.size() != 3)
      return nullptr;
    int64_t size = kept[3], keptHeads = kept[2], queryHeads = queries[1];
    if (ShapedType::isDynamic(size) || ShapedType::isDynamic(keptHeads) || ShapedType::isDynamic(queryHeads) ||
        queries[3] != size || from[2] != keptHeads * size || keptHeads < 1 || queryHeads % keptHeads)
      return nullptr;
    for (int64_t &row : rows)
      row = row / size / (queryHeads / keptHeads) * size + row % size;
    node = reshape;
    return joined;
  }

  std::vector<int64_t> rows;
};
} // namespace

std::optional<InputMaker> qcc::makerOfInput(const LinearGroup &group) {
  for (Operation *user : group.x.getUsers())
    if (!llvm::is_contained(group.linears, user))
      return std::nullopt;
  return WayBack(group.columns()).find(group.x);
}
