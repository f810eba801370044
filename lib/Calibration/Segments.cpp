#include "Segments.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"
#include "qcc/Operator/Node.h"

using namespace mlir;
using namespace qcc;

static func::FuncOp mainOf(ModuleOp module) { return module.lookupSymbol<func::FuncOp>("main"); }

/// Whether the operation stands for a constant, which every piece that reads it has a copy of.
static bool isConstant(Operation *op) { return op && isa<onnx::WeightOp, qnt::WeightOp, onnx::AbsentOp>(op); }

/// The values that an operation reads, its regions included.
static llvm::SetVector<Value> readsOf(Operation *op) {
  llvm::SetVector<Value> values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values;
}

int64_t LinearGroup::columns() const { return cast<RankedTensorType>(x.getType()).getShape().back(); }

SmallVector<LinearGroup> qcc::linearGroups(ModuleOp module) {
  SmallVector<LinearGroup> groups;
  llvm::DenseMap<Value, size_t> known;
  for (auto linear : mainOf(module).getBody().front().getOps<qnt::LinearOp>()) {
    auto [it, isNew] = known.try_emplace(linear.getX(), groups.size());
    if (isNew)
      groups.push_back({linear.getX(), {}});
    groups[it->second].linears.push_back(linear);
  }
  return groups;
}

OwningOpRef<ModuleOp> qcc::floatCopy(ModuleOp module) {
  OwningOpRef<ModuleOp> plain = module.clone();
  plain->walk([&](qnt::LinearOp linear) {
    linear.setAct("f32");
    linear->setDiscardableAttrs(ArrayRef<NamedAttribute>());
    if (auto weight = linear.getWeight().getDefiningOp<qnt::WeightOp>(); weight && weight.getOrder() != "encoded")
      weight.setFormat("float32");
  });
  return plain;
}

Segments::Segments(ModuleOp module, ArrayRef<LinearGroup> groups)
    : module(module), block(&mainOf(module).getBody().front()), before{nullptr} {
  for (const LinearGroup &group : groups)
    before.push_back(group.linears.front()->getPrevNode());
}

Operation *Segments::start(size_t index) const {
  return before[index] ? before[index]->getNextNode() : &block->front();
}

std::string Segments::valueName(Value value) {
  return "value" + std::to_string(names.try_emplace(value, names.size()).first->second);
}

SmallVector<Operation *> Segments::operationsOf(size_t index) const {
  SmallVector<Operation *> operations;
  Operation *end = index + 1 < size() ? start(index + 1) : block->getTerminator();
  for (Operation *op = start(index); op != end; op = op->getNextNode())
    if (!isConstant(op))
      operations.push_back(op);
  return operations;
}

size_t Segments::pieceOf(Operation *op) const {
  op = block->findAncestorOpInBlock(*op);
  size_t piece = 0;
  while (piece + 1 < size() && !op->isBeforeInBlock(start(piece + 1)))
    ++piece;
  return piece;
}

bool Segments::isNeeded(Value value, size_t index) const {
  return llvm::any_of(value.getUsers(),
                      [&](Operation *user) { return !isa<func::ReturnOp>(user) && pieceOf(user) >= index; });
}

FailureOr<Segments::Piece> Segments::take(size_t index) {
  func::FuncOp main = mainOf(module);
  SmallVector<Operation *> operations = operationsOf(index);
  Piece piece;
  llvm::SetVector<Value> constants, read, states;
  for (Operation *op : operations)
    for (Value value : readsOf(op)) {
      auto argument = dyn_cast<BlockArgument>(value);
      if (isConstant(value.getDefiningOp()))
        constants.insert(value);
      else if (argument && argument.getOwner() == &main.getBody().front()) {
        if (main.getArgAttr(argument.getArgNumber(), stateAttr))
          states.insert(value);
      } else if (!llvm::is_contained(operations, value.getDefiningOp())) {
        read.insert(value);
      }
    }
  piece.inputs = llvm::to_vector(read);
  for (Operation *op : operations)
    for (Value result : op->getResults())
      if (isNeeded(result, index + 1))
        piece.outputs.push_back(result);

  MLIRContext *context = module.getContext();
  OpBuilder b(context);
  piece.module = ModuleOp::create(module.getLoc());
  piece.module.get()->setAttrs(module->getAttrDictionary());
  b.setInsertionPointToEnd(piece.module->getBody());
  auto function = func::FuncOp::create(b, main.getLoc(), "main", b.getFunctionType({}, {}));
  Block *body = function.addEntryBlock();
  IRMapping mapping;
  SmallVector<DictionaryAttr> argumentAttrs, resultAttrs;
  auto named = [&](StringRef name) { return b.getDictionaryAttr(b.getNamedAttr("onnx.name", b.getStringAttr(name))); };
  auto addArgument = [&](Value value, DictionaryAttr attrs) {
    mapping.map(value, body->addArgument(value.getType(), value.getLoc()));
    argumentAttrs.push_back(attrs);
  };
  for (BlockArgument argument : main.getArguments())
    if (!main.getArgAttr(argument.getArgNumber(), stateAttr))
      addArgument(argument, main.getArgAttrDict(argument.getArgNumber()));
  for (Value value : piece.inputs)
    addArgument(value, named(valueName(value)));
  b.setInsertionPointToStart(body);
  for (Value value : constants)
    b.clone(*value.getDefiningOp(), mapping);
  SmallVector<Value> results;
  // A state is the piece's own, with what extends it as its result. Its number counts the piece's states.
  for (auto [number, value] : llvm::enumerate(states)) {
    unsigned argument = cast<BlockArgument>(value).getArgNumber();
    NamedAttrList attrs(main.getArgAttrDict(argument));
    attrs.set(stateAttr, b.getI64IntegerAttr(int64_t(number)));
    addArgument(value, attrs.getDictionary(context));
  }
  for (Operation *op : operations)
    b.clone(*op, mapping);
  for (Value value : piece.outputs) {
    results.push_back(mapping.lookup(value));
    resultAttrs.push_back(named(valueName(value)));
  }
  for (auto [number, value] : llvm::enumerate(states)) {
    unsigned argument = cast<BlockArgument>(value).getArgNumber(), result = 0;
    while (main.getResultAttr(result, stateAttr) != main.getArgAttr(argument, stateAttr))
      ++result;
    Value extended = main.getBody().front().getTerminator()->getOperand(result);
    if (!llvm::is_contained(operations, extended.getDefiningOp()) || isNeeded(extended, index + 1))
      return emitError(value.getLoc())
             << "a cache that is read by linear operations between the parts of one attention "
                "cannot be observed on data; use --keep-signature";
    NamedAttrList attrs(main.getResultAttrDict(result));
    attrs.set(stateAttr, b.getI64IntegerAttr(int64_t(number)));
    results.push_back(mapping.lookup(extended));
    resultAttrs.push_back(attrs.getDictionary(context));
  }
  func::ReturnOp::create(b, main.getLoc(), results);
  function.setType(b.getFunctionType(body->getArgumentTypes(), ValueRange(results).getTypes()));
  function.setAllArgAttrs(argumentAttrs);
  function.setAllResultAttrs(resultAttrs);
  return piece;
}
