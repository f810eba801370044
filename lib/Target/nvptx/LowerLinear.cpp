#include "Linear.h"
#include "LinearKernel.h"
#include "blackwell/ScaledProduct.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace qcc;

bool qcc::hasMatrixUnit(const DeviceFacts &facts, llvm::StringRef act, const PackedLayout &layout) {
  return scaledKind(facts, act, layout) || hasManyTokens(facts, layout, computeTypeOf(act));
}

llvm::StringRef qcc::deviceInstruction(const DeviceFacts &facts, llvm::StringRef act, const PackedLayout *layout) {
  if (!layout)
    return "fma.rn.f32"; // of convolutions, of codes in int32
  if (auto kind = scaledKind(facts, act, *layout))
    return scaledInstruction(facts, *kind);
  if (!hasMatrixUnit(facts, act, *layout))
    return computeTypeOf(act) == ComputeType::Int8 ? "dp4a" : "fma.rn.f32";
  ComputeType type = computeTypeOf(act);
  if (usesTensorMemory(facts, *layout, type))
    return tensorMemoryInstruction(type);
  return usesWarpgroups(facts, *layout, type) ? WarpgroupUnit::instruction(type) : MatrixUnit::instruction(facts, type);
}

Value qcc::isAtMost(Lowering &lowering, Dim dim, int64_t count) {
  Value bound = arith::ConstantOp::create(lowering.host, lowering.loc, lowering.host.getI64IntegerAttr(count));
  return arith::CmpIOp::create(lowering.host, lowering.loc, arith::CmpIPredicate::sle, lowering.size(dim), bound);
}

/// With the tile that costs least; where the count of tokens is not known, that of some counts, each for those up to
/// it.
static void emitForWarpgroups(Lowering &lowering, const DeviceLinear &linear, const DeviceActivations &activations) {
  struct Choice {
    int64_t most;
    WarpgroupTile tile;
    std::string note;
  };
  auto choose = [&](int64_t tokens) -> Choice {
    TileProblem problem{linear.layout, linear.type, tokens};
    auto costs = tileCosts(*lowering.facts.device, problem);
    return {tokens, costs.front().tile, explainTiles(*lowering.facts.device, problem, costs)};
  };
  SmallVector<Choice> choices;
  if (auto known = constantOf(linear.tokens)) {
    choices.push_back(choose(*known));
  } else {
    for (int64_t tokens : {16, 128, 2048}) {
      Choice choice = choose(tokens);
      if (choices.empty() || choices.back().tile != choice.tile)
        choices.push_back(choice);
      else
        choices.back().most = tokens;
    }
  }
  std::function<void(size_t)> emit = [&](size_t i) {
    auto here = [&] { emitWarpgroupTokens(lowering, linear, activations, choices[i].tile, choices[i].note); };
    if (i + 1 == choices.size())
      return here();
    lowering.branch(isAtMost(lowering, linear.tokens, choices[i].most), here, [&] { emit(i + 1); });
  };
  emit(0);
}

LogicalResult qcc::lowerDeviceLinear(qnt::LinearOp op, Lowering &lowering) {
  auto weight = op.getWeight().getDefiningOp<qnt::WeightOp>();
  auto format = findFormat(weight.getFormat());
  if (!format)
    return op.emitError(llvm::toString(format.takeError()));
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  DeviceLinear linear;
  linear.op = op, linear.format = *format;
  linear.layout = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1));
  linear.type = computeTypeOf(op.getAct());
  SmallVector<Dim> shape = dimsOf(op.getX().getType());
  linear.tokens = lowering.dims.product(ArrayRef<Dim>(shape).drop_back());
  linear.weights = lowering.storage(weight.getResult());
  // What all ways share has its place before they part.
  Value own = lowering.rowsLeft(op.getX()) ? Value() : lowering.storage(op.getX());
  lowering.storage(lowering.stored(op.getY()));
  DeviceActivations activations;
  std::optional<float> scale;
  if (auto given = op.getScale())
    scale = given->convertToFloat();
  auto rounding = BlockRounding::of(op.getAct());
  std::optional<ScaledKind> kind;
  BlockActivations blocks;
  llvm::scope_exit restore([&] {
    if (own)
      lowering.bind(op.getX(), own);
  });
  if (rounding) {
    kind = scaledKind(*lowering.facts.device, op.getAct(), linear.layout);
    blocks = roundToBlocks(lowering, op.getX(), *rounding, linear.layout, linear.tokens, fewTokens, kind.has_value());
    if (blocks.floats)
      lowering.bind(op.getX(), blocks.floats); // until the end of this function
    if (kind || !hasManyTokens(*lowering.facts.device, linear.layout, linear.type))
      linear.type = ComputeType::F32;
  }
  if (linear.type != ComputeType::F32)
    activations = roundOnDevice(lowering, op.getX(), linear.layout, linear.type, scale, linear.tokens,
                                rounding ? op.getAct() : "");
  auto emitMany = [&] {
    if (kind && hasTensorMemory(*lowering.facts.device))
      emitTensorMemoryProduct(lowering, linear, *kind, *rounding, blocks);
    else if (kind)
      emitScaledProduct(lowering, linear, *kind, *rounding, blocks);
    else if (usesWarpgroups(*lowering.facts.device, linear.layout, linear.type))
      emitForWarpgroups(lowering, linear, activations);
    else if (usesTensorMemory(*lowering.facts.device, linear.layout, linear.type))
      emitTensorMemorySums(lowering, linear, activations);
    else if (hasManyTokens(*lowering.facts.device, linear.layout, linear.type))
      emitManyTokens(lowering, linear, activations);
    else if (hasFloatTokens(linear))
      emitFloatTokens(lowering, linear);
    else
      emitFewTokens(lowering, linear, fewTokens, activations);
  };
  if (auto known = constantOf(linear.tokens)) {
    if (*known > fewTokens)
      emitMany();
    else
      emitFewTokens(lowering, linear, *known <= 1 ? 1 : fewTokens, activations);
    return success();
  }
  auto atMost = [&](int64_t count) { return isAtMost(lowering, linear.tokens, count); };
  lowering.branch(
      atMost(1), [&] { emitFewTokens(lowering, linear, 1, activations); },
      [&] {
        lowering.branch(atMost(fewTokens), [&] { emitFewTokens(lowering, linear, fewTokens, activations); }, emitMany);
      });
  return success();
}
