#include "qcc/Tile/ToLlvm.h"
#include "mlir/IR/IRMapping.h"
#include "qcc/Runtime/Abi.h"
#include <cstddef>

using namespace mlir;
using namespace qcc;

static constexpr int64_t splitWork = 1 << 15; // scalar operations below which a second thread costs more than it brings
static constexpr int64_t slotAlignment = 64;

namespace {
/// Where a program keeps things in its table: arena bytes, state lengths, symbols, slot offsets.
struct TableLayout {
  int64_t states, symbols, slots, length;
  TableLayout(size_t stateCount, size_t symbolCount, size_t slotCount)
      : states(1), symbols(states + stateCount), slots(symbols + symbolCount), length(slots + slotCount) {}
};

/// Building LLVM-dialect code in few words.
struct Code {
  ImplicitLocOpBuilder b;
  Type i64, f64, ptr;
  explicit Code(Location loc) : b(loc, loc.getContext()) {
    i64 = b.getI64Type(), f64 = b.getF64Type(), ptr = LLVM::LLVMPointerType::get(b.getContext());
  }
  Value c(int64_t v) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(v)); }
  Value at(Value base, int64_t bytes) {
    return LLVM::GEPOp::create(b, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{int32_t(bytes)},
                               LLVM::GEPNoWrapFlags::inbounds);
  }
  Value at(Value base, Value bytes) {
    return LLVM::GEPOp::create(b, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{bytes},
                               LLVM::GEPNoWrapFlags::inbounds);
  }
  Value load(Type type, Value address) { return LLVM::LoadOp::create(b, type, address, 8); }
  void store(Value value, Value address) { LLVM::StoreOp::create(b, value, address, 8); }
  Value is(arith::CmpIPredicate p, Value x, Value y) { return arith::CmpIOp::create(b, p, x, y); }
  Value pick(Value condition, Value x, Value y) { return arith::SelectOp::create(b, condition, x, y); }
  void when(Value condition, llvm::function_ref<void()> body) {
    auto op = scf::IfOp::create(b, condition, false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.thenBlock());
    body();
  }
  LLVM::LLVMFuncOp function(ModuleOp module, StringRef name, Type result, ArrayRef<Type> arguments) {
    b.setInsertionPointToEnd(module.getBody());
    auto fn =
        LLVM::LLVMFuncOp::create(b, name, LLVM::LLVMFunctionType::get(result, arguments), LLVM::Linkage::Internal);
    b.setInsertionPointToStart(fn.addEntryBlock(b));
    return fn;
  }
  void callThrough(Value frame, size_t field, Type result, ArrayRef<Value> arguments, Value *out = nullptr) {
    Value target = load(ptr, at(frame, int64_t(field)));
    SmallVector<Value> operands = {target};
    operands.append(arguments.begin(), arguments.end());
    SmallVector<Type> types;
    for (Value argument : arguments)
      types.push_back(argument.getType());
    auto type = LLVM::LLVMFunctionType::get(result, types);
    auto call = LLVM::CallOp::create(b, type, operands);
    if (out)
      *out = call.getResult();
  }
};

/// The `plan` function: dimension symbols from the inputs' sizes, checks, slot offsets.
class PlanWriter : Code {
public:
  PlanWriter(ModuleOp module, const Dimensions &dims, const ProgramSignature &signature, const TableLayout &table)
      : Code(module.getLoc()), module(module), dims(dims), signature(signature), table(table) {}
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
  auto fn = function(module, "plan", i64, {ptr, ptr, ptr});
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

namespace {
/// The `run` function: tile operations become loads from the frame, calls and barriers.
///
/// What the threads have done since the last barrier is kept in `pending` and is the same on every thread: nothing,
/// work of thread 0 alone, or work (or reads) of all threads. Two launches of thread 0 need no barrier between them.
class RunWriter : Code {
public:
  RunWriter(ModuleOp module, const TableLayout &table) : Code(module.getLoc()), module(module), table(table) {}
  void write(func::FuncOp source);

private:
  enum Pending { Nothing = 0, Serial = 1, Parallel = 2 };
  void writeBarrier();
  void writeRange();
  void writeRequire();
  void sync() { LLVM::CallOp::create(b, barrierFn, ValueRange{frame, thread, pending}); }
  void mark(Pending state) { store(c(state), pending); }
  Value convert(Operation *op);
  Value allocate(Value bytes);
  Value reuse(Value bytes);

