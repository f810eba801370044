#include "RoundActivations.h"
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

Value qcc::roundActivations(Lowering &lowering, qnt::LinearOp op, const PackedLayout &layout, Dim tokens) {
  bool isFp8 = op.getAct() == "fp8";
  if (!isFp8 && op.getAct() != "bf16")
    return {};
  Value x = op.getX();
  std::string key = llvm::formatv("{0}/{1}", op.getAct(), isFp8 ? layout.block : 0);
  if (const auto *found = lowering.shared(x, key))
    return found->front();
  Dimensions &dims = lowering.dims;
  Value made = lowering.allocate(dims.mul(tokens, dims.constant(layout.columns * 4)));
  Kernel k(lowering, isFp8 ? "round_fp8" : "round_bf16", lowering.loc);
  Value from = k.pointer(x), to = k.argument(made);
  k.loop(k.lo(), k.hi(), [&](Value token) {
    Value row = k.mul(token, k.constant(layout.columns));
    k.loop(k.constant(0), k.constant(layout.fullBlocks()), [&](Value block) {
      roundBlock(k, from, to, k.add(row, k.mul(block, k.constant(layout.block))), layout.block, isFp8);
    });
    if (layout.tail())
      roundBlock(k, from, to, k.add(row, k.constant(layout.fullBlocks() * layout.block)), layout.tail(), isFp8);
  });
  k.launch(tokens, dims.mul(tokens, dims.constant(layout.columns * 8)));
  lowering.share(x, key, {made});
  return made;
}
