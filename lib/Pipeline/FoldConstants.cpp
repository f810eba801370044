// Nodes of constants become constants: they are compiled like any other program and run once, here.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "qcc/Canonicalize/Canonicalize.h"
#include "qcc/Operator/Node.h"
#include "qcc/Pipeline/HostRun.h"
#include "qcc/Tile/Numbers.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t freeBytes = 1 << 16; // a result up to this size may be larger than what it is computed from
static constexpr int64_t maxGrowth =
    4; // otherwise at most this many times: dequantized weights are four times their codes

static int64_t bytesOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() ? tensor.getNumElements() * storageBytes(tensor.getElementType()) : 0;
}

/// Whether the node transposes a matrix for products only, which read it as it is.
static bool isReadThrough(onnx::NodeOp node) {
  return node.getDomain().empty() && node.getOpType() == "Transpose" &&
         cast<ShapedType>(node->getOperand(0).getType()).getRank() == 2 &&
         llvm::all_of(node->getUses(), [](OpOperand &use) {
           auto user = dyn_cast<onnx::NodeOp>(use.getOwner());
           return user && user.getDomain().empty() && user.getOpType() == "MatMul" && use.getOperandNumber() == 1;
         });
}

/// Whether the node makes numbers of the codes of a convolution's weights, whose input is codes too: its kernel reads
/// them as they are, in a quarter of the bytes.
static bool isReadAsCodes(onnx::NodeOp node) {
  return node.getDomain().empty() && node.getOpType() == "DequantizeLinear" &&
         llvm::all_of(node->getUses(), [](OpOperand &use) {
           auto conv = dyn_cast<onnx::NodeOp>(use.getOwner());
           auto input = conv && conv.getDomain().empty() && conv.getOpType() == "Conv"
                            ? conv->getOperand(0).getDefiningOp<onnx::NodeOp>()
                            : onnx::NodeOp();
           return input && input.getOpType() == "DequantizeLinear" && use.getOperandNumber() == 1;
         });
}

/// Whether what shape inference resolved for the node (the index of a Gather, the start of a Slice, lengths to be
/// checked) hangs on the lengths that a run has. Its results then differ between runs, however constant its operands
/// and static its results are.
static bool dependsOnLengths(onnx::NodeOp node) {
  std::optional<DictionaryAttr> resolved = node.getResolved();
  return resolved && llvm::any_of(*resolved, [](NamedAttribute entry) {
           auto map = dyn_cast<AffineMapAttr>(entry.getValue());
           return map && !map.getValue().isConstant();
         });
}

/// Whether the node can be computed now: constant operands, static results of a size worth keeping.
static bool isFoldable(onnx::NodeOp node, const llvm::DenseSet<Operation *> &constants) {
  if (node->getNumRegions() || node.getDefines() || isRandom(node) || node->getNumOperands() == 0 ||
      dependsOnLengths(node))
    return false;
  int64_t in = 0, out = 0;
  for (Value operand : node->getOperands()) {
    Operation *definition = operand.getDefiningOp();
    if (!definition || (!isa<onnx::WeightOp, onnx::AbsentOp>(definition) && !constants.contains(definition)))
      return false;
    in += bytesOf(operand.getType());
  }
  for (Type type : node->getResultTypes()) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (isa<NoneType>(type))
      continue;
    // A constant of fewer than 8 bits is packed in memory, a computed value is not.
    if (!tensor || !tensor.hasStaticShape() ||
        (tensor.getElementTypeBitWidth() < 8 && !tensor.getElementType().isInteger(1)))
      return false;
    out += bytesOf(type);
  }
  if ((out > freeBytes && isReadThrough(node)) || (out > in && isReadAsCodes(node)))
    return false;
  return out <= freeBytes || out <= maxGrowth * in;
}

LogicalResult qcc::foldConstants(Compilation &c) {
  auto main = c.module->lookupSymbol<func::FuncOp>("main");
  Block &block = main.getBody().front();
  llvm::DenseSet<Operation *> constants;
  SmallVector<Value> roots;
  for (Operation &op : block)
    if (auto node = dyn_cast<onnx::NodeOp>(op); node && isFoldable(node, constants))
      constants.insert(node);
  for (Operation &op : block)
    if (constants.contains(&op))
      for (Value result : op.getResults())
        if (!isa<NoneType>(result.getType()) &&
            llvm::any_of(result.getUsers(), [&](Operation *user) { return !constants.contains(user); }))
          roots.push_back(result);
  if (roots.empty())
    return success();

  CompileOptions options = c.options;
  options.targets = {"native"};
  options.quantizes = false;
  options.dumpStatesTo.clear(), options.dumpKernelsTo.clear();
  Compilation folded(c.context, options);
  folded.module = ModuleOp::create(c.module->getLoc());
  folded.module.get()->setAttrs(c.module.get()->getAttrDictionary());
  OpBuilder b(&c.context);
  b.setInsertionPointToEnd(folded.module->getBody());
  SmallVector<Type> types(ValueRange(roots).getTypes());
  auto function = func::FuncOp::create(b, main.getLoc(), "main", b.getFunctionType({}, types));
  b.setInsertionPointToStart(function.addEntryBlock());
  IRMapping mapping;
  llvm::DenseSet<Operation *> needed;
  std::function<void(Operation *)> need = [&](Operation *op) {
    if (!op || !needed.insert(op).second)
      return;
    for (Value operand : op->getOperands())
      need(operand.getDefiningOp());
  };
  for (Value root : roots)
    need(root.getDefiningOp());
  for (Operation &op : block)
    if (needed.contains(&op))
      b.clone(op, mapping);
  SmallVector<Value> results;
  for (auto [i, root] : llvm::enumerate(roots)) {
    results.push_back(mapping.lookup(root));
    function.setResultAttr(i, "onnx.name", b.getStringAttr("constant" + std::to_string(i)));
  }
  func::ReturnOp::create(b, main.getLoc(), results);
  if (failed(runStages(folded, "canonical", "artifact")))
    return failure();
  auto values = runOnHost(folded, types);
  if (!values)
    return emitError(main.getLoc()) << "computing the model's constants failed: " << llvm::toString(values.takeError());

  b.setInsertionPointToStart(&block);
  for (auto [root, value] : llvm::zip(roots, *values)) {
    auto loc = dyn_cast<NameLoc>(root.getLoc());
    StringRef name = loc ? loc.getName().getValue() : "constant";
    // An empty tensor still has a byte of storage.
    ArrayRef<char> bytes = ArrayRef<char>(value.bytes).take_front(bytesOf(root.getType()));
    auto bytesType = RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type());
    ElementsAttr data =
        DenseResourceElementsAttr::get(bytesType, name, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
    root.replaceAllUsesWith(onnx::WeightOp::create(b, root.getLoc(), root.getType(), name, data));
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isa<onnx::NodeOp, onnx::WeightOp, onnx::AbsentOp>(op) && isUnused(&op))
      op.erase();
  return success();
}
