#include "DescribeLinears.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/RegionUtils.h"
#include "qcc/Calibration/StaticConvolutions.h"
#include "qcc/Operator/Registry.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace qcc;

static bool isPointwise(onnx::NodeOp node) {
  const Operator *definition = node ? OperatorRegistry::get().find(node) : nullptr;
  return definition && definition->pointwise;
}

/// Whether the operation's result is an output of the program, as it is or after pointwise operators and changes of
/// shape: the head of a classifier or a language model. A session's state is no output.
static bool isHead(Value result, func::FuncOp main) {
  for (;;) {
    for (OpOperand &use : result.getUses())
      if (isa<func::ReturnOp>(use.getOwner()) && !main.getResultAttr(use.getOperandNumber(), stateAttr))
        return true;
    auto node = result.hasOneUse() ? dyn_cast<onnx::NodeOp>(*result.getUsers().begin()) : onnx::NodeOp();
    bool reshapes = node && node.getDomain().empty() && node.getOpType() == "Reshape";
    if (!node || node->getNumResults() != 1 || (!isPointwise(node) && !reshapes))
      return false;
    result = node->getResult(0);
  }
}

static bool isAttention(Operation *op) {
  auto node = dyn_cast_or_null<onnx::NodeOp>(op);
  return node && node.getOpType().ends_with("Attention");
}

/// Operators that give what they read, arranged in another way or turned by its position.
static bool arranges(onnx::NodeOp node) {
  return llvm::is_contained({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Expand",
                             "Concat", "Gather", "Identity", "View", "RotaryEmbedding", "Append"},
                            node.getOpType());
}

/// Whether a way on from a result of this many channels goes across the node. Normalizations of heads are between
/// linear operations and attention; those of whole tokens begin something new.
static bool isCrossed(onnx::NodeOp node, int64_t channels) {
  if (isPointwise(node) || arranges(node))
    return true;
  auto type = dyn_cast<RankedTensorType>(node->getResult(0).getType());
  return node.getOpType().ends_with("Normalization") && type && type.getRank() > 1 &&
         type.getShape().back() != channels && !type.isDynamicDim(type.getRank() - 1);
}

/// The types of operators that `next` leads to, step by step.
template <typename Next>
static std::set<std::string> typesAlong(ArrayRef<Operation *> from, int64_t channels, Next next) {
  std::set<std::string> types;
  llvm::SetVector<Operation *> seen(from.begin(), from.end());
  for (size_t i = 0; i < seen.size(); ++i) {
    auto node = dyn_cast<onnx::NodeOp>(seen[i]);
    if (isa<qnt::LinearOp>(seen[i]))
      types.insert("Linear");
    if (!node)
      continue;
    types.insert(node.getOpType().str());
    if (isCrossed(node, channels))
      for (Operation *op : next(node))
        seen.insert(op);
  }
  return types;
}

static SmallVector<Operation *> makersOf(Operation *op) {
  SmallVector<Operation *> makers;
  for (Value operand : op->getOperands())
    if (Operation *maker = operand.getDefiningOp())
      makers.push_back(maker);
  return makers;
}

static std::set<std::string> typesRead(qnt::LinearOp op) {
  Operation *maker = op.getX().getDefiningOp();
  if (!maker)
    return {};
  return typesAlong(maker, op.getX().getType().getShape().back(), makersOf);
}

static std::set<std::string> typesThatRead(qnt::LinearOp op) {
  auto usersOf = [](Operation *user) { return llvm::to_vector(user->getUsers()); };
  return typesAlong(llvm::to_vector(op->getUsers()), op.getY().getType().getShape().back(), usersOf);
}

/// How many attention operators there are at most on a way to each value.
static llvm::DenseMap<Value, int64_t> attentionDepths(func::FuncOp main) {
  llvm::DenseMap<Value, int64_t> depths;
  main.walk<WalkOrder::PreOrder>([&](Operation *op) {
    int64_t depth = 0;
    llvm::SetVector<Value> read(op->operand_begin(), op->operand_end());
    getUsedValuesDefinedAbove(op->getRegions(), read);
    for (Value value : read)
      depth = std::max(depth, depths.lookup(value));
    for (Value result : op->getResults())
      depths[result] = depth + isAttention(op);
  });
  return depths;
}

std::vector<DescribedLinear> qcc::describeLinears(ModuleOp module) {
  std::vector<DescribedLinear> all;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  llvm::DenseMap<Value, int64_t> depths = attentionDepths(main);
  int64_t layers = 0;
  for (auto [value, depth] : depths)
    layers = std::max(layers, depth);
  module.walk([&](qnt::LinearOp op) {
    LinearFacts facts;
    if (auto name = dyn_cast<NameLoc>(op.getLoc()))
      facts.name = name.getName().str();
    facts.isHead = isHead(op.getY(), main);
    facts.reads = typesRead(op), facts.readBy = typesThatRead(op);
    facts.index = int64_t(all.size()), facts.layers = layers;
    bool feedsAttention = llvm::any_of(facts.readBy, [](StringRef type) { return type.ends_with("Attention"); });
    facts.layer = facts.isHead ? -1 : std::min(depths.lookup(op.getX()) - !feedsAttention, layers - 1);
    auto type = cast<RankedTensorType>(op.getWeight().getType());
    facts.outputs = type.getDimSize(0), facts.inputs = type.getDimSize(1);
    all.push_back({op, std::move(facts)});
  });
  for (DescribedLinear &linear : all)
    linear.facts.count = int64_t(all.size());
  return all;
}

std::vector<DescribedConvolution> qcc::describeConvolutions(ModuleOp module) {
  std::vector<DescribedConvolution> all;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  SmallVector<onnx::NodeOp> convolutions = constantConvolutions(module);
  for (auto [i, op] : llvm::enumerate(convolutions)) {
    LinearFacts facts;
    if (auto name = dyn_cast<NameLoc>(op.getLoc()))
      facts.name = name.getName().str();
    auto weights = cast<RankedTensorType>(op->getOperand(1).getType());
    facts.outputs = weights.getDimSize(0),
    facts.inputs = weights.getNumElements() / std::max<int64_t>(1, facts.outputs);
    facts.isConvolution = true, facts.isHead = isHead(op->getResult(0), main);
    if (Operation *maker = op->getOperand(0).getDefiningOp())
      facts.reads = typesAlong(maker, /*channels=*/0, makersOf);
    facts.readBy = typesAlong(llvm::to_vector(op->getUsers()), 0,
                              [](Operation *user) { return llvm::to_vector(user->getUsers()); });
    facts.index = int64_t(i), facts.count = int64_t(convolutions.size());
    all.push_back({op, std::move(facts)});
  }
  return all;
}
