#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Operator/Registry.h"

using namespace mlir;
using namespace qcc;

namespace {
struct State {
  BlockArgument past;
  onnx::NodeOp node; // extends it
  Extended extended;
  unsigned result; // of main
};
} // namespace

static SmallVector<Extended> extendedBy(onnx::NodeOp node) {
  const Operator *definition = OperatorRegistry::get().find(node);
  return definition && definition->extends ? definition->extends(Node(node)) : SmallVector<Extended>();
}

/// A concatenation of the past and new positions, which attention alone reads, as the operator that keeps the past.
static onnx::NodeOp appendFor(BlockArgument argument, onnx::NodeOp concat, Operation *terminator,
                              const Dimensions &dims) {
  if (concat->getNumOperands() != 2 || concat->getOperand(0) != argument || Node(concat).rank(0) != 4)
    return {};
  int64_t axis = Node(concat).intAttr("axis", 0);
  if (axis != positionAxis && axis != int64_t(positionAxis) - 4)
    return {};
  if (!isa<AffineSymbolExpr>(Node(concat).dims(0)[positionAxis]) || dims.isRuntime(Node(concat).dims(1)[positionAxis]))
    return {};
  for (OpOperand &use : concat->getResult(0).getUses()) {
    if (use.getOwner() == terminator)
      continue;
    auto attention = dyn_cast<onnx::NodeOp>(use.getOwner());
    bool reads = attention && attention.getDomain().empty() && attention.getOpType() == "Attention" &&
                 (use.getOperandNumber() == 1 || use.getOperandNumber() == 2);
    if (!reads)
      return {};
  }
  OpBuilder b(concat);
  return onnx::NodeOp::create(b, concat->getLoc(), TypeRange{concat->getResult(0).getType()}, b.getStringAttr("Append"),
                              b.getStringAttr("qcc"), b.getI64IntegerAttr(1), b.getDictionaryAttr({}),
                              concat.getResolved().value_or(DictionaryAttr()), DenseI64ArrayAttr(),
                              ValueRange{argument, concat->getOperand(1)}, 0);
}

/// The result of `main` that the value is, where it is one of them exactly once.
static std::optional<unsigned> resultOf(Value value, Operation *terminator) {
  std::optional<unsigned> result;
  for (OpOperand &use : value.getUses())
    if (use.getOwner() == terminator) {
      if (result)
        return std::nullopt;
      result = use.getOperandNumber();
    }
  return result;
}

/// The state that an argument is: extended by one node, which is all that reads it, and the whole returned once. What
/// an operator other than a concatenation extends is read by that operator alone.
static std::optional<State> match(BlockArgument argument, Operation *terminator, const Dimensions &dims) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type || !argument.hasOneUse())
    return std::nullopt;
  OpOperand &use = *argument.use_begin();
  auto node = dyn_cast<onnx::NodeOp>(use.getOwner());
  if (!node)
    return std::nullopt;
  if (node.getDomain().empty() && node.getOpType() == "Concat") {
    auto result = resultOf(node->getResult(0), terminator);
    onnx::NodeOp append = result ? appendFor(argument, node, terminator, dims) : onnx::NodeOp();
    if (!append)
      return std::nullopt;
    node->getResult(0).replaceAllUsesWith(append->getResult(0));
    node.erase();
    return State{argument, append, extendedBy(append).front(), *result};
  }
  for (const Extended &extended : extendedBy(node)) {
    if (extended.past != use.getOperandNumber() || !Node(node).hasOutput(extended.present))
      continue;
    Value present = node->getResult(extended.present);
    auto result = resultOf(present, terminator);
    if (!result || !present.hasOneUse() || !isa<AffineSymbolExpr>(dimsOf(type)[extended.axis]) ||
        dims.isRuntime(extended.added) || Node(node).outputElement(extended.present) != type.getElementType())
      return std::nullopt;
    return State{argument, node, extended, *result};
  }
  return std::nullopt;
}

