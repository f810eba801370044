#include "qcc/Tile/Sum.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

SmallVector<Value> qcc::sumsOf(Kernel &k, Value from, Value to, ArrayRef<Type> types,
                               llvm::function_ref<SmallVector<Value>(Value)> terms) {
  SmallVector<Value> zeros;
  for (Type type : types)
    zeros.push_back(numberConstant(k.b, type, 0));
  return k.loop(from, to, zeros, [&](Value i, ValueRange sums) {
    SmallVector<Value> next;
    for (auto [sum, term] : llvm::zip(sums, terms(i)))
      next.push_back(isa<FloatType>(term.getType())
                         ? Value(arith::AddFOp::create(k.b, sum, term,
                                                       arith::FastMathFlags::reassoc | arith::FastMathFlags::contract))
                         : Value(arith::AddIOp::create(k.b, sum, term)));
    return next;
  });
}

Value qcc::sumOf(Kernel &k, Value from, Value to, Type type, llvm::function_ref<Value(Value)> term) {
  return sumsOf(k, from, to, {type}, [&](Value i) { return SmallVector<Value>{term(i)}; })[0];
}