  ModuleOp module;
  const TableLayout &table;
  LLVM::LLVMFuncOp barrierFn, rangeFn, requireFn;
  Value frame, thread, pending, scratch, dimsArray;
};
} // namespace

/// void sync(frame, thread, pending): a barrier unless nothing happened since the last one.
void RunWriter::writeBarrier() {
  barrierFn = function(module, "sync", LLVM::LLVMVoidType::get(b.getContext()), {ptr, i64, ptr});
  Value f = barrierFn.getArgument(0), t = barrierFn.getArgument(1), p = barrierFn.getArgument(2);
  Value needed =
      arith::AndIOp::create(b, is(arith::CmpIPredicate::ne, load(i64, p), c(Nothing)),
                            is(arith::CmpIPredicate::ne, load(i64, at(f, offsetof(qcc_frame, threads))), c(1)));
  when(needed, [&] { callThrough(f, offsetof(qcc_frame, barrier), LLVM::LLVMVoidType::get(b.getContext()), {f, t}); });
  store(c(Nothing), p);
  LLVM::ReturnOp::create(b, ValueRange{});
}

/// i64 range(frame, thread, pending, units, work, end*): this thread's first unit, and its end through the pointer;
/// synchronizes before.
void RunWriter::writeRange() {
  rangeFn = function(module, "range", i64, {ptr, i64, ptr, i64, i64, ptr});
  auto arg = [&](int i) -> Value { return rangeFn.getArgument(i); };
  Value threads = load(i64, at(arg(0), offsetof(qcc_frame, threads)));
  Value units = arg(3), first = is(arith::CmpIPredicate::eq, arg(1), c(0));
  Value serial = arith::OrIOp::create(b, is(arith::CmpIPredicate::slt, arg(4), c(splitWork)),
                                      is(arith::CmpIPredicate::slt, units, c(2)));
  serial = arith::OrIOp::create(b, serial, is(arith::CmpIPredicate::eq, threads, c(1)));
  Value kind = pick(serial, c(Serial), c(Parallel));
  // Serial after serial goes on without a barrier; everything else meets first.
  Value meets = arith::OrIOp::create(b, is(arith::CmpIPredicate::ne, kind, c(Serial)),
                                     is(arith::CmpIPredicate::ne, load(i64, arg(2)), c(Serial)));
  when(meets, [&] { LLVM::CallOp::create(b, barrierFn, ValueRange{arg(0), arg(1), arg(2)}); });
  store(kind, arg(2));
  Value share = arith::DivUIOp::create(b, units, threads), rest = arith::RemUIOp::create(b, units, threads);
  auto start = [&](Value t) -> Value {
    return arith::AddIOp::create(b, arith::MulIOp::create(b, share, t), arith::MinUIOp::create(b, rest, t));
  };
  Value lo = pick(serial, c(0), start(arg(1)));
  Value hi = pick(serial, pick(first, units, c(0)), start(arith::AddIOp::create(b, arg(1), c(1))));
  store(hi, arg(5));
  LLVM::ReturnOp::create(b, lo);
}

/// void require(frame, thread, pending, condition, node): unless the condition holds, thread 0 notes the node and ends
/// the run by asking for an impossible amount of memory; the others end at the barrier.
void RunWriter::writeRequire() {
  requireFn = function(module, "require", LLVM::LLVMVoidType::get(b.getContext()), {ptr, i64, ptr, b.getI1Type(), i64});
  auto arg = [&](int i) -> Value { return requireFn.getArgument(i); };
  Value failed = arith::XOrIOp::create(b, arg(3), arith::ConstantOp::create(b, b.getBoolAttr(true)));
  when(failed, [&] {
    when(is(arith::CmpIPredicate::eq, arg(1), c(0)), [&] {
      Value error = at(arg(0), offsetof(qcc_frame, error)), before = load(i64, error);
      store(pick(is(arith::CmpIPredicate::eq, before, c(0)), arg(4), before), error);
      callThrough(arg(0), offsetof(qcc_frame, allocate), ptr, {arg(0), c(-1)});
    });
    store(c(Serial), arg(2));
    LLVM::CallOp::create(b, barrierFn, ValueRange{arg(0), arg(1), arg(2)});
  });
  LLVM::ReturnOp::create(b, ValueRange{});
}

Value RunWriter::allocate(Value bytes) {
  sync();
  when(is(arith::CmpIPredicate::eq, thread, c(0)), [&] {
    Value made;
    callThrough(frame, offsetof(qcc_frame, allocate), ptr, {frame, bytes}, &made);
    store(made, at(frame, offsetof(qcc_frame, exchange)));
  });
  mark(Serial);
  sync();
  Value made = load(ptr, at(frame, offsetof(qcc_frame, exchange)));
  mark(Parallel); // thread 0 must not exchange another pointer before all have read this one
  return made;
}

/// Storage in a loop: that of the iteration before, while it is large enough. Every thread remembers its address and
/// size.
Value RunWriter::reuse(Value bytes) {
  Value memory, room;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(pending.getDefiningOp());
    memory = LLVM::AllocaOp::create(b, ptr, ptr, c(1), 8);
    room = LLVM::AllocaOp::create(b, ptr, i64, c(1), 8);
    store(c(-1), room);
  }
  Value has = load(i64, room);
  bytes = arith::MaxSIOp::create(b, bytes, c(0));
  when(is(arith::CmpIPredicate::slt, has, bytes), [&] {
    Value more = arith::MaxSIOp::create(b, bytes, arith::AddIOp::create(b, has, has)); // grows by doubling
    store(allocate(more), memory);
    store(more, room);
  });
  return load(ptr, memory);
}

