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

static bool isReadByAttention(OpOperand &use) {
  auto attention = dyn_cast<onnx::NodeOp>(use.getOwner());
  return attention && attention.getDomain().empty() && attention.getOpType() == "Attention" &&
         (use.getOperandNumber() == 1 || use.getOperandNumber() == 2);
}

/// The type of one half of a pair, with the pair's axis.
static Type makeHalf(const Dimensions &dims, Type type) {
  SmallVector<Dim> all = dimsOf(type);
  all.insert(all.begin(), dims.constant(1));
  return dims.tensor(all, cast<RankedTensorType>(type).getElementType());
}

static onnx::NodeOp makeAppend(onnx::NodeOp like, TypeRange results, ValueRange operands,
                               ArrayRef<NamedAttribute> attrs = {}) {
  OpBuilder b(like);
  return onnx::NodeOp::create(b, like->getLoc(), results, b.getStringAttr("Append"), b.getStringAttr("qcc"),
                              b.getI64IntegerAttr(1), b.getDictionaryAttr(attrs),
                              like.getResolved().value_or(DictionaryAttr()), DenseI64ArrayAttr(), operands, 0);
}

/// Whether the node concatenates something and new positions that may be appended to a state, along `axis`.
static bool concatenatesPositions(onnx::NodeOp concat, const Dimensions &dims, unsigned axis = positionAxis) {
  if (concat->getNumOperands() != 2 || Node(concat).rank(0) != 4)
    return false;
  int64_t along = Node(concat).intAttr("axis", 0);
  return (along == axis || along == int64_t(axis) - 4) && isa<AffineSymbolExpr>(Node(concat).dims(0)[axis]) &&
         !dims.isRuntime(Node(concat).dims(1)[axis]);
}

/// The same of a cache (batch, positions, heads, size), which attention reads with positions and heads swapped: it can
/// read it as it is stored, (batch, positions, heads * size).
static onnx::NodeOp appendPositionsFirst(BlockArgument argument, onnx::NodeOp concat, Operation *terminator,
                                         const Dimensions &dims) {
  if (!concatenatesPositions(concat, dims, 1) || concat->getOperand(0) != argument)
    return {};
  auto type = cast<RankedTensorType>(concat->getResult(0).getType());
  SmallVector<Dim> all = dimsOf(type);
  auto heads = constantOf(all[2]);
  SmallVector<OpOperand *> reads;
  for (Operation *user : concat->getResult(0).getUsers()) {
    if (user == terminator)
      continue;
    auto swapped = madeBy(user->getNumResults() ? user->getResult(0) : Value(), "Transpose");
    if (permutationOf(swapped) != ArrayRef<int64_t>{0, 2, 1, 3})
      return {};
    for (OpOperand &use : swapped->getResult(0).getUses()) {
      if (!isReadByAttention(use))
        return {};
      reads.push_back(&use);
    }
  }
  if (!heads)
    return {};
  OpBuilder b(concat);
  onnx::NodeOp append =
      makeAppend(concat, {type}, {argument, concat->getOperand(1)}, b.getNamedAttr("axis", b.getI64IntegerAttr(1)));
  Value flat = makeNode(b, concat->getLoc(), "Reshape", 14, {append->getResult(0), Value()}, {},
                        dims.tensor({all[0], all[1], dims.mul(all[2], all[3])}, type.getElementType()));
  for (OpOperand *read : reads) {
    Operation *swapped = read->get().getDefiningOp();
    auto attention = cast<onnx::NodeOp>(read->getOwner());
    NamedAttrList attrs(attention.getAttrs());
    attrs.set("kv_num_heads", b.getI64IntegerAttr(*heads));
    attention.setAttrsAttr(attrs.getDictionary(b.getContext()));
    read->set(flat);
    if (swapped->use_empty())
      swapped->erase();
  }
  return append;
}

/// A concatenation of the past and new positions, which attention alone reads, as the operator that keeps the past.
static onnx::NodeOp appendFor(BlockArgument argument, onnx::NodeOp concat, Operation *terminator,
                              const Dimensions &dims) {
  if (!concatenatesPositions(concat, dims) || concat->getOperand(0) != argument)
    return {};
  for (OpOperand &use : concat->getResult(0).getUses())
    if (use.getOwner() != terminator && !isReadByAttention(use))
      return {};
  return makeAppend(concat, {concat->getResult(0).getType()}, {argument, concat->getOperand(1)});
}

/// Which half of a pair (2, batch, heads, positions, size) the value is, as a tensor without the pair's axis.
static std::optional<unsigned> halfOf(BlockArgument pair, Value value) {
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (!node || dimsOf(value.getType()) != ArrayRef<Dim>(dimsOf(pair.getType())).drop_front())
    return std::nullopt;
  if (!madeBy(value, "Reshape") && !madeBy(value, "Squeeze"))
    return std::nullopt;
  auto view = node->getOperand(0).getDefiningOp<onnx::NodeOp>();
  if (!view || view.getDomain() != "qcc" || view.getOpType() != "View" || view->getOperand(0) != pair)
    return std::nullopt;
  SmallVector<Dim> from = *Node(view).resolved("from"), offset = *Node(view).resolved("offset"),
                   step = *Node(view).resolved("step");
  for (auto [i, axis] : llvm::enumerate(from))
    if (constantOf(axis) != int64_t(i) || (i > 0 && (constantOf(offset[i]) != 0 || constantOf(step[i]) != 1)))
      return std::nullopt;
  auto half = constantOf(offset[0]);
  return half && (*half == 0 || *half == 1) ? std::optional(unsigned(*half)) : std::nullopt;
}

