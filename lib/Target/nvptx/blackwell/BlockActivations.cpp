// Activations to the blocks of a format, on a GPU.
#include "ScaledProduct.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

ScaledRecords qcc::recordsOf(const DeviceFacts &facts, const BlockRounding &rounding, const PackedLayout &layout) {
  bool isMixed = rounding.codeBits == 8 && layout.codeBits == 4;
  return {rounding.block, rounding.codeBits, layout.columns, isMixed && hasTensorMemory(facts)};
}

static constexpr int64_t laneColumns = 8; // that a lane rounds
static constexpr int64_t warpColumns = laneColumns * ThreadBlock::warpThreads;

namespace {
/// What a warp does for a token.
class TokenRounder {
public:
  TokenRounder(Kernel &kernel, Value x, const BlockRounding &rounding, const PackedLayout &layout)
      : k(kernel), t(kernel, ThreadBlock::warpThreads), b(kernel.b), rounding(rounding), layout(layout),
        x(kernel.pointer(x)) {}

  /// The scale of a token's scales.
  void writeScale(Value token, Value scales) {
    Value row = k.mul(token, k.constant(layout.columns));
    Value most = k.loop(
        t.lane(), k.constant(layout.columns), t.integer(0),
        [&](Value column, ValueRange state) {
          Value value = k.loadAt(x, k.add(row, column), t.f32);
          return SmallVector<Value>{rounding.larger(b, state[0], rounding.magnitude(b, value))};
        },
        ThreadBlock::warpThreads)[0];
    most = largestOf(most, ThreadBlock::warpThreads);
    k.when(k.equal(t.lane(), k.constant(0)), [&] { k.storeAt(scales, token, t.f32, rounding.tokenScale(b, most)); });
  }

  /// 256 columns of it, as floats or as codes of records.
  void write(Value token, Value group, Value tokenScales, Value floats, Value records) {
    Value first = k.add(k.mul(group, k.constant(warpColumns)), k.mul(t.lane(), k.constant(laneColumns)));
    Value row = k.mul(token, k.constant(layout.columns)), most = t.integer(0);
    SmallVector<Value> columns, numbers, codes;
    for (int64_t i = 0; i < laneColumns; ++i) {
      columns.push_back(k.add(first, k.constant(i)));
      Value used = k.min(columns.back(), k.constant(layout.columns - 1));
      Value number = k.loadAt(x, k.add(row, used), t.f32);
      if (layout.columns % warpColumns)
        number = k.select(k.less(columns.back(), k.constant(layout.columns)), number, k.constantF32(0));
      numbers.push_back(number);
      most = rounding.larger(b, most, rounding.magnitude(b, number));
    }
    const int64_t lanesPerBlock = rounding.block / laneColumns;
    most = largestOf(most, lanesPerBlock);
    Value unit = rounding.hasTokenScale ? k.loadAt(tokenScales, token, t.f32) : Value();
    Value scaleCode = rounding.scaleCode(b, most, unit), scale = rounding.scale(b, scaleCode, unit);
    for (Value number : numbers)
      codes.push_back(rounding.code(b, number, scale));
    if (floats)
      for (int64_t i = 0; i < laneColumns; ++i)
        k.when(k.less(columns[i], k.constant(layout.columns)), [&] {
          Value value = arith::MulFOp::create(b, rounding.value(b, codes[i]), scale);
          k.storeAt(floats, k.add(row, columns[i]), t.f32, value);
        });
    if (records)
      writeRecord(token, first, codes, scaleCode, records);
  }

private:
  /// The largest of a group of lanes, on each of them.
  Value largestOf(Value most, int64_t lanes) {
    for (int64_t bit = lanes / 2; bit > 0; bit /= 2)
      most = rounding.larger(b, most, t.shuffleXor(most, int(bit)));
    return most;
  }

