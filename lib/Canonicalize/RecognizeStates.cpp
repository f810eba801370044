#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

namespace {
struct State {
  BlockArgument past;
  onnx::NodeOp concat;
  unsigned result; // of main
};
} // namespace

/// The state that an argument is: concatenated with new positions once, the whole returned once and read by attention
/// alone.
static std::optional<State> match(BlockArgument argument, Operation *terminator) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type || type.getRank() != 4 || !argument.hasOneUse() || !isa<AffineSymbolExpr>(dimsOf(type)[positionAxis]))
    return std::nullopt;
  auto concat = dyn_cast<onnx::NodeOp>(*argument.getUsers().begin());
  if (!concat || !concat.getDomain().empty() || concat.getOpType() != "Concat" || concat->getNumOperands() != 2 ||
      concat->getOperand(0) != argument)
    return std::nullopt;
  int64_t axis = Node(concat).intAttr("axis", 0);
  if (axis != positionAxis && axis != int64_t(positionAxis) - 4)
    return std::nullopt;
  std::optional<unsigned> result;
  for (OpOperand &use : concat->getResult(0).getUses()) {
    if (use.getOwner() == terminator) {
      if (result)
        return std::nullopt;
      result = use.getOperandNumber();
      continue;
    }
    auto attention = dyn_cast<onnx::NodeOp>(use.getOwner());
    bool reads = attention && attention.getDomain().empty() && attention.getOpType() == "Attention" &&
                 (use.getOperandNumber() == 1 || use.getOperandNumber() == 2);
    if (!reads)
      return std::nullopt;
  }
  return result ? std::optional(State{argument, concat, *result}) : std::nullopt;
}

LogicalResult qcc::recognizeStates(ModuleOp module) {
  auto dims = Dimensions::load(module);
  if (failed(dims))
    return failure();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  Block &block = main.getBody().front();
  int64_t count = 0;
  for (BlockArgument argument : block.getArguments()) {
    auto state = match(argument, block.getTerminator());
    if (!state)
      continue;
    OpBuilder b(state->concat);
    auto append = onnx::NodeOp::create(b, state->concat->getLoc(), TypeRange{state->concat->getResult(0).getType()},
                                       b.getStringAttr("Append"), b.getStringAttr("qcc"), b.getI64IntegerAttr(1),
                                       b.getDictionaryAttr({}), state->concat.getResolved().value_or(DictionaryAttr()),
                                       DenseI64ArrayAttr(), ValueRange{argument, state->concat->getOperand(1)}, 0);
    state->concat->getResult(0).replaceAllUsesWith(append->getResult(0));
    state->concat.erase();
    unsigned index = argument.getArgNumber();
    auto name = main.getArgAttrOfType<StringAttr>(index, "onnx.name");
    main.setArgAttr(index, stateAttr, b.getI64IntegerAttr(count));
    main.setArgAttr(index, stateAxisAttr, b.getI64IntegerAttr(positionAxis));
    main.setArgAttr(index, capacityAttr,
                    AffineMapAttr::get(dims->map({dims->input((name.getValue() + ".capacity").str())})));
    main.setResultAttr(state->result, stateAttr, b.getI64IntegerAttr(count));
    ++count;
  }
  dims->store(module);
  return success();
}
