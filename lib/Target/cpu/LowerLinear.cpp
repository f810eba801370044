#include "LinearKernel.h"
#include "qcc/Target/Linear.h"

using namespace mlir;
using namespace qcc;

llvm::Expected<bool> qcc::usesIntegers(const Format &format, llvm::StringRef act) {
  bool hasView = format.element->integerView().has_value();
  if (act == "auto")
    return defaultComputeType(format) == "int8";
  if (act == "f32")
    return false;
  if (act != "int8")
    return llvm::createStringError("unknown --act=" + act + "; there are auto, f32 and int8");
  if (!hasView)
    return llvm::createStringError("--act=int8: the codes of '" + format.name +
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

LogicalResult qcc::lowerLinear(qnt::LinearOp op, Lowering &lowering) {
  auto weight = op.getWeight().getDefiningOp<qnt::WeightOp>();
  auto format = findFormat(weight.getFormat());
  if (!format)
    return op.emitError(llvm::toString(format.takeError()));
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  Dimensions &dims = lowering.dims;
  LinearPlan plan;
  plan.op = op, plan.format = *format;
  plan.layout = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1));
  plan.integer = op.getAct() == "int8";
  SmallVector<Dim> shape = dimsOf(op.getX().getType());
  plan.tokens = dims.product(ArrayRef<Dim>(shape).drop_back());
  plan.weights = lowering.storage(weight.getResult());
  // What all ways share has its place before they part.
  lowering.storage(op.getX());
  lowering.storage(lowering.stored(op.getY()));
  auto [few, many] = LinearPlan::columnsFor(lowering.facts, plan.integer);
  auto width = [few = few, many = many](Way way) { return way == Way::One ? 1 : way == Way::Few ? few : many; };

  auto known = constantOf(plan.tokens);
  bool usesInput = !plan.integer && known && *known <= 1;
  Activations activations;
  activations.values = lowering.storage(op.getX());
  if (!usesInput) {
    int bias = 0;
    if (plan.integer) {
      Kernel probe(lowering, "probe", lowering.loc);
      Simd simd(probe, true);
      bias = Decoder(simd, plan.format, plan.layout).bias();
    }
    std::string key = (llvm::Twine(plan.integer ? "int8" : "f32") + "/" + llvm::Twine(plan.layout.block) + "/" +
                       llvm::Twine(plan.layout.chunkColumns()) + "/" + llvm::Twine(bias) + "/" +
                       llvm::Twine(int(plan.layout.hasZero)))
                          .str();
    Activations prepared;
    if (auto *found = lowering.shared(op.getX(), key)) {
      prepared = {(*found)[0], (*found)[1], (*found)[2], (*found)[3]};
    } else {
      prepared = allocateActivations(lowering, plan.layout, plan.integer, plan.tokens, std::max(few, many));
      forEachWay(lowering, plan.tokens, few, [&](Way way) {
        if (plan.integer)
          emitQuantizeActivations(lowering, op.getX(), plan.layout, bias, plan.tokens, width(way), prepared);
        else if (way != Way::One)
          emitInterleaveActivations(lowering, op.getX(), plan.layout.columns, plan.tokens, width(way), prepared);
      });
      lowering.share(op.getX(), key, {prepared.values, prepared.scales, prepared.biases, prepared.sums});
    }
    if (plan.integer)
      activations = prepared;
    forEachWay(lowering, plan.tokens, few, [&](Way way) {
      Activations used = plan.integer || way == Way::One ? activations : prepared;
      if (way == Way::Many)
        emitPanelLinear(lowering, plan, many, used);
      else
        emitPackedLinear(lowering, plan, width(way), used);
    });
    return success();
  }
  emitPackedLinear(lowering, plan, 1, activations);
  return success();
}
