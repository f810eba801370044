#include "../nvptx/Linear.h"
#include "LinearKernel.h"
#include "RoundActivations.h"
#include "qcc/Target/Linear.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

llvm::StringRef qcc::multiplyInstruction(const TargetFacts &facts, llvm::StringRef act, const PackedLayout *layout) {
  return facts.device ? deviceInstruction(*facts.device, act, layout)
                      : Simd::instruction(facts, act.starts_with("int8"));
}

bool qcc::isNative(const TargetFacts &facts, llvm::StringRef act, const PackedLayout &layout) {
  if (act == "f32")
    return true;
  return facts.device ? hasMatrixUnit(*facts.device, act, layout) : act.starts_with("int8");
}

namespace {
/// The three ways of a linear operation, by the number of tokens.
enum class Way { One, Few, Many };
} // namespace

/// Calls `emit` for every way that the number of tokens allows, where the program decides among them.
static void forEachWay(Lowering &lowering, Dim tokens, int few, llvm::function_ref<void(Way)> emit) {
  if (auto known = constantOf(tokens))
    return emit(*known <= 1 ? Way::One : *known <= few ? Way::Few : Way::Many);
  auto atMost = [&](int64_t limit) -> Value {
    Value bound = arith::ConstantOp::create(lowering.host, lowering.loc, lowering.host.getI64IntegerAttr(limit));
    return arith::CmpIOp::create(lowering.host, lowering.loc, arith::CmpIPredicate::sle, lowering.size(tokens), bound);
  };
  lowering.branch(
      atMost(1), [&] { emit(Way::One); },
      [&] { lowering.branch(atMost(few), [&] { emit(Way::Few); }, [&] { emit(Way::Many); }); });
}

static constexpr int64_t mostScratch = 2 << 20; // bytes of a thread's stack for a panel of decoded rows

namespace {
/// How many tokens each way takes at once.
struct Widths {
  int few, many;
  int of(Way way) const { return way == Way::One ? 1 : way == Way::Few ? few : many; }
};
} // namespace

/// The activations in the order of the kernels, made once for all operations that multiply `x` alike.
static Activations prepareActivations(Lowering &lowering, Value x, LinearPlan plan, Widths widths) {
  int bias = 0;
  if (plan.integer) { // a question that only an emitter can answer
    Kernel probe(lowering, "probe", lowering.loc);
    Simd simd(probe, true);
    bias = Decoder(simd, plan.format, plan.layout).bias();
  }
  std::optional<float> scale;
  if (auto given = plan.op.getScale())
    scale = given->convertToFloat();
  std::string key =
      llvm::formatv("{0}/{1}/{2}/{3}/{4}/{5}/{6}/{7}", plan.op.getAct(), widths.many, plan.integer, plan.layout.block,
                    plan.layout.chunkColumns(), bias, plan.layout.hasZero, llvm::bit_cast<uint32_t>(scale.value_or(0)));
  if (const auto *found = lowering.shared(x, key))
    return {(*found)[0], (*found)[1], (*found)[2], (*found)[3]};
  Activations made =
      allocateActivations(lowering, plan.layout, plan.integer, plan.tokens, std::max(widths.few, widths.many));
  forEachWay(lowering, plan.tokens, widths.few, [&](Way way) {
    if (plan.integer)
      emitQuantizeActivations(lowering, x, plan.layout, bias, scale, plan.tokens, widths.of(way), made);
    else if (way != Way::One)
      emitInterleaveActivations(lowering, x, plan.layout.columns, plan.tokens, widths.of(way), made);
  });
  lowering.share(x, key, {made.values, made.scales, made.biases, made.sums});
  return made;
}

LogicalResult qcc::lowerLinear(qnt::LinearOp op, Lowering &lowering) {
  if (lowering.facts.device)
    return lowerDeviceLinear(op, lowering);
  auto weight = op.getWeight().getDefiningOp<qnt::WeightOp>();
  auto format = findFormat(weight.getFormat());
  if (!format)
    return op.emitError(llvm::toString(format.takeError()));
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  LinearPlan plan;
  plan.op = op, plan.format = *format;
  plan.layout = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1));
  plan.integer = op.getAct().starts_with("int8");
  SmallVector<Dim> shape = dimsOf(op.getX().getType());
  plan.tokens = lowering.dims.product(ArrayRef<Dim>(shape).drop_back());
  plan.weights = lowering.storage(weight.getResult());
  // What all ways share has its place before they part.
  Activations input;
  Value own = lowering.storage(op.getX());
  if (Value rounded = roundActivations(lowering, op, plan.layout, plan.tokens))
    lowering.bind(op.getX(), rounded); // until the end of this function
  llvm::scope_exit restore([&] { lowering.bind(op.getX(), own); });
  input.values = lowering.storage(op.getX());
  lowering.storage(lowering.stored(op.getY()));
  auto [few, many] = LinearPlan::columnsFor(lowering.facts, plan.integer);
  // Where a panel is too large for that, many tokens are taken a few at a time.
  bool hasPanels = panelLinearScratch(lowering.facts, plan) <= mostScratch;
  Widths widths{few, hasPanels ? many : few};
  auto known = constantOf(plan.tokens);
  bool readsInputAlone = !plan.integer && known && *known <= 1;
  Activations prepared = readsInputAlone ? input : prepareActivations(lowering, op.getX(), plan, widths);
  forEachWay(lowering, plan.tokens, few, [&](Way way) {
    // One row of float32 is in order as it is.
    const Activations &used = !plan.integer && way == Way::One ? input : prepared;
    if (way == Way::Many && hasPanels)
      emitPanelLinear(lowering, plan, widths.many, used);
    else
      emitPackedLinear(lowering, plan, widths.of(way), used);
  });
  return success();
}