/// Keys and values that are kept as one tensor (2, batch, heads, positions, size): taken apart, each concatenated with
/// new positions and read by attention alone, and stacked again into what is returned.
static onnx::NodeOp appendPair(BlockArgument pair, Operation *terminator, const Dimensions &dims) {
  auto type = dyn_cast<RankedTensorType>(pair.getType());
  if (!type || type.getRank() != 5 || constantOf(dimsOf(type)[0]) != 2)
    return {};
  onnx::NodeOp concats[2], stack;
  for (Operation *reader : pair.getUsers()) {
    auto only = [](Operation *op) {
      return op && op->getNumResults() == 1 && op->getResult(0).hasOneUse() ? *op->getResult(0).getUsers().begin()
                                                                            : nullptr;
    };
    Operation *part = only(reader);
    auto concat = dyn_cast_if_present<onnx::NodeOp>(only(part));
    auto half = concat ? halfOf(pair, part->getResult(0)) : std::nullopt;
    if (!half || !madeBy(concat->getResult(0), "Concat") || !concatenatesPositions(concat, dims) ||
        concat->getOperand(0) != part->getResult(0) || concats[*half] || concat->getBlock() != pair.getOwner())
      return {};
    concats[*half] = concat;
  }
  if (!concats[0] || !concats[1])
    return {};
  onnx::NodeOp last = concats[concats[0]->isBeforeInBlock(concats[1])];
  SmallVector<Operation *> stacked;
  for (unsigned half : {0u, 1u})
    for (OpOperand &use : concats[half]->getResult(0).getUses()) {
      Operation *user = use.getOwner();
      if (isReadByAttention(use) && user->getBlock() == last->getBlock() && last->isBeforeInBlock(user))
        continue;
      Value grown = user->getNumResults() == 1 ? user->getResult(0) : Value();
      if (!(madeBy(grown, "Unsqueeze") || madeBy(grown, "Reshape")) || !grown.hasOneUse())
        return {};
      auto joint = dyn_cast<onnx::NodeOp>(*grown.getUsers().begin());
      if (!joint || !madeBy(joint->getResult(0), "Concat") || joint->getNumOperands() != 2 ||
          joint->getOperand(half) != grown || Node(joint).intAttr("axis", 0) != 0 || (stack && joint != stack) ||
          Node(joint).dims(half) != dimsOf(makeHalf(dims, concats[half]->getResult(0).getType())))
        return {};
      stack = joint;
      stacked.push_back(user);
    }
  if (stacked.size() != 2 || !stack->getResult(0).hasOneUse() || !resultOf(stack->getResult(0), terminator))
    return {};
  Value keys = concats[0]->getResult(0), values = concats[1]->getResult(0);
  onnx::NodeOp append = makeAppend(last, {stack->getResult(0).getType(), keys.getType(), values.getType()},
                                   {pair, concats[0]->getOperand(1), concats[1]->getOperand(1)});
  stack->getResult(0).replaceAllUsesWith(append->getResult(0));
  stack.erase();
  for (Operation *user : stacked)
    user->erase();
  keys.replaceAllUsesWith(append->getResult(1));
  values.replaceAllUsesWith(append->getResult(2));
  for (onnx::NodeOp concat : concats) {
    Operation *part = concat->getOperand(0).getDefiningOp(), *view = part->getOperand(0).getDefiningOp();
    for (Operation *unused : {concat.getOperation(), part, view})
      unused->erase();
  }
  return append;
}

/// The state that an argument is: extended by one node, which is all that reads it, and the whole returned once. What
/// an operator other than a concatenation extends is read by that operator alone.
static std::optional<State> match(BlockArgument argument, Operation *terminator, const Dimensions &dims) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (onnx::NodeOp append = appendPair(argument, terminator, dims))
    return State{argument, append, extendedBy(append).front(), *resultOf(append->getResult(0), terminator)};
  if (!type || !argument.hasOneUse())
    return std::nullopt;
  OpOperand &use = *argument.use_begin();
  auto node = dyn_cast<onnx::NodeOp>(use.getOwner());
  if (!node)
    return std::nullopt;
  if (node.getDomain().empty() && node.getOpType() == "Concat") {
    auto result = resultOf(node->getResult(0), terminator);
    onnx::NodeOp append = result ? appendFor(argument, node, terminator, dims) : onnx::NodeOp();
    if (result && !append)
      append = appendPositionsFirst(argument, node, terminator, dims);
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
static LogicalResult bindLengths(ModuleOp module, Dimensions &dims, ArrayRef<State> states) {
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
  for (const State &state : states) {
    llvm::DenseSet<Dim> symbols;
    for (Dim dim : dimsOf(state.past.getType()))
      collectSymbols(dim, symbols);
    if (!llvm::all_of(symbols, [&](Dim symbol) { return told.contains(symbol); }))
      return emitError(state.node->getLoc())
             << "extends a cache with a dimension that follows from none of the other inputs; give it the name of one "
                "of theirs, or compile with --keep-signature";
  }
  return success();
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
  if (failed(bindLengths(module, *dims, states)))
    return failure();
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
