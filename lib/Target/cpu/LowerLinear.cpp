#include "LinearKernel.h"
#include "qcc/Target/Linear.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

llvm::Expected<bool> qcc::usesIntegers(const Format &format, llvm::StringRef act) {
  bool hasView = format.element->integerView().has_value();
  if (act == "auto")
    return defaultComputeType(format) == "int8";
  if (act == "f32")
    return false;
  if (act == "fp8-static") {
    if (StringRef(format.name).starts_with("fp8"))
      return false;
    return llvm::createStringError("--act=fp8-static multiplies weights of 8-bit floats, and '" + format.name +
                                   "' has others; use --fmt=fp8");
  }
  if (act != "int8" && act != "int8-static")
    return llvm::createStringError("unknown --act=" + act + "; there are auto, f32, int8, int8-static and fp8-static");
  if (!hasView)
    return llvm::createStringError("--act=" + act + ": the codes of '" + format.name +
                                   "' are no small integers; use --act=auto or --act=f32");
  return true;
}

llvm::StringRef qcc::multiplyInstruction(const TargetFacts &facts, bool integer) {
  return Simd::instruction(facts, integer);
}

/// body() on the host where `condition` holds, else otherwise().
static void hostBranch(Lowering &lowering, Value condition, llvm::function_ref<void()> body,
                       llvm::function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(lowering.host, lowering.loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(lowering.host);
  lowering.host.setInsertionPointToStart(op.thenBlock());
  body();
  lowering.host.setInsertionPointToStart(op.elseBlock());
  otherwise();
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
  hostBranch(
      lowering, atMost(1), [&] { emit(Way::One); },
      [&] { hostBranch(lowering, atMost(few), [&] { emit(Way::Few); }, [&] { emit(Way::Many); }); });
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
static Activations prepareActivations(Lowering &lowering, Value x, const LinearPlan &plan, Widths widths) {
  int bias = 0;
  if (plan.integer) { // a question that only an emitter can answer
    Kernel probe(lowering, "probe", lowering.loc);
    Simd simd(probe, true);
    bias = Decoder(simd, plan.format, plan.layout).bias();
  }
  std::optional<float> scale;
  if (auto given = qnt::LinearOp(plan.op).getScale())
    scale = given->convertToFloat();
  std::string key =
      llvm::formatv("{0}/{1}/{2}/{3}/{4}/{5}/{6}", widths.many, plan.integer, plan.layout.block,
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