Value RunWriter::convert(Operation *op) {
  b.setInsertionPoint(op);
  b.setLoc(op->getLoc());
  auto field = [&](size_t offset) { return load(ptr, at(frame, int64_t(offset))); };
  auto entry = [&](Value array, int64_t i) { return load(ptr, at(array, 8 * i)); };
  if (auto symbol = dyn_cast<tile::SymbolOp>(op))
    return load(i64, at(field(offsetof(qcc_frame, table)), 8 * (table.symbols + symbol.getIndex())));
  if (auto input = dyn_cast<tile::InputOp>(op))
    return entry(field(offsetof(qcc_frame, inputs)), input.getIndex());
  if (auto state = dyn_cast<tile::StateOp>(op))
    return entry(field(offsetof(qcc_frame, states)), state.getIndex());
  if (auto weight = dyn_cast<tile::WeightOp>(op))
    return at(field(offsetof(qcc_frame, weights)), c(weight.getOffset()));
  if (isa<tile::ErrorOp>(op))
    return at(frame, offsetof(qcc_frame, error));
  if (auto part = dyn_cast<tile::ThreadScratchOp>(op))
    return part.getOffset() ? at(scratch, c(part.getOffset())) : scratch;
  if (auto require = dyn_cast<tile::RequireOp>(op)) {
    LLVM::CallOp::create(b, requireFn,
                         ValueRange{frame, thread, pending, require.getCondition(), c(require.getNode())});
    return {};
  }
  Value isFirst = is(arith::CmpIPredicate::eq, thread, c(0));
  if (auto output = dyn_cast<tile::OutputOp>(op)) {
    when(isFirst, [&] {
      for (auto [i, dim] : llvm::enumerate(output.getDims()))
        store(dim, at(dimsArray, int64_t(8 * i)));
      Value made;
      callThrough(frame, offsetof(qcc_frame, output), ptr, {frame, c(output.getIndex()), dimsArray}, &made);
    });
    mark(Serial);
    // Storage of outputs is asked for in a row when the run starts: one barrier serves them all.
    Operation *next = op->getNextNode();
    while (next && !isa<tile::OutputOp, tile::LaunchOp, tile::ReadOp, tile::BufferOp>(next) &&
           next->getNumRegions() == 0)
      next = next->getNextNode();
    if (!isa_and_present<tile::OutputOp>(next))
      sync();
    return {}; // the pointer is loaded where it is used
  }
  if (auto buffer = dyn_cast<tile::BufferOp>(op)) {
    if (buffer.getSlot())
      return at(field(offsetof(qcc_frame, arena)),
                load(i64, at(field(offsetof(qcc_frame, table)), 8 * (table.slots + int64_t(*buffer.getSlot())))));
    if (!isRepeated(op) || outlivesIteration(buffer))
      return allocate(buffer.getBytes());
    return reuse(buffer.getBytes());
  }
  if (auto read = dyn_cast<tile::ReadOp>(op)) {
    sync();
    Type element = read.getType(), storage = storageType(element);
    Value address = LLVM::GEPOp::create(b, ptr, storage, read.getData(), ArrayRef<LLVM::GEPArg>{read.getElement()});
    Value value = LLVM::LoadOp::create(b, storage, address, storageBytes(element));
    mark(Parallel); // nobody may overwrite it before all have read it
    if (storage.getIntOrFloatBitWidth() < 64)
      value = isUnsigned(element) ? Value(arith::ExtUIOp::create(b, i64, value))
                                  : Value(arith::ExtSIOp::create(b, i64, value));
    return value;
  }
  auto launch = cast<tile::LaunchOp>(op);
  Value end = at(dimsArray, 0);
  Value lo =
      LLVM::CallOp::create(b, rangeFn, ValueRange{frame, thread, pending, launch.getUnits(), launch.getWork(), end})
          .getResult();
  Value hi = load(i64, end);
  when(is(arith::CmpIPredicate::slt, lo, hi), [&] {
    SmallVector<Value> arguments = {lo, hi};
    llvm::append_range(arguments, launch.getArguments());
    LLVM::CallOp::create(b, TypeRange{}, launch.getKernelAttr(), arguments);
  });
  return {};
}

