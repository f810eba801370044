#include "CodeRows.h"

using namespace mlir;
using namespace qcc;

bool CodeRows::fits(Lowering &lowering, const CodeConvolution &c) {
  if (lowering.facts.device || Simd::isaOf(lowering.facts, /*integer=*/true) != Simd::Isa::Avx512 || c.channels < 1 ||
      c.results < 1 || c.across.output < 1 || c.down.output < 1)
    return false;
  Kernel probe(lowering, "probe", lowering.loc);
  Simd simd(probe, /*integer=*/true, int(lanesOf(c)));
  Value zero = probe.constant(0);
  return isWide(simd, [&](Value x, Value sum) { c.store(probe, zero, zero, zero, x, sum); });
}

void CodeRows::forGroups(int64_t most, llvm::function_ref<void(Value, int64_t, bool)> body) {
  int64_t count = vectorsOf(c), whole = (count - 1) / most * most;
  if (whole)
    k.loop(k.constant(0), k.constant(whole), [&](Value first) { body(first, most, false); }, most);
  body(k.constant(whole), count - whole, true);
}

void CodeRows::store(Value image, Value m, Value y, Value vector, bool isLast, Value sum) {
  Value offset = s.load(s.i32, s.at(c.offsets(k), k.mul(m, k.constant(4))), 4);
  Value exact = arith::SubIOp::create(s.b, sum, s.spread(s.dwords, offset));
  Value value = arith::SIToFPOp::create(s.b, s.floats, exact), mask;
  int64_t lanes = narrow.lanes, columns = c.across.output;
  if (isLast && columns % lanes)
    mask = narrow.lanesBelow(k.constant(columns), (vectorsOf(c) - 1) * lanes);
  Value x = k.mul(vector, k.constant(lanes));
  for (int64_t i = 0; i < rowsOf(c); ++i) {
    Value row = k.add(y, k.constant(i));
    Value part = rowsOf(c) == 1 ? value
                                : Value(vector::ExtractStridedSliceOp::create(s.b, value, ArrayRef(i * lanes),
                                                                              ArrayRef(lanes), ArrayRef(int64_t(1))));
    auto write = [&] {
      emitWide(narrow, x, part, mask, [&](Value column, Value element) { c.store(k, image, m, row, column, element); });
    };
    if (i && c.down.output % rowsOf(c))
      k.when(k.less(row, k.constant(c.down.output)), write);
    else
      write();
  }
}

Value CodeRows::zeros() {
  Attribute zero = s.b.getI8IntegerAttr(int8_t(c.zero));
  return arith::ConstantOp::create(s.b, DenseElementsAttr::get(s.vectorOf(s.i8), zero));
}

Value CodeRows::codesAt(Value row, Value start, Value limit) {
  auto bits = s.vectorOf(s.b.getI1Type());
  Value isBefore = s.lanesBelow(k.sub(k.constant(0), start), 0), isBelow = s.lanesBelow(k.sub(limit, start), 0);
  Value none = arith::ConstantOp::create(s.b, DenseElementsAttr::get(bits, false));
  Value isInside = arith::SelectOp::create(s.b, isBefore, none, isBelow);
  return LLVM::MaskedLoadOp::create(s.b, s.vectorOf(s.i8), s.at(row, start), isInside, zeros(), 1);
}
