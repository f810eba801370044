#include "Rows.h"
#include "../Reduction/Fold.h"
#include "qcc/Tile/Contraction.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxScratchRow = 1 << 14; // numbers of a row that is kept in thread storage
static constexpr int64_t maxSharedRow = 1 << 13;  // and in that of a block of threads

Value qcc::inverseDeviation(Kernel &k, Value variance, double epsilon) {
  return (1.0 / sqrt(Real(k.b, variance) + epsilon)).value();
}

Value qcc::scaleAndShift(Kernel &k, Value x, Value scale, Value bias) {
  Value scaled = scale ? multiply(k, x, scale) : x;
  return bias ? plus(k, scaled, bias) : scaled;
}

Value Moments::normalize(Kernel &k, Value x) const {
  Value centered = mean ? Value(arith::SubFOp::create(k.b, x, mean)) : x;
  return arith::MulFOp::create(k.b, centered, inverse);
}

void qcc::emitRow(Kernel &k, const Team &team, const Rows &rows, Value row, Value kept, Value start) {
  Type wide = wideType(Fold::Sum, rows.type), mean = k.lowering.facts.device ? rows.type : wide;
  std::function<Value(Value)> first = rows.load(k, row);
  auto again = [&](Value i) { return kept ? k.loadAt(kept, k.add(start, i), rows.type) : first(i); };
  auto once = [&](Value i) {
    Value x = first(i);
    if (kept)
      k.storeAt(kept, k.add(start, i), rows.type, x);
    return x;
  };
  auto average = [&](llvm::function_ref<Value(Value)> term) -> Value {
    Value sum = foldRow(k, Fold::Sum, rows.type, rows.length, term, {}, &team);
    sum = castNumber(k.b, sum, wide, mean);
    return arith::DivFOp::create(k.b, sum, arith::SIToFPOp::create(k.b, mean, k.dim(rows.length)));
  };
  auto squared = [&](Value x) { return multiply(k, x, x); };
  Moments moments;
  Value variance;
  if (rows.hasMean) {
    moments.mean = castNumber(k.b, average(once), mean, rows.type);
    variance = average([&](Value i) { return squared(arith::SubFOp::create(k.b, again(i), moments.mean)); });
  } else {
    variance = average([&](Value i) { return squared(once(i)); });
  }
  moments.inverse = castNumber(k.b, inverseDeviation(k, variance, rows.epsilon), mean, rows.type);
  if (kept) // other threads may ask for what this one has written
    team.barrier();
  rows.store(k, team, row, moments, again);
}

void qcc::emitRows(Lowering &lowering, StringRef name, const Rows &rows) {
  Dimensions &dims = lowering.dims;
  auto length = constantOf(rows.length);
  bool inScratch = rows.keeps && length && *length <= (lowering.facts.device ? maxSharedRow : maxScratchRow);
  Value buffer;
  if (rows.keeps && !inScratch)
    buffer = lowering.allocate(dims.product({rows.count, rows.length, dims.constant(storageBytes(rows.type))}));
  Kernel k(lowering, name, lowering.loc);
  Team team(k, rows.length);
  Value kept = inScratch ? team.scratch(*length * storageBytes(rows.type)) : buffer ? k.argument(buffer) : Value();
  k.loop(k.lo(), k.hi(), [&](Value row) {
    emitRow(k, team, rows, row, kept, inScratch || !kept ? k.constant(0) : k.mul(row, k.dim(rows.length)));
  });
  k.launch(rows.count, dims.product({rows.count, rows.length, dims.constant(4)}));
}
