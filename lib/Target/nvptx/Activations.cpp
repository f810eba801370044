#include "LinearKernel.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

int64_t qcc::deviceColumns(const PackedLayout &layout, int64_t columns) {
  return layout.chunks(columns) * layout.chunkColumns();
}

int64_t qcc::deviceColumns(const PackedLayout &layout) {
  return layout.fullBlocks() * deviceColumns(layout, layout.block) +
         (layout.tail() ? deviceColumns(layout, layout.tail()) : 0);
}

namespace {
/// Quantizes one block of one token, which is what a warp does.
class BlockQuantizer {
public:
  BlockQuantizer(Kernel &kernel, Value x, const PackedLayout &layout, const DeviceActivations &to)
      : k(kernel), t(kernel, ThreadBlock::warpThreads), b(kernel.b), layout(layout), x(kernel.pointer(x)),
        codes(kernel.argument(to.codes)), scales(kernel.argument(to.scales)), sums(kernel.argument(to.sums)) {}

  void write(Value token, Value block, int64_t columns) {
    Value from = t.at(x, k.mul(k.add(k.mul(token, k.constant(layout.columns)), k.mul(block, k.constant(layout.block))),
                               k.constant(4)));
    Value to = t.at(codes, k.add(k.mul(token, k.constant(deviceColumns(layout))),
                                 k.mul(block, k.constant(deviceColumns(layout, layout.block)))));
    auto element = [&](Value column) { return t.load(t.f32, t.at(from, k.mul(column, k.constant(4))), 4); };
    Value zero = k.constantF32(0), end = k.constant(columns);
    Value largest = k.loop(
        t.lane(), end, zero,
        [&](Value column, ValueRange most) {
          return SmallVector<Value>{larger(most[0], math::AbsFOp::create(b, element(column)))};
        },
        ThreadBlock::warpThreads)[0];
    for (int bit = ThreadBlock::warpThreads / 2; bit > 0; bit /= 2)
      largest = larger(largest, t.shuffleXor(largest, bit));
    Value scale = arith::MulFOp::create(b, largest, k.constantF32(1.0f / 127));
    Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, largest, zero);
    Value factor = k.select(isZero, zero, arith::DivFOp::create(b, k.constantF32(127), largest));
    auto quantize = [&](Value column) -> Value {
      Value scaled = arith::MulFOp::create(b, element(column), factor);
      return arith::FPToSIOp::create(b, t.i32, math::RoundEvenOp::create(b, scaled));
    };
    Value sum = k.loop(
        t.lane(), end, t.integer(0),
        [&](Value column, ValueRange state) {
          Value code = quantize(column);
          t.store(arith::TruncIOp::create(b, t.i8, code), t.at(to, column), 1);
          return SmallVector<Value>{arith::AddIOp::create(b, state[0], code)};
        },
        ThreadBlock::warpThreads)[0];
    k.loop(
        k.add(end, t.lane()), k.constant(deviceColumns(layout, columns)),
        [&](Value column) { t.store(arith::ConstantOp::create(b, b.getI8IntegerAttr(0)), t.at(to, column), 1); },
        ThreadBlock::warpThreads);
    sum = t.sumOverLanes(sum, ThreadBlock::warpThreads - 1);
    Value place = k.mul(k.add(k.mul(token, k.constant(layout.blocks())), block), k.constant(4));
    k.when(k.equal(t.lane(), k.constant(0)), [&] {
      t.store(scale, t.at(scales, place), 4);
      t.store(sum, t.at(sums, place), 4);
    });
  }

private:
  Value larger(Value most, Value value) {
    return arith::MaxNumFOp::create(b, most, value, arith::FastMathFlags::nnan | arith::FastMathFlags::nsz);
  }

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  const PackedLayout &layout;
  Value x, codes, scales, sums;
};
} // namespace

DeviceActivations qcc::quantizeOnDevice(Lowering &lowering, Value x, const PackedLayout &layout, Dim tokens) {
  std::string key = llvm::formatv("{0}/{1}", layout.block, layout.chunkColumns());
  if (const auto *found = lowering.shared(x, key))
    return {(*found)[0], (*found)[1], (*found)[2]};
  Dimensions &dims = lowering.dims;
  auto buffer = [&](int64_t bytes) { return lowering.allocate(dims.mul(tokens, dims.constant(bytes))); };
  DeviceActivations made{buffer(deviceColumns(layout)), buffer(layout.blocks() * 4), buffer(layout.blocks() * 4)};
  Kernel k(lowering, "quantize_activations", lowering.loc);
  BlockQuantizer quantizer(k, x, layout, made);
  Value perToken = k.constant(layout.blocks()), token = k.div(k.lo(), perToken), block = k.rem(k.lo(), perToken);
  if (!layout.tail())
    quantizer.write(token, block, layout.block);
  else if (!layout.fullBlocks())
    quantizer.write(token, block, layout.tail());
  else {
    auto op = scf::IfOp::create(k.b, k.less(block, k.constant(layout.fullBlocks())), /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(k.b);
    k.b.setInsertionPointToStart(op.thenBlock());
    quantizer.write(token, block, layout.block);
    k.b.setInsertionPointToStart(op.elseBlock());
    quantizer.write(token, block, layout.tail());
  }
  k.launch(dims.mul(tokens, dims.constant(layout.blocks())), dims.mul(tokens, dims.constant(layout.columns)));
  lowering.share(x, key, {made.codes, made.scales, made.sums});
  return made;
}
