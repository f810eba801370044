// A linear operation for a few tokens: bound by reading the weights, which goes on in whole segments of memory.
#include "LinearKernel.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

/// Of a block: where there are too few blocks for the device, more of them share out the columns.
static int64_t blockThreads(const DeviceFacts &facts, const PackedLayout &layout) {
  constexpr int64_t least = 128, most = 512, enough = 512; // on a multiprocessor
  int64_t threads = least;
  while (threads < most && layout.tiles() * threads < enough * facts.rates.multiprocessors &&
         2 * threads / ThreadBlock::warpThreads <= layout.blocks())
    threads *= 2;
  return threads;
}

namespace {
/// A block of threads multiplies one tile of 16 rows with `count` tokens. A half-warp reads one chunk at a time, a row
/// in each lane; the warps share out the blocks of columns.
class FewTokens {
public:
  FewTokens(Kernel &kernel, const DeviceLinear &linear, int count, const DeviceActivations &activations)
      : k(kernel), t(kernel, blockThreads(*kernel.lowering.facts.device, linear.layout)), b(kernel.b), linear(linear),
        layout(this->linear.layout), decoder(t, this->linear.format, this->linear.layout), count(count),
        packed(kernel.argument(linear.weights)), tokens(kernel.dim(linear.tokens)) {
    values = activations.codes ? k.argument(activations.codes) : k.pointer(this->linear.op.getX());
    if (activations.scales)
      scales = k.argument(activations.scales);
    if (activations.sums)
      sums = k.argument(activations.sums);
    element = linear.type == ComputeType::Fp8    ? Type(Float8E4M3FNType::get(b.getContext()))
              : linear.type == ComputeType::Bf16 ? Type(b.getBF16Type())
                                                 : t.f32;
  }

  void write(Value tile, Value firstToken) {
    row = k.rem(t.lane(), k.constant(PackedLayout::tileRows));
    half = k.div(t.lane(), k.constant(PackedLayout::tileRows));
    base = t.at(packed, k.mul(tile, k.constant(layout.tileBytes())));
    Value last = k.sub(tokens, k.constant(1));
    for (int i = 0; i < count; ++i) // those beyond the last are computed for nothing
      numbers.push_back(k.min(k.add(firstToken, k.constant(i)), last));
    SmallVector<Value> total(count, k.constantF32(0));
    total = k.loop(
        t.warp(), k.constant(layout.fullBlocks()), total,
        [&](Value index, ValueRange state) { return addBlock(index, layout.block, state); }, t.warps());
    if (layout.tail()) {
      Value mine = k.equal(t.warp(), k.constant(layout.fullBlocks() % t.warps()));
      total = k.loop(k.constant(0), k.select(mine, k.constant(1), k.constant(0)), total, [&](Value, ValueRange state) {
        return addBlock(k.constant(layout.fullBlocks()), layout.tail(), state);
      });
    }
    store(tile, firstToken, total);
  }

private:
  SmallVector<Value> addBlock(Value index, int64_t columns, ValueRange total) {
    Value head = t.at(base, k.mul(index, k.constant(layout.blockBytes(layout.block)))), scale, zero;
    if (layout.scaleBytes)
      scale = decoder.scale(t.at(head, k.mul(row, k.constant(layout.scaleBytes))), linear.type == ComputeType::Int8);
    if (layout.hasZero)
      zero = decoder.zero(t.at(t.at(head, PackedLayout::tileRows * layout.scaleBytes), row));
    Value codes = t.at(t.at(head, layout.codesOffset()), k.mul(row, k.constant(4)));
    auto lanes = [&](Value chunk) { return decoder.load(codes, chunk); };
    return linear.type == ComputeType::Int8 ? addIntegers(index, columns, total, scale, zero, lanes)
                                            : addFloats(index, columns, total, scale, zero, lanes);
  }

  SmallVector<Value> addFloats(Value index, int64_t columns, ValueRange total, Value scale, Value zero,
                               llvm::function_ref<SmallVector<Value>(Value)> lanes) {
    int64_t step = layout.chunkColumns();
    // Rounded activations are padded as the weights are.
    bool isPadded = linear.type != ComputeType::F32;
    int64_t bytes = storageBytes(element);
    int64_t stride = isPadded ? activationStride(layout, bytes) / bytes : layout.columns;
    Value first = k.mul(index, k.constant(isPadded ? deviceColumns(layout, layout.block) : layout.block));
    SmallVector<Value> part(count, k.constantF32(0));
    part = k.loop(
        half, k.constant(layout.chunks(columns)), part,
        [&](Value chunk, ValueRange state) {
          SmallVector<Value> sum(state);
          for (auto [i, number] : llvm::enumerate(decoder.floats(lanes(chunk)))) {
            Value weight = zero ? Value(arith::SubFOp::create(b, number, zero)) : number;
            Value column = k.add(k.mul(chunk, k.constant(step)), k.constant(int64_t(i)));
            if (columns % step && !isPadded) // what stands beyond the row reads its last activation
              column = k.min(column, k.constant(columns - 1));
            column = k.add(first, column);
            for (int c = 0; c < count; ++c) {
              Value x = k.loadAt(values, k.add(k.mul(numbers[c], k.constant(stride)), column), element);
              if (columns % step && (zero || !isPadded)) // and need not express 0
                x = k.select(k.less(k.mul(chunk, k.constant(step)), k.constant(columns - int64_t(i))), x,
                             k.constantF32(0));
              sum[c] = t.fma(weight, x, sum[c]);
            }
          }
          return sum;
        },
        2);
    SmallVector<Value> result;
    for (int c = 0; c < count; ++c) {
      Value factor = scale;
      if (scales) {
        Value place = k.add(k.mul(numbers[c], k.constant(layout.blocks())), index);
        Value own = t.load(t.f32, t.at(scales, k.mul(place, k.constant(4))), 4);
        factor = factor ? Value(arith::MulFOp::create(b, factor, own)) : own;
      }
      result.push_back(factor ? t.fma(part[c], factor, total[c]) : Value(arith::AddFOp::create(b, total[c], part[c])));
    }
    return result;
  }