  void writeRecord(Value token, Value first, ArrayRef<Value> codes, Value scaleCode, Value records) {
    ScaledRecords order = recordsOf(*k.lowering.facts.device, rounding, layout);
    Value record = k.div(first, k.constant(order.columns())), place = k.rem(first, k.constant(order.columns()));
    auto write = [&] {
      Value at = t.at(records, k.add(k.mul(token, k.constant(order.tokenBytes())),
                                     k.mul(record, k.constant(ScaledRecords::bytes))));
      SmallVector<Value> words;
      for (int64_t half = 0; half < 2; ++half) {
        Value word = t.integer(0);
        for (int64_t i = 0; i < 4; ++i) {
          int64_t column = order.isInterleaved ? 2 * half + i / 2 + i % 2 * 4 : 4 * half + i;
          Value code = arith::ExtUIOp::create(b, t.i32, codes[column]);
          word = arith::OrIOp::create(b, word, arith::ShLIOp::create(b, code, t.integer(8 * i)));
        }
        words.push_back(word);
      }
      if (rounding.codeBits == 4) // as packed weights have them: the second four in the high halves of the bytes
        words = {arith::OrIOp::create(b, words[0], arith::ShLIOp::create(b, words[1], t.integer(4)))};
      Value codesAt = rounding.codeBits == 4 ? t.at(at, k.div(place, k.constant(2))) : t.at(at, place);
      for (auto [i, word] : llvm::enumerate(words))
        t.store(word, t.at(codesAt, int64_t(4 * i)), 4);
      Value isFirst = k.equal(k.rem(place, k.constant(order.block)), k.constant(0));
      k.when(isFirst, [&] {
        t.store(scaleCode, t.at(t.at(at, ScaledRecords::codeBytes), k.div(place, k.constant(order.block))), 1);
      });
    };
    if (order.columns() * order.count() % warpColumns == 0)
      return write();
    k.when(k.less(record, k.constant(order.count())), write);
  }

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  const BlockRounding &rounding;
  const PackedLayout &layout;
  Value x;
};
} // namespace

BlockActivations qcc::roundToBlocks(Lowering &lowering, Value x, const BlockRounding &rounding,
                                    const PackedLayout &layout, Dim tokens, int64_t fewTokens, bool wantsRecords) {
  ScaledRecords order = recordsOf(*lowering.facts.device, rounding, layout);
  std::string key =
      llvm::formatv("blocks/{0}/{1}/{2}/{3}", rounding.block, rounding.codeBits, wantsRecords, order.isInterleaved);
  if (const auto *found = lowering.shared(x, key))
    return {(*found)[0], (*found)[1], (*found)[2]};
  Dimensions &dims = lowering.dims;
  auto buffer = [&](int64_t bytes) { return lowering.allocate(dims.mul(tokens, dims.constant(bytes))); };
  auto known = constantOf(tokens);
  bool mayBeFew = !wantsRecords || !known || *known <= fewTokens;
  bool mayBeMany = wantsRecords && (!known || *known > fewTokens);
  BlockActivations made;
  if (mayBeFew)
    made.floats = buffer(layout.columns * 4);
  if (mayBeMany)
    made.records = buffer(order.tokenBytes());
  if (rounding.hasTokenScale) {
    made.tokenScales = buffer(4);
    Kernel k(lowering, "token_scales", lowering.loc);
    TokenRounder rounder(k, x, rounding, layout);
    rounder.writeScale(k.lo(), k.argument(made.tokenScales));
    k.launch(tokens, dims.mul(tokens, dims.constant(layout.columns)));
  }
  auto emit = [&](bool asFloats) {
    Kernel k(lowering, asFloats ? "round_to_blocks" : "encode_blocks", lowering.loc);
    TokenRounder rounder(k, x, rounding, layout);
    int64_t columns = asFloats ? layout.columns : order.count() * order.columns();
    int64_t groups = llvm::divideCeil(columns, warpColumns);
    Value perToken = k.constant(groups), scales = made.tokenScales ? k.argument(made.tokenScales) : Value();
    rounder.write(k.div(k.lo(), perToken), k.rem(k.lo(), perToken), scales,
                  asFloats ? k.argument(made.floats) : Value(), asFloats ? Value() : k.argument(made.records));
    k.launch(dims.mul(tokens, dims.constant(groups)), dims.mul(tokens, dims.constant(columns)));
  };
  if (mayBeFew && mayBeMany) {
    Value bound = arith::ConstantOp::create(lowering.host, lowering.loc, lowering.host.getI64IntegerAttr(fewTokens));
    Value isFew =
        arith::CmpIOp::create(lowering.host, lowering.loc, arith::CmpIPredicate::sle, lowering.size(tokens), bound);
    lowering.branch(isFew, [&] { emit(true); }, [&] { emit(false); });
  } else {
    emit(mayBeFew);
  }
  lowering.share(x, key, {made.floats, made.records, made.tokenScales});
  return made;
}
