#include "Match.h"

using namespace mlir;
using namespace qcc;

std::optional<double> qcc::splatOf(Value value) {
  auto tensor = constantOf(value);
  auto numbers = tensor ? tensor->numbers() : std::nullopt;
  if (!numbers || numbers->empty() || !llvm::all_equal(*numbers))
    return std::nullopt;
  return numbers->front();
}

bool qcc::reducesLastAxis(onnx::NodeOp op) {
  if (!op)
    return false;
  Node node(op);
  std::optional<SmallVector<int64_t>> axes = node.intsAttr("axes");
  if (!axes)
    if (auto found = node.resolved("axes")) {
      axes.emplace();
      for (Dim dim : *found)
        axes->push_back(constantOf(dim).value_or(INT64_MAX));
    }
  return axes && axes->size() == 1 && ((*axes)[0] == -1 || (*axes)[0] == node.rank(0) - 1) &&
         node.intAttr("keepdims", 1) == 1;
}

SmallVector<int64_t> qcc::permutationOf(onnx::NodeOp op) {
  if (!op)
    return {};
  Node node(op);
  if (auto perm = node.intsAttr("perm"))
    return *perm;
  return llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, node.rank(0))));
}

Value qcc::makeNode(OpBuilder &b, Location loc, StringRef type, int64_t version, ValueRange operands,
                    ArrayRef<NamedAttribute> attrs, Type result) {
  SmallVector<Value> inputs;
  for (Value operand : operands)
    inputs.push_back(operand ? operand : Value(onnx::AbsentOp::create(b, loc, b.getNoneType())));
  auto node = onnx::NodeOp::create(b, loc, TypeRange{result}, b.getStringAttr(type), b.getStringAttr(""),
                                   b.getI64IntegerAttr(version), b.getDictionaryAttr(attrs), DictionaryAttr(),
                                   DenseI64ArrayAttr(), inputs, 0);
  return node->getResult(0);
}

void qcc::eraseUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (!op.hasTrait<OpTrait::IsTerminator>() && isUnused(&op))
      op.erase();
}
