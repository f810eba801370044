#include "Activations.h"

using namespace mlir;
using namespace qcc;

int64_t qcc::paddedColumns(const PackedLayout &layout, int64_t blockColumns) {
  return layout.chunks(blockColumns) * layout.chunkColumns();
}

int64_t qcc::paddedColumns(const PackedLayout &layout) {
  int64_t tail = layout.tail() ? paddedColumns(layout, layout.tail()) : 0;
  return layout.fullBlocks() * paddedColumns(layout, layout.block) + tail;
}

/// Tokens rounded up to whole panels.
static Dim paddedTokens(Dimensions &dims, Dim tokens, int panel) {
  return dims.mul(dims.ceilDiv(tokens, panel), dims.constant(panel));
}

Activations qcc::allocateActivations(Lowering &lowering, const PackedLayout &layout, bool integer, Dim tokens,
                                     int panel) {
  Dimensions &dims = lowering.dims;
  // Panels may be smaller than `panel`: rounding up costs less than one panel.
  Dim padded = dims.add(tokens, dims.constant(panel - 1));
  auto buffer = [&](int64_t bytesPerToken) {
    return lowering.allocate(dims.mul(padded, dims.constant(bytesPerToken)));
  };
  Activations result;
  result.values = buffer(integer ? paddedColumns(layout) : layout.columns * 4);
  if (integer) {
    result.scales = buffer(layout.blocks() * 4);
    result.biases = buffer(layout.blocks() * 4);
    if (layout.hasZero)
      result.sums = buffer(layout.blocks() * 4);
  }
  return result;
}

namespace {
/// Quantizes one token's row, block by block: symmetric, codes within ±127, to nearest even.
class RowQuantizer {
public:
  RowQuantizer(Kernel &kernel, Value x, const PackedLayout &layout, int bias, std::optional<float> scale, int panel,
               const Activations &to)
      : k(kernel), s(kernel, true), b(kernel.b), layout(layout), bias(bias), given(scale), panel(panel),
        x(kernel.pointer(x)), values(kernel.argument(to.values)), scales(kernel.argument(to.scales)),
        biases(kernel.argument(to.biases)), sums(to.sums ? kernel.argument(to.sums) : Value()) {}

  /// `isToken` false writes zeros; the row is then not read.
  void quantize(Value token, Value isToken) {
    Value row = k.mul(token, k.constant(layout.columns * 4));
    Value panelIndex = k.div(token, k.constant(panel)), place = k.rem(token, k.constant(panel));
    from = s.at(x, row);
    to = s.at(values, k.add(k.mul(panelIndex, k.constant(paddedColumns(layout) * panel)), k.mul(place, k.constant(4))));
    Value statistics = k.add(k.mul(panelIndex, k.constant(layout.blocks() * panel)), place);
    statisticsOffset = k.mul(statistics, k.constant(4));
    live = isToken;
    k.loop(k.constant(0), k.constant(layout.fullBlocks()), [&](Value block) { writeBlock(block, layout.block); });
    if (layout.tail())
      writeBlock(k.constant(layout.fullBlocks()), layout.tail());
  }

private:
  void writeBlock(Value block, int64_t columns) {
    Value source = s.at(from, k.mul(block, k.constant(layout.block * 4)));
    Value target = s.at(to, k.mul(block, k.constant(paddedColumns(layout, layout.block) * panel)));
    int64_t vectors = (columns + s.lanes - 1) / s.lanes;
    auto chunkAt = [&](Value i, bool isLast) -> Value {
      Value address = s.at(source, k.mul(i, k.constant(s.lanes * 4)));
      SmallVector<bool> in;
      for (int64_t lane = 0; lane < s.lanes; ++lane)
        in.push_back(!isLast || (columns - 1) / s.lanes * s.lanes + lane < columns);
      Value mask = arith::ConstantOp::create(b, DenseElementsAttr::get(s.vectorOf(b.getI1Type()), ArrayRef<bool>(in)));
      mask = arith::AndIOp::create(b, mask, s.spread(s.vectorOf(b.getI1Type()), live));
      return LLVM::MaskedLoadOp::create(b, s.floats, address, mask, s.splat(0.0f), 4);
    };
    int64_t whole = columns / s.lanes;
    auto flags = arith::FastMathFlags::nnan | arith::FastMathFlags::nsz;
    auto larger = [&](Value most, Value v) -> Value {
      return arith::MaxNumFOp::create(b, most, math::AbsFOp::create(b, v), flags);
    };
    Value scale, factor;
    if (given) {
      scale = k.constantF32(*given), factor = s.splat(1 / *given);
    } else {
      Value most = k.loop(k.constant(0), k.constant(whole), s.splat(0.0f), [&](Value i, ValueRange state) {
        return SmallVector<Value>{larger(state[0], chunkAt(i, false))};
      })[0];
      if (whole < vectors)
        most = larger(most, chunkAt(k.constant(whole), true));
      Value largest = vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, most, flags);
      scale = arith::MulFOp::create(b, largest, k.constantF32(1.0f / 127));
      Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, largest, k.constantF32(0));
      Value inverse = arith::DivFOp::create(b, k.constantF32(127), largest);
      factor = s.spread(s.floats, k.select(isZero, k.constantF32(0), inverse));
    }
    auto quantizeChunk = [&](Value i, bool isLast, Value sum) -> Value {
      Value scaled = arith::MulFOp::create(b, chunkAt(i, isLast), factor);
      if (given) // a NaN becomes a code too
        scaled = arith::MinNumFOp::create(b, arith::MaxNumFOp::create(b, scaled, s.splat(-127.0f)), s.splat(127.0f));
      Value codes = arith::FPToSIOp::create(b, s.dwords, math::RoundEvenOp::create(b, scaled));
      Value packed = arith::TruncIOp::create(b, s.vectorOf(s.i8), codes);
      Value groups = vector::BitCastOp::create(b, VectorType::get(s.lanes / 4, s.i32), packed);
      Value at = s.at(target, k.mul(i, k.constant(int64_t(s.lanes) * panel)));
      int64_t first = (columns - 1) / s.lanes * s.lanes; // columns beyond the padded ones have no place
      int64_t present = isLast ? (paddedColumns(layout, columns) - first) / 4 : s.lanes / 4;
      if (panel == 1 && present == s.lanes / 4)
        s.store(groups, at, 4);
      else
        for (int64_t g = 0; g < std::min<int64_t>(present, s.lanes / 4); ++g)
          s.store(vector::ExtractOp::create(b, groups, g), s.at(at, g * panel * 4), 4);
      return s.addInt(sum, codes);
    };
    Value sum = k.loop(k.constant(0), k.constant(whole), s.splat(s.dwords, 0), [&](Value i, ValueRange state) {
      return SmallVector<Value>{quantizeChunk(i, false, state[0])};
    })[0];
    if (whole < vectors)
      sum = quantizeChunk(k.constant(whole), true, sum);
    // Chunks of zeros that the last register did not reach.
    for (int64_t column = vectors * s.lanes; column < paddedColumns(layout, columns); column += 4)
      s.store(arith::ConstantOp::create(b, b.getI32IntegerAttr(0)), s.at(target, column * panel), 4);
    Value total = vector::ReductionOp::create(b, vector::CombiningKind::ADD, sum);
    Value at = k.add(statisticsOffset, k.mul(block, k.constant(4 * panel)));
    s.store(scale, s.at(scales, at), 4);
    Value negative = arith::MulIOp::create(b, total, arith::ConstantOp::create(b, b.getI32IntegerAttr(-bias)));
    s.store(negative, s.at(biases, at), 4);
    if (sums)
      s.store(arith::MulFOp::create(b, scale, arith::SIToFPOp::create(b, s.f32, total)), s.at(sums, at), 4);
  }

  Kernel &k;
  Simd s;
  ImplicitLocOpBuilder &b;
  const PackedLayout &layout;
  int bias;
  std::optional<float> given;
  int panel;
  Value x, values, scales, biases, sums, from, to, statisticsOffset, live;
};
} // namespace

