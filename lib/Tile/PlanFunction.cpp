#include "HostFunction.h"

using namespace mlir;
using namespace qcc;

namespace {
/// The `plan` function: dimension symbols from the inputs' sizes, checks, slot offsets.
class PlanWriter : HostFunction {
public:
  PlanWriter(ModuleOp module, const Dimensions &dims, const ProgramSignature &signature, const TableLayout &table)
      : HostFunction(module.getLoc()), module(module), dims(dims), signature(signature), table(table) {}
  LogicalResult write(ArrayRef<SmallVector<Dim>> slots);

private:
  Value integer(Dim dim);
  Value real(Dim dim); // the same value in floating point, where nothing overflows
  Value binary(AffineExprKind kind, Value x, Value y);
  bool isKnown(Dim dim);
  LogicalResult bind(ArrayRef<Value> sizes, ArrayRef<Dim> expected, std::vector<bool> &used);

  ModuleOp module;
  const Dimensions &dims;
  const ProgramSignature &signature;
  const TableLayout &table;
  llvm::DenseMap<unsigned, Value> symbols, reals;
  llvm::DenseSet<unsigned> derivable; // symbols whose operands are all known
};
} // namespace

Value PlanWriter::binary(AffineExprKind kind, Value x, Value y) {
  switch (kind) {
  case AffineExprKind::Add:
    return arith::AddIOp::create(b, x, y);
  case AffineExprKind::Mul:
    return arith::MulIOp::create(b, x, y);
  case AffineExprKind::FloorDiv:
    return arith::FloorDivSIOp::create(b, x, y);
  case AffineExprKind::CeilDiv:
    return arith::CeilDivSIOp::create(b, x, y);
  default: {
    Value remainder = arith::RemSIOp::create(b, x, y);
    return pick(is(arith::CmpIPredicate::slt, remainder, c(0)), arith::AddIOp::create(b, remainder, y), remainder);
  }
  }
}

Value PlanWriter::integer(Dim dim) {
  if (auto value = constantOf(dim))
    return c(*value);
  if (auto op = dyn_cast<AffineBinaryOpExpr>(dim))
    return binary(op.getKind(), integer(op.getLHS()), integer(op.getRHS()));
  unsigned position = cast<AffineSymbolExpr>(dim).getPosition();
  if (auto it = symbols.find(position); it != symbols.end())
    return it->second;
  const Dimensions::Symbol &symbol = dims.symbols()[position];
  SmallVector<Value> v;
  for (Dim operand : symbol.operands)
    v.push_back(integer(operand));
  Value result;
  switch (symbol.kind) {
  case Dimensions::Kind::Max:
    result = arith::MaxSIOp::create(b, v[0], v[1]);
    break;
  case Dimensions::Kind::Min:
    result = arith::MinSIOp::create(b, v[0], v[1]);
    break;
  case Dimensions::Kind::IfEqual:
    result = pick(is(arith::CmpIPredicate::eq, v[0], v[1]), v[2], v[3]);
    break;
  case Dimensions::Kind::IfNegative:
    result = pick(is(arith::CmpIPredicate::slt, v[0], c(0)), v[1], v[2]);
    break;
  case Dimensions::Kind::FloorDiv: {
    Value zero = is(arith::CmpIPredicate::eq, v[1], c(0));
    result = pick(zero, c(0), arith::FloorDivSIOp::create(b, v[0], pick(zero, c(1), v[1])));
    break;
  }
  case Dimensions::Kind::Input:
  case Dimensions::Kind::Runtime:
    llvm::report_fatal_error("plan reads a dimension that is not known when a run starts");
  }
  return symbols[position] = result;
}

Value PlanWriter::real(Dim dim) {
  if (auto op = dyn_cast<AffineBinaryOpExpr>(dim);
      op && (op.getKind() == AffineExprKind::Add || op.getKind() == AffineExprKind::Mul)) {
    Value x = real(op.getLHS()), y = real(op.getRHS());
    return op.getKind() == AffineExprKind::Add ? Value(arith::AddFOp::create(b, x, y))
                                               : Value(arith::MulFOp::create(b, x, y));
  }
  return arith::SIToFPOp::create(b, f64, integer(dim));
}

bool PlanWriter::isKnown(Dim dim) {
  bool known = true;
  dim.walk([&](AffineExpr part) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(part)) {
      const Dimensions::Symbol &entry = dims.symbols()[symbol.getPosition()];
      if (symbols.contains(symbol.getPosition()) || derivable.contains(symbol.getPosition()))
        return;
      bool follows =
          !entry.operands.empty() && llvm::all_of(entry.operands, [&](Dim operand) { return isKnown(operand); });
      if (follows) // what is known stays so
        derivable.insert(symbol.getPosition());
      known &= follows;
    }
  });
  return known;
}

