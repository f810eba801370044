#include "qcc/Tile/Attention.h"
#include "qcc/Tile/Contraction.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

Value StoredRows::start(Kernel &k, Value b, Value h, Value t) const {
  Value place = k.add(k.mul(b, k.dim(batch)), k.mul(h, k.dim(head)));
  return k.add(k.dim(offset), k.add(place, k.mul(t, k.dim(position))));
}

Value StoredRows::load(Kernel &k, Value data, Value start, Value i, Type type) const {
  if (layout)
    return castNumber(k.b, RowCodec(k, *layout).element(data, start, i), k.b.getF32Type(), type);
  if (element.isF16()) {
    Value stored = k.loadAt(data, k.add(start, i), k.b.getI16Type());
    return castNumber(k.b, halfToFloat(k, stored), k.b.getF32Type(), type);
  }
  return castNumber(k.b, k.loadAt(data, k.add(start, i), element), computeType(element), type);
}

Value qcc::scaleOf(Kernel &k, const StreamedAttention &a, Type type) {
  if (a.scale)
    return numberConstant(k.b, type, *a.scale);
  if (auto size = constantOf(a.size))
    return numberConstant(k.b, type, 1 / std::sqrt(double(*size)));
  return (1.0 / sqrt(Real(k.b, arith::SIToFPOp::create(k.b, type, k.dim(a.size))))).value();
}

Value qcc::capped(Kernel &k, const StreamedAttention &a, Value score, Type type) {
  if (a.softcap == 0)
    return score;
  Value cap = numberConstant(k.b, type, a.softcap);
  return multiply(k, tanh(Real(k.b, score) / Real(k.b, cap)).value(), cap);
}

Value qcc::shiftOf(Kernel &k, Value max, Type type) {
  return k.select(Real(k.b, max) == Real(k.b, lowestNumber(k.b, type)), numberConstant(k.b, type, 0), max);
}

static Value reciprocalOrZero(Kernel &k, Value total) {
  Real x(k.b, total);
  return select(x == 0.0, x.like(0.0), 1.0 / x).value();
}

Value qcc::normalizer(Kernel &k, const StreamedAttention &a, Value head, Value max, Value total, Type type) {
  if (!a.sink)
    return reciprocalOrZero(k, total);
  Value sink = a.sink(k, head), shift = shiftOf(k, LLVM::MaximumOp::create(k.b, max, sink), type);
  auto power = [&](Value x) { return exp(Real(k.b, x) - Real(k.b, shift)).value(); };
  Value correction = power(max);
  Value all = plus(k, multiply(k, total, correction), power(sink));
  return multiply(k, correction, reciprocalOrZero(k, all));
}