void RunWriter::write(func::FuncOp source) {
  writeBarrier();
  writeRange();
  if (source.walk([](tile::RequireOp) { return WalkResult::interrupt(); }).wasInterrupted())
    writeRequire();
  int64_t scratchBytes = 0, rank = 1;
  source.walk([&](Operation *op) {
    if (auto need = dyn_cast<tile::ThreadScratchOp>(op))
      scratchBytes = std::max<int64_t>(scratchBytes, need.getOffset() + need.getBytes());
    if (auto output = dyn_cast<tile::OutputOp>(op))
      rank = std::max<int64_t>(rank, output.getDims().size());
  });
  auto run = function(module, "run_program", LLVM::LLVMVoidType::get(b.getContext()), {ptr, i64});
  frame = run.getArgument(0), thread = run.getArgument(1);
  pending = LLVM::AllocaOp::create(b, ptr, i64, c(1), 8);
  dimsArray = LLVM::AllocaOp::create(b, ptr, i64, c(rank), 8);
  if (scratchBytes)
    scratch = LLVM::AllocaOp::create(b, ptr, b.getI8Type(), c(scratchBytes), slotAlignment);
  mark(Nothing);
  Block *body = &source.getBody().front();
  Operation *end = body->getTerminator();
  Block &entry = run.getBody().front();
  entry.getOperations().splice(entry.end(), body->getOperations(), body->begin(), end->getIterator());
  source.erase();
  SmallVector<Operation *> operations;
  run.walk([&](Operation *op) {
    if (isa<tile::TileDialect>(op->getDialect()))
      operations.push_back(op);
  });
  for (Operation *op : operations) {
    Value result = convert(op);
    if (auto output = dyn_cast<tile::OutputOp>(op))
      for (OpOperand &use : llvm::make_early_inc_range(output.getData().getUses())) {
        b.setInsertionPoint(use.getOwner());
        Value outputs = load(ptr, at(frame, offsetof(qcc_frame, outputs)));
        use.set(load(ptr, at(outputs, 8 * int64_t(output.getIndex()))));
      }
    else if (result)
      op->getResult(0).replaceAllUsesWith(result);
    op->erase();
  }
  b.setInsertionPointToEnd(&entry);
  LLVM::ReturnOp::create(b, ValueRange{});
}

LogicalResult qcc::convertProgram(ModuleOp module, const Dimensions &dims, const ProgramSignature &signature) {
  auto source = module.lookupSymbol<func::FuncOp>("run");
  SmallVector<SmallVector<Dim>> slots = planMemory(source);
  SmallVector<Attribute> sizes;
  for (ArrayRef<Dim> slot : slots)
    sizes.push_back(AffineMapAttr::get(dims.map(slot)));
  module->setAttr(slotsAttr, ArrayAttr::get(module.getContext(), sizes));
  TableLayout table(signature.states.size(), dims.symbols().size(), slots.size());
  if (table.length > QCC_MAX_TABLE_LENGTH)
    return emitError(module.getLoc()) << "the program has " << table.length << " sizes to keep, more than "
                                      << QCC_MAX_TABLE_LENGTH;
  RunWriter(module, table).write(source);
  if (failed(PlanWriter(module, dims, signature, table).write(slots)))
    return failure();

  Code code(module.getLoc());
  auto &b = code.b;
  b.setInsertionPointToEnd(module.getBody());
  SmallVector<Type> fields(5, code.i64);
  fields.append(2, code.ptr);
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), fields);
  auto descriptor =
      LLVM::GlobalOp::create(b, type, /*isConstant=*/true, LLVM::Linkage::External, QCC_PROGRAM_SYMBOL, Attribute(), 8);
  b.createBlock(&descriptor.getInitializerRegion());
  Value value = LLVM::UndefOp::create(b, type);
  int64_t numbers[] = {QCC_ABI_VERSION, table.length, int64_t(signature.inputs.size()), int64_t(signature.outputs),
                       int64_t(signature.states.size())};
  for (auto [i, number] : llvm::enumerate(numbers))
    value = LLVM::InsertValueOp::create(b, value, LLVM::ConstantOp::create(b, code.i64, b.getI64IntegerAttr(number)),
                                        int64_t(i));
  StringRef functions[] = {"plan", "run_program"};
  for (auto [i, name] : llvm::enumerate(functions))
    value = LLVM::InsertValueOp::create(b, value, LLVM::AddressOfOp::create(b, code.ptr, name), int64_t(5 + i));
  LLVM::ReturnOp::create(b, value);
  return success();
}