LogicalResult PlanWriter::bind(ArrayRef<Value> sizes, ArrayRef<Dim> expected, std::vector<bool> &used) {
  auto set = [&](Dim symbol, Value value) { symbols[cast<AffineSymbolExpr>(symbol).getPosition()] = value; };
  for (auto [i, dim] : llvm::enumerate(expected))
    if (isa<AffineSymbolExpr>(dim) && !isKnown(dim)) {
      set(dim, sizes[i]);
      used[i] = true;
    }
  // What is left is a sum with one unknown symbol in it: the rest is subtracted from the input's size.
  for (bool progress = true; progress;) {
    progress = false;
    for (auto [i, dim] : llvm::enumerate(expected)) {
      auto sum = dyn_cast<AffineBinaryOpExpr>(dim);
      if (!sum || sum.getKind() != AffineExprKind::Add || isKnown(dim))
        continue;
      for (auto [unknown, rest] : {std::pair(sum.getLHS(), sum.getRHS()), std::pair(sum.getRHS(), sum.getLHS())})
        if (isa<AffineSymbolExpr>(unknown) && !isKnown(unknown) && isKnown(rest)) {
          set(unknown, arith::SubIOp::create(b, sizes[i], integer(rest)));
          progress = true;
          break;
        }
    }
  }
  for (auto [i, dim] : llvm::enumerate(expected))
    if (!isKnown(dim)) {
      std::string text;
      llvm::raw_string_ostream(text) << dim;
      return emitError(module.getLoc()) << "the length '" << text
                                        << "' of an input cannot be told from the inputs' dimensions";
    }
  return success();
}

LogicalResult PlanWriter::write(ArrayRef<SmallVector<Dim>> slots) {
  auto fn = begin(module, "plan", i64, {ptr, ptr, ptr});
  Value inputDims = fn.getArgument(0), stateDims = fn.getArgument(1), out = fn.getArgument(2);
  for (auto [i, state] : llvm::enumerate(signature.states))
    for (auto [j, symbol] : {std::pair(0, state.length), std::pair(1, state.capacity)})
      symbols[cast<AffineSymbolExpr>(symbol).getPosition()] = load(i64, at(stateDims, int64_t(16 * i + 8 * j)));
  SmallVector<Dim> expected;
  SmallVector<Value> sizes;
  for (const auto &input : signature.inputs)
    for (Dim dim : input) {
      sizes.push_back(load(i64, at(inputDims, int64_t(8 * expected.size()))));
      expected.push_back(dim);
    }
  std::vector<bool> used(expected.size());
  if (failed(bind(sizes, expected, used)))
    return failure();
  Value result = c(0);
  auto complain = [&](Value wrong, Value code) {
    result = pick(arith::AndIOp::create(b, wrong, is(arith::CmpIPredicate::eq, result, c(0))), code, result);
  };
  for (size_t i = 0; i < expected.size(); ++i) {
    Value wrong = is(arith::CmpIPredicate::slt, sizes[i], c(0));
    if (!used[i])
      wrong = arith::OrIOp::create(b, wrong, is(arith::CmpIPredicate::ne, sizes[i], integer(expected[i])));
    complain(wrong, c(int64_t(i) + 1));
  }
  for (auto [i, state] : llvm::enumerate(signature.states))
    store(integer(state.lengthAfter), at(out, 8 * (table.states + int64_t(i))));
  for (auto [i, symbol] : llvm::enumerate(dims.symbols())) {
    Dim dim = getAffineSymbolExpr(i, b.getContext());
    if (!dims.isRuntime(dim) && isKnown(dim))
      store(integer(dim), at(out, 8 * (table.symbols + int64_t(i))));
  }
  Value offset = c(0), total = arith::ConstantOp::create(b, b.getF64FloatAttr(0));
  for (auto [i, slot] : llvm::enumerate(slots)) {
    Value size = c(0), sizeReal = arith::ConstantOp::create(b, b.getF64FloatAttr(0));
    for (Dim dim : slot) {
      size = arith::MaxSIOp::create(b, size, integer(dim));
      sizeReal = arith::MaximumFOp::create(b, sizeReal, real(dim));
    }
    store(offset, at(out, 8 * (table.slots + int64_t(i))));
    total = arith::AddFOp::create(b, total, sizeReal);
    Value end = arith::AddIOp::create(b, arith::AddIOp::create(b, offset, size), c(slotAlignment - 1));
    offset = arith::AndIOp::create(b, end, c(-slotAlignment));
  }
  store(offset, out);
  Value tooLarge = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, total,
                                         arith::ConstantOp::create(b, b.getF64FloatAttr(0x1p46)));
  complain(tooLarge, c(-1));
  LLVM::ReturnOp::create(b, result);
  return success();
}

LogicalResult qcc::writePlan(ModuleOp module, const Dimensions &dims, const ProgramSignature &signature,
                             const TableLayout &table, ArrayRef<SmallVector<Dim>> slots) {
  return PlanWriter(module, dims, signature, table).write(slots);
}
