// Programs for the threads of a CPU.
#include "RunFunction.h"
#include "qcc/Runtime/Abi.h"
#include <cstddef>

using namespace mlir;
using namespace qcc;

static constexpr int64_t splitWork = 1 << 15; // scalar operations below which a second thread costs more than it brings

namespace {
/// What the threads have done since the last barrier is kept in `pending` and is the same on every thread: nothing,
/// work of thread 0 alone, or work (or reads) of all threads. Two launches of thread 0 need no barrier between them.
class ThreadedRun : public RunFunction {
public:
  using RunFunction::RunFunction;
  void writeFunctions(func::FuncOp source);

private:
  enum Pending { Nothing = 0, Serial = 1, Parallel = 2 };
  void writeBarrier();
  void writeRange();
  void writeRequire();
  void sync() { LLVM::CallOp::create(b, barrierFn, ValueRange{frame, thread, pending}); }
  void mark(Pending state) { store(c(state), pending); }

  void prologue(func::FuncOp source) override;
  void launch(tile::LaunchOp op) override;
  Value read(tile::ReadOp op) override;
  Value error() override { return at(frame, offsetof(qcc_frame, error)); }
  Value scratch(tile::ThreadScratchOp part) override {
    return part.getOffset() ? at(scratchArea, c(part.getOffset())) : scratchArea;
  }
  void require(tile::RequireOp op) override;
  void makeOutput(tile::OutputOp op) override;
  Value allocate(Value bytes) override;

  LLVM::LLVMFuncOp barrierFn, rangeFn, requireFn;
  Value pending, scratchArea, rangeEnd;
};
} // namespace

/// void sync(frame, thread, pending): a barrier unless nothing happened since the last one.
void ThreadedRun::writeBarrier() {
  barrierFn = begin(module, "sync", LLVM::LLVMVoidType::get(b.getContext()), {ptr, i64, ptr});
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
void ThreadedRun::writeRange() {
  rangeFn = begin(module, "range", i64, {ptr, i64, ptr, i64, i64, ptr});
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
void ThreadedRun::writeRequire() {
  requireFn = begin(module, "require", LLVM::LLVMVoidType::get(b.getContext()), {ptr, i64, ptr, b.getI1Type(), i64});
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

void ThreadedRun::writeFunctions(func::FuncOp source) {
  writeBarrier();
  writeRange();
  if (source.walk([](tile::RequireOp) { return WalkResult::interrupt(); }).wasInterrupted())
    writeRequire();
  write(source);
}

void ThreadedRun::prologue(func::FuncOp source) {
  int64_t scratchBytes = 0;
  source.walk([&](tile::ThreadScratchOp need) {
    scratchBytes = std::max<int64_t>(scratchBytes, need.getOffset() + need.getBytes());
  });
  pending = LLVM::AllocaOp::create(b, ptr, i64, c(1), 8);
  rangeEnd = LLVM::AllocaOp::create(b, ptr, i64, c(1), 8);
  if (scratchBytes)
    scratchArea = LLVM::AllocaOp::create(b, ptr, b.getI8Type(), c(scratchBytes), slotAlignment);
  mark(Nothing);
}

Value ThreadedRun::allocate(Value bytes) {
  sync();
  when(is(arith::CmpIPredicate::eq, thread, c(0)), [&] {
    Value made = callThrough(frame, offsetof(qcc_frame, allocate), ptr, {frame, bytes});
    store(made, at(frame, offsetof(qcc_frame, exchange)));
  });
  mark(Serial);
  sync();
  Value made = load(ptr, at(frame, offsetof(qcc_frame, exchange)));
  mark(Parallel); // thread 0 must not exchange another pointer before all have read this one
  return made;
}

void ThreadedRun::require(tile::RequireOp op) {
  LLVM::CallOp::create(b, requireFn, ValueRange{frame, thread, pending, op.getCondition(), c(op.getNode())});
}

void ThreadedRun::makeOutput(tile::OutputOp op) {
  when(is(arith::CmpIPredicate::eq, thread, c(0)), [&] { callOutput(op); });
  mark(Serial);
  // Storage of outputs is asked for in a row when the run starts: one barrier serves them all.
  Operation *next = op->getNextNode();
  while (next && !isa<tile::OutputOp, tile::LaunchOp, tile::ReadOp, tile::BufferOp>(next) && next->getNumRegions() == 0)
    next = next->getNextNode();
  if (!isa_and_present<tile::OutputOp>(next))
    sync();
}

Value ThreadedRun::read(tile::ReadOp op) {
  sync();
  Value address =
      LLVM::GEPOp::create(b, ptr, storageType(op.getType()), op.getData(), ArrayRef<LLVM::GEPArg>{op.getElement()});
  Value value = loadInteger(address, op.getType());
  mark(Parallel); // nobody may overwrite it before all have read it
  return value;
}

void ThreadedRun::launch(tile::LaunchOp op) {
  Value lo = LLVM::CallOp::create(b, rangeFn, ValueRange{frame, thread, pending, op.getUnits(), op.getWork(), rangeEnd})
                 .getResult();
  Value hi = load(i64, rangeEnd);
  when(is(arith::CmpIPredicate::slt, lo, hi), [&] {
    SmallVector<Value> arguments = {lo, hi};
    llvm::append_range(arguments, op.getArguments());
    LLVM::CallOp::create(b, TypeRange{}, op.getKernelAttr(), arguments);
  });
}

void qcc::writeThreadedRun(ModuleOp module, const TableLayout &table, func::FuncOp source) {
  ThreadedRun(module, table).writeFunctions(source);
}