  /// The exact integer sum of a block first, then its scales.
  SmallVector<Value> addIntegers(Value index, int64_t columns, ValueRange total, Value scale, Value zero,
                                 llvm::function_ref<SmallVector<Value>(Value)> lanes) {
    int64_t step = layout.chunkColumns(), blockColumns = deviceColumns(layout, layout.block);
    StringRef dot = decoder.isUnsigned() ? "llvm.nvvm.idp4a.u.s" : "llvm.nvvm.idp4a.s.s";
    SmallVector<Value> part(count, t.integer(0));
    part = k.loop(
        half, k.constant(layout.chunks(columns)), part,
        [&](Value chunk, ValueRange state) {
          SmallVector<Value> sum(state);
          for (auto [i, operand] : llvm::enumerate(decoder.integers(lanes(chunk))))
            for (int c = 0; c < count; ++c) {
              Value place = k.add(k.mul(index, k.constant(blockColumns)),
                                  k.add(k.mul(chunk, k.constant(step)), k.constant(4 * int64_t(i))));
              place = k.add(place, k.mul(numbers[c], k.constant(activationStride(layout, 1))));
              Value x = t.load(t.i32, t.at(values, place), 4);
              sum[c] = t.intrinsic(t.i32, dot, {operand, x, sum[c]});
            }
          return sum;
        },
        2);
    Value isFirst = k.equal(half, k.constant(0));
    SmallVector<Value> result;
    for (int c = 0; c < count; ++c) {
      // Both halves' sums are one integer before it is scaled: the numbers are the same as on every other target.
      Value sum = t.sumOverLanes(part[c], PackedLayout::tileRows);
      Value place = k.mul(k.add(k.mul(numbers[c], k.constant(layout.blocks())), index), k.constant(4));
      Value codeSum = decoder.bias() || zero ? t.load(t.i32, t.at(sums, place), 4) : Value();
      if (decoder.bias())
        sum = arith::SubIOp::create(b, sum, arith::MulIOp::create(b, codeSum, t.integer(decoder.bias())));
      Value factor = t.load(t.f32, t.at(scales, place), 4), both = factor;
      if (scale)
        both = arith::MulFOp::create(b, scale, factor);
      Value added = t.fma(arith::SIToFPOp::create(b, t.f32, sum), both, total[c]);
      if (zero) {
        Value minusZero = arith::NegFOp::create(b, scale ? Value(arith::MulFOp::create(b, zero, scale)) : zero);
        Value all = arith::MulFOp::create(b, factor, arith::SIToFPOp::create(b, t.f32, codeSum));
        added = t.fma(minusZero, all, added);
      }
      result.push_back(k.select(isFirst, added, total[c]));
    }
    return result;
  }

  /// Adds up what halves and warps have, and stores each row's sum.
  void store(Value tile, Value firstToken, ArrayRef<Value> total) {
    constexpr int64_t rows = PackedLayout::tileRows;
    Value area = t.shared(t.warps() * count * rows * 4);
    for (int c = 0; c < count; ++c) {
      Value sum = t.sumOverLanes(total[c], PackedLayout::tileRows);
      Value place = k.add(k.mul(k.add(k.mul(t.warp(), k.constant(count)), k.constant(c)), k.constant(rows)), row);
      k.when(k.equal(half, k.constant(0)), [&] { t.store(sum, t.at(area, k.mul(place, k.constant(4))), 4); });
    }
    t.barrier();
    k.loop(
        t.thread(), k.constant(count * rows),
        [&](Value i) {
          Value sum;
          for (int64_t w = 0; w < t.warps(); ++w) {
            Value part = t.load(t.f32, t.at(area, k.mul(k.add(i, k.constant(w * count * rows)), k.constant(4))), 4);
            sum = sum ? Value(arith::AddFOp::create(b, sum, part)) : part;
          }
          Value token = k.add(firstToken, k.div(i, k.constant(rows)));
          Value output = k.add(k.mul(tile, k.constant(rows)), k.rem(i, k.constant(rows)));
          linear.store(t, packed, tokens, token, output, sum);
        },
        t.threads);
  }

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  DeviceLinear linear;
  const PackedLayout &layout;
  ThreadDecoder decoder;
  int count;
  Type element; // of activations
  Value packed, tokens, values, scales, sums, row, half, base;
  SmallVector<Value> numbers; // of the tokens
};
} // namespace

void qcc::emitFewTokens(Lowering &lowering, const DeviceLinear &linear, int count,
                        const DeviceActivations &activations) {
  Dimensions &dims = lowering.dims;
  Kernel k(lowering, linear.kernelName(std::to_string(count)), lowering.loc);
  Value tiles = k.constant(linear.layout.tiles()), group = k.div(k.lo(), tiles);
  FewTokens few(k, linear, count, activations);
  few.write(k.rem(k.lo(), tiles), k.mul(group, k.constant(count)));
  Dim units = dims.mul(dims.ceilDiv(linear.tokens, count), dims.constant(linear.layout.tiles()));
  k.launch(units, dims.mul(units, dims.constant(linear.layout.columns)));
}
