#include "BlockSums.h"

using namespace mlir;
using namespace qcc;

SumScaling::Row SumScaling::row(Value head, Value number) {
  Row row;
  if (layout.scaleBytes)
    row.factor = decoder.scale(t.at(head, t.k.mul(number, t.k.constant(layout.scaleBytes))), integer);
  if (layout.hasZero) {
    Value zero = decoder.zero(t.at(t.at(head, PackedLayout::tileRows * layout.scaleBytes), number));
    row.zero = arith::NegFOp::create(t.b, row.factor ? Value(arith::MulFOp::create(t.b, zero, row.factor)) : zero);
  }
  return row;
}

Value SumScaling::add(Value total, Value sum, const Row &row, Value scale, Value codeSum) {
  ImplicitLocOpBuilder &b = t.b;
  if (integer) {
    if (decoder.bias())
      sum = arith::SubIOp::create(b, sum, arith::MulIOp::create(b, codeSum, t.integer(decoder.bias())));
    sum = arith::SIToFPOp::create(b, t.f32, sum);
  }
  Value factor = row.factor;
  if (scale)
    factor = factor ? Value(arith::MulFOp::create(b, factor, scale)) : scale;
  total = factor ? t.fma(sum, factor, total) : Value(arith::AddFOp::create(b, total, sum));
  if (!row.zero || !integer)
    return total;
  Value all = arith::MulFOp::create(b, scale, arith::SIToFPOp::create(b, t.f32, codeSum));
  return t.fma(row.zero, all, total);
}

void qcc::shareFragments(Kernel &k, ThreadBlock &t, Value area, int64_t rowTiles, int64_t tokenTiles,
                         ArrayRef<Value> sums, llvm::function_ref<void(Value, Value, Value)> body) {
  constexpr int64_t fragmentRows = 16, fragmentTokens = 8;
  int64_t rows = t.warps() * rowTiles * fragmentRows, tokens = tokenTiles * fragmentTokens;
  Value g = k.div(t.lane(), k.constant(4)), quad = k.rem(t.lane(), k.constant(4));
  t.barrier(); // nobody reads what the area held any more
  Value ownRow = k.add(k.mul(t.warp(), k.constant(rowTiles * fragmentRows)), g);
  for (int64_t m = 0; m < rowTiles; ++m)
    for (int64_t n = 0; n < tokenTiles; ++n)
      for (int64_t i = 0; i < 4; ++i) {
        Value row = k.add(ownRow, k.constant(m * fragmentRows + i / 2 * 8));
        Value token = k.add(k.mul(quad, k.constant(2)), k.constant(n * fragmentTokens + i % 2));
        Value place = k.add(k.mul(token, k.constant(rows)), row);
        t.store(sums[size_t((m * tokenTiles + n) * 4 + i)], t.at(area, k.mul(place, k.constant(4))), 4);
      }
  t.barrier();
  k.loop(
      t.thread(), k.constant(rows * tokens),
      [&](Value i) {
        Value address = t.at(area, k.mul(i, k.constant(4)));
        body(k.rem(i, k.constant(rows)), k.div(i, k.constant(rows)), address);
      },
      t.threads);
}