/// Puts `by` in place of a symbol wherever types and attributes of the module say it.
static void replaceSymbol(ModuleOp module, const Dimensions &dims, Dim symbol, Dim by) {
  auto replaced = [&](ArrayRef<Dim> list) {
    return llvm::map_to_vector(list, [&](Dim dim) { return dims.replace(dim, symbol, by); });
  };
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](RankedTensorType type) -> std::optional<std::pair<Type, WalkResult>> {
    if (!isa_and_present<AffineMapAttr>(type.getEncoding()))
      return std::nullopt;
    return std::pair(Type(dims.tensor(replaced(dimsOf(type)), type.getElementType())), WalkResult::skip());
  });
  replacer.addReplacement([&](AffineMapAttr map) -> Attribute {
    return AffineMapAttr::get(dims.map(replaced(map.getValue().getResults())));
  });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/true);
}

static void collectSymbols(Dim dim, llvm::DenseSet<Dim> &symbols) {
  dim.walk([&](AffineExpr part) {
    if (isa<AffineSymbolExpr>(part))
      symbols.insert(part);
  });
}

/// A length that stands in states alone is not told by the inputs that are left: it becomes the one that the operator
/// requires.
static void bindLengths(ModuleOp module, Dimensions &dims, ArrayRef<State> states) {
  llvm::DenseSet<Dim> told;
  auto isState = [&](BlockArgument argument) {
    return llvm::any_of(states, [&](const State &state) { return state.past == argument; });
  };
  for (BlockArgument argument : module.lookupSymbol<func::FuncOp>("main").getArguments())
    if (auto type = dyn_cast<RankedTensorType>(argument.getType()); type && !isState(argument))
      for (Dim dim : dimsOf(type))
        collectSymbols(dim, told);
  for (const State &state : states)
    told.insert(dimsOf(state.past.getType())[state.extended.axis]);
  auto isInput = [&](Dim symbol) {
    return dims.symbols()[cast<AffineSymbolExpr>(symbol).getPosition()].kind == Dimensions::Kind::Input;
  };
  for (const State &state : states)
    for (size_t axis = 0, rank = dimsOf(state.past.getType()).size(); axis < rank; ++axis) {
      Dim has = dimsOf(state.past.getType())[axis];
      Dim needs = dimsOf(state.node->getResult(state.extended.present).getType())[axis];
      llvm::DenseSet<Dim> read;
      collectSymbols(needs, read);
      if (axis == state.extended.axis || !isa<AffineSymbolExpr>(has) || told.contains(has) || read.contains(has) ||
          !llvm::all_of(read, isInput))
        continue;
      replaceSymbol(module, dims, has, needs);
      dims.replaceInDefinitions(has, needs);
    }
}

/// The room for a state is made before the program runs. A length that the operator reads from a tensor while it runs
/// is then required to be that of the past and the new positions.
static void requireLengths(ModuleOp module, Dimensions &dims, ArrayRef<State> states) {
  InferState inferred(dims);
  for (const State &state : states) {
    const Extended &extended = state.extended;
    Dim after = dimsOf(state.node->getResult(extended.present).getType())[extended.axis];
    Dim length = dims.add(dimsOf(state.past.getType())[extended.axis], extended.added);
    if (!dims.isRuntime(after))
      continue;
    replaceSymbol(module, dims, after, length);
    Infer(state.node, inferred).requireEqual(after, length);
  }
}

LogicalResult qcc::recognizeStates(ModuleOp module) {
  auto dims = Dimensions::load(module);
  if (failed(dims))
    return failure();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  Block &block = main.getBody().front();
  SmallVector<State> states;
  for (BlockArgument argument : block.getArguments())
    if (auto state = match(argument, block.getTerminator(), *dims))
      states.push_back(*state);
  bindLengths(module, *dims, states);
  requireLengths(module, *dims, states);
  OpBuilder b(module.getContext());
  for (auto [count, state] : llvm::enumerate(states)) {
    unsigned index = state.past.getArgNumber();
    auto name = main.getArgAttrOfType<StringAttr>(index, "onnx.name");
    main.setArgAttr(index, stateAttr, b.getI64IntegerAttr(count));
    main.setArgAttr(index, stateAxisAttr, b.getI64IntegerAttr(state.extended.axis));
    main.setArgAttr(index, capacityAttr,
                    AffineMapAttr::get(dims->map({dims->input((name.getValue() + ".capacity").str())})));
    main.setResultAttr(state.result, stateAttr, b.getI64IntegerAttr(count));
  }
  dims->store(module);
  return success();
}
