#include "Subgraph.h"

using namespace mlir;
using namespace qcc;

Region *qcc::subgraphOf(const Node &node, StringRef name) {
  auto names = node.op.getAttrs().getAs<ArrayAttr>("subgraphs");
  if (!names)
    return nullptr;
  for (auto [i, entry] : llvm::enumerate(names))
    if (auto text = dyn_cast<StringAttr>(entry); text && text.getValue() == name && i < node.op->getNumRegions())
      return &node.op->getRegion(i);
  return nullptr;
}

bool qcc::isInner(const Dimensions &dims, Dim dim, size_t first) {
  bool found = false;
  dim.walk([&](AffineExpr part) {
    auto symbol = dyn_cast<AffineSymbolExpr>(part);
    if (!symbol)
      return;
    const Dimensions::Symbol &entry = dims.symbols()[symbol.getPosition()];
    found |= entry.kind == Dimensions::Kind::Runtime
                 ? symbol.getPosition() >= first
                 : llvm::any_of(entry.operands, [&](Dim operand) { return isInner(dims, operand, first); });
  });
  return found;
}

/// Whether a node says something by lengths that are known inside of its region alone.
static bool namesInner(const Dimensions &dims, onnx::NodeOp node, size_t first) {
  auto inner = [&](Dim dim) { return isInner(dims, dim, first); };
  for (Type type : node->getResultTypes())
    if (isa<RankedTensorType>(type) && llvm::any_of(dimsOf(type), inner))
      return true;
  for (NamedAttribute entry : node.getResolved().value_or(DictionaryAttr::get(node.getContext())))
    if (auto map = dyn_cast<AffineMapAttr>(entry.getValue()); map && llvm::any_of(map.getValue().getResults(), inner))
      return true;
  return false;
}

/// Whether the node does the same wherever it stands.
static bool isMovable(onnx::NodeOp node) {
  if (node->getNumRegions() || node.getDefines() || isRandom(node) || node->getNumOperands() == 0)
    return false;
  std::optional<DictionaryAttr> resolved = node.getResolved(); // lengths that it tells, and checks that it makes
  return !resolved || (!resolved->contains("counts") && !resolved->contains("equal"));
}

void qcc::hoist(Infer &infer, Region &region, size_t first, bool all) {
  llvm::DenseSet<Operation *> constants;
  for (Operation &op : llvm::make_early_inc_range(region.front())) {
    auto node = dyn_cast<onnx::NodeOp>(op);
    bool moves = isa<onnx::WeightOp, onnx::AbsentOp>(op);
    if (node && isMovable(node) && !namesInner(infer.dim(), node, first))
      moves = llvm::all_of(node->getOperands(), [&](Value operand) {
        Operation *definition = operand.getDefiningOp();
        if (region.isAncestor(operand.getParentRegion()))
          return false;
        return all || (definition && constants.contains(definition)) ||
               isa_and_present<onnx::WeightOp, onnx::AbsentOp>(definition);
      });
    if (!moves)
      continue;
    op.moveBefore(infer.op);
    constants.insert(&op);
  }
}

void Yields::want(Value value, Value storage, Block &block) {
  Operation *definition = value.getDefiningOp();
  bool isMade = definition && definition->getBlock() == &block && !isa<onnx::WeightOp>(definition);
  if (isMade && llvm::none_of(wanted, [&](const auto &other) { return other.first == value; }))
    lowering.bind(value, storage);
  wanted.push_back({value, storage});
}

void Yields::settle() {
  for (auto [value, storage] : wanted)
    if (lowering.storage(value) != storage)
      lowering.copy(value, storage);
}
