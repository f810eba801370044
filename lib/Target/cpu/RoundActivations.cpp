#include "RoundActivations.h"
#include "../BlockRounding.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

static constexpr float largestFp8 = 448; // of e4m3

/// Rounds the `columns` elements from number `first` on: those of fp8 with a scale of their own.
static void roundBlock(Kernel &k, Value from, Value to, Value first, int64_t columns, bool isFp8) {
  ImplicitLocOpBuilder &b = k.b;
  Type f32 = b.getF32Type(), narrow = isFp8 ? Type(Float8E4M3FNType::get(b.getContext())) : Type(b.getBF16Type());
  Value zero = k.constantF32(0), end = k.add(first, k.constant(columns)), scale, factor;
  if (isFp8) {
    Value largest = k.loop(first, end, zero, [&](Value i, ValueRange most) {
      auto flags = arith::FastMathFlags::nnan | arith::FastMathFlags::nsz;
      Value size = math::AbsFOp::create(b, k.loadAt(from, i, f32));
      return SmallVector<Value>{arith::MaxNumFOp::create(b, most[0], size, flags)};
    })[0];
    Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, largest, zero);
    scale = arith::MulFOp::create(b, largest, k.constantF32(1 / largestFp8));
    factor = k.select(isZero, zero, arith::DivFOp::create(b, k.constantF32(largestFp8), largest));
  }
  k.loop(first, end, [&](Value i) {
    Value value = k.loadAt(from, i, f32);
    if (factor)
      value = arith::MulFOp::create(b, value, factor);
    value = fromStorage(b, toStorage(b, value, narrow), narrow);
    k.storeAt(to, i, f32, scale ? Value(arith::MulFOp::create(b, value, scale)) : value);
  });
}

/// body(first, columns) for the blocks of a row of `columns` elements that begins at `row`.
static void forEachBlock(Kernel &k, Value row, int64_t columns, int64_t block,
                         llvm::function_ref<void(Value, int64_t)> body) {
  int64_t whole = columns / block;
  k.loop(k.constant(0), k.constant(whole),
         [&](Value index) { body(k.add(row, k.mul(index, k.constant(block))), block); });
  if (columns % block)
    body(k.add(row, k.constant(whole * block)), columns % block);
}

/// The same for a row in the blocks of a format.
static void roundRow(Kernel &k, const BlockRounding &rounding, Value from, Value to, Value row, int64_t columns) {
  ImplicitLocOpBuilder &b = k.b;
  Type f32 = b.getF32Type();
  auto largest = [&](Value first, Value end) {
    Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    return k.loop(first, end, zero, [&](Value i, ValueRange most) {
      return SmallVector<Value>{rounding.larger(b, most[0], rounding.magnitude(b, k.loadAt(from, i, f32)))};
    })[0];
  };
  Value unit;
  if (rounding.hasTokenScale)
    unit = rounding.tokenScale(b, largest(row, k.add(row, k.constant(columns))));
  forEachBlock(k, row, columns, rounding.block, [&](Value first, int64_t count) {
    Value end = k.add(first, k.constant(count));
    Value scale = rounding.scale(b, rounding.scaleCode(b, largest(first, end), unit), unit);
    k.loop(first, end, [&](Value i) {
      Value value = rounding.value(b, rounding.code(b, k.loadAt(from, i, f32), scale));
      k.storeAt(to, i, f32, arith::MulFOp::create(b, value, scale));
    });
  });
}

Value qcc::roundActivations(Lowering &lowering, qnt::LinearOp op, const PackedLayout &layout, Dim tokens) {
  bool isFp8 = op.getAct() == "fp8";
  auto rounding = BlockRounding::of(op.getAct());
  if (!isFp8 && !rounding && op.getAct() != "bf16")
    return {};
  Value x = op.getX();
  std::string key = llvm::formatv("{0}/{1}", op.getAct(), isFp8 ? layout.block : 0);
  if (const auto *found = lowering.shared(x, key))
    return found->front();
  Dimensions &dims = lowering.dims;
  Value made = lowering.allocate(dims.mul(tokens, dims.constant(layout.columns * 4)));
  Kernel k(lowering, ("round_" + op.getAct()).str(), lowering.loc);
  Value from = k.pointer(x), to = k.argument(made);
  k.loop(k.lo(), k.hi(), [&](Value token) {
    Value row = k.mul(token, k.constant(layout.columns));
    if (rounding)
      return roundRow(k, *rounding, from, to, row, layout.columns);
    forEachBlock(k, row, layout.columns, layout.block,
                 [&](Value first, int64_t columns) { roundBlock(k, from, to, first, columns, isFp8); });
  });
  k.launch(tokens, dims.mul(tokens, dims.constant(layout.columns * 8)));
  lowering.share(x, key, {made});
  return made;
}
