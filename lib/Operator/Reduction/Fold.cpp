#include "Fold.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t rowBlock = 1024; // terms of partial sums: a vector lane has a few dozen of them

Value qcc::combine(Kernel &k, Fold fold, Type element, Value x, Value y) {
  auto &b = k.b;
  constexpr auto anyOrder = arith::FastMathFlags::reassoc | arith::FastMathFlags::contract;
  constexpr auto anyZero = LLVM::FastmathFlags::nsz;
  bool real = isFloat(element), isSigned = !isUnsigned(element);
  switch (fold) {
  case Fold::Sum:
    return real ? Value(arith::AddFOp::create(b, x, y, anyOrder)) : Value(arith::AddIOp::create(b, x, y));
  case Fold::Product:
    return real ? Value(arith::MulFOp::create(b, x, y, anyOrder)) : Value(arith::MulIOp::create(b, x, y));
  case Fold::Largest:
    // LLVM's own operation, which its vectorizer knows in loops.
    if (real)
      return LLVM::MaximumOp::create(b, x.getType(), x, y, anyZero);
    return isSigned ? Value(arith::MaxSIOp::create(b, x, y)) : Value(arith::MaxUIOp::create(b, x, y));
  case Fold::Smallest:
    if (real)
      return LLVM::MinimumOp::create(b, x.getType(), x, y, anyZero);
    return isSigned ? Value(arith::MinSIOp::create(b, x, y)) : Value(arith::MinUIOp::create(b, x, y));
  }
  llvm_unreachable("all folds are handled");
}

Value qcc::identity(Kernel &k, Fold fold, Type element) {
  switch (fold) {
  case Fold::Sum:
    return numberConstant(k.b, element, 0);
  case Fold::Product:
    return numberConstant(k.b, element, 1);
  case Fold::Largest:
    return lowestNumber(k.b, element);
  case Fold::Smallest:
    return highestNumber(k.b, element);
  }
  llvm_unreachable("all folds are handled");
}

Type qcc::wideType(Fold fold, Type element) {
  bool rounds = fold == Fold::Sum || fold == Fold::Product;
  return rounds && isFloat(element) ? Float64Type::get(element.getContext()) : element;
}

Value qcc::foldRow(Kernel &k, Fold fold, Type element, Dim length, llvm::function_ref<Value(Value)> term, Value start,
                   const Team *team) {
  Type wide = wideType(fold, element);
  if (!start)
    start = identity(k, fold, wide);
  if (team && !team->isOne()) {
    // No thread has so many terms that their sum needs a wider type; errors of products add up relative to all of it.
    Type type = fold == Fold::Product ? wide : element;
    auto both = [&](Value x, Value y) { return combine(k, fold, type, x, y); };
    Value mine = team->each(k.constant(0), k.dim(length), identity(k, fold, type), [&](Value i, ValueRange carried) {
      return SmallVector<Value>{both(carried[0], castNumber(k.b, term(i), element, type))};
    })[0];
    return combine(k, fold, wide, start, castNumber(k.b, team->across(mine, both), type, wide));
  }
  auto part = [&](Value from, Value to) {
    Value folded = k.loop(from, to, identity(k, fold, element), [&](Value i, ValueRange carried) {
      return SmallVector<Value>{combine(k, fold, element, carried[0], term(i))};
    })[0];
    return castNumber(k.b, folded, element, wide);
  };
  Value end = k.dim(length);
  auto known = constantOf(length);
  if (wide == element || (known && *known <= rowBlock))
    return combine(k, fold, wide, start, part(k.constant(0), end));
  Value blocks = k.dim(k.lowering.dims.ceilDiv(length, rowBlock));
  return k.loop(k.constant(0), blocks, start, [&](Value block, ValueRange carried) {
    Value from = k.mul(block, k.constant(rowBlock)), to = k.min(k.add(from, k.constant(rowBlock)), end);
    return SmallVector<Value>{combine(k, fold, wide, carried[0], part(from, to))};
  })[0];
}