void qcc::emitQuantizeActivations(Lowering &lowering, Value x, const PackedLayout &layout, int bias,
                                  std::optional<float> scale, Dim tokens, int panel, const Activations &to) {
  Dimensions &dims = lowering.dims;
  Dim padded = paddedTokens(dims, tokens, panel);
  Kernel k(lowering, "quantize_activations", lowering.loc);
  RowQuantizer quantizer(k, x, layout, bias, scale, panel, to);
  k.loop(k.lo(), k.hi(), [&](Value token) {
    Value isToken = padded == tokens ? arith::ConstantOp::create(k.b, k.b.getBoolAttr(true)).getResult()
                                     : k.less(token, k.dim(tokens));
    quantizer.quantize(token, isToken);
  });
  k.launch(padded, dims.mul(padded, dims.constant(layout.columns)));
}

void qcc::emitInterleaveActivations(Lowering &lowering, Value x, int64_t columns, Dim tokens, int panel,
                                    const Activations &to) {
  Dimensions &dims = lowering.dims;
  Kernel k(lowering, "interleave_activations", lowering.loc);
  Type f32 = k.b.getF32Type();
  Value from = k.pointer(x), out = k.argument(to.values), width = k.constant(columns), step = k.constant(panel);
  Dim padded = paddedTokens(dims, tokens, panel);
  k.loop(k.lo(), k.hi(), [&](Value token) {
    Value target = k.add(k.mul(k.mul(k.div(token, step), step), width), k.rem(token, step));
    Value source = k.mul(token, width);
    auto write = [&](llvm::function_ref<Value(Value)> value) {
      k.loop(k.constant(0), width, [&](Value i) { k.storeAt(out, k.add(target, k.mul(i, step)), f32, value(i)); });
    };
    Value isToken = k.less(token, k.dim(tokens));
    k.when(isToken, [&] { write([&](Value i) { return k.loadAt(from, k.add(source, i), f32); }); });
    if (padded != tokens)
      k.when(k.sub(arith::ConstantOp::create(k.b, k.b.getBoolAttr(true)), isToken),
             [&] { write([&](Value) { return k.constantF32(0); }); });
  });
  k.launch(padded, dims.mul(padded, dims.constant(columns)));
}
