#include "CopyRing.h"

using namespace mlir;
using namespace qcc;

CopyRing::CopyRing(ThreadBlock &block, int64_t stages, int64_t stageBytes, int64_t readers)
    : t(block), k(block.k), b(block.b), stages(stages), stageBytes(stageBytes), readers(readers),
      area(t.shared(stages * stageBytes, alignment)), barriers(t.shared(stages * barrierBytes, 8)) {}

CopyRing::Turn CopyRing::first() { return {k.constant(0), t.integer(0)}; }

CopyRing::Turn CopyRing::next(Turn turn) {
  Value stage = k.add(turn.stage, k.constant(1)), isOver = k.equal(stage, k.constant(stages));
  return {k.select(isOver, k.constant(0), stage),
          arith::XOrIOp::create(b, turn.parity, arith::ExtUIOp::create(b, t.i32, isOver))};
}

Value CopyRing::at(Value stage) { return t.at(area, k.mul(stage, k.constant(stageBytes))); }

static Value sharedAddress(ThreadBlock &t, Value pointer) { return LLVM::PtrToIntOp::create(t.b, t.i32, pointer); }

Value CopyRing::barrier(Value stage, bool isFull) {
  return sharedAddress(t, t.at(t.at(barriers, isFull ? 0 : 8), k.mul(stage, k.constant(barrierBytes))));
}

void CopyRing::initialise() {
  k.when(k.equal(t.thread(), k.constant(0)), [&] {
    for (int64_t i = 0; i < stages; ++i) {
      t.assembly("mbarrier.init.shared::cta.b64 [$0], 1;", "r", barrier(k.constant(i), true));
      t.assembly("mbarrier.init.shared::cta.b64 [$0], $1;", "r,r", {barrier(k.constant(i), false), t.integer(readers)});
    }
    t.assembly("fence.proxy.async.shared::cta;", "~{memory}", {}); // copies are to see them
  });
}

void CopyRing::wait(Value barrier, Value parity) {
  t.assembly("{ .reg .pred full; again: mbarrier.try_wait.parity.shared::cta.b64 full, [$0], $1; @full bra done; "
             "bra again; done: }",
             "r,r,~{memory}", {barrier, parity});
}

void CopyRing::begin(Turn turn, int64_t bytes) {
  // No stage was ever full: the barriers of empty ones answer the first time for the round before.
  wait(barrier(turn.stage, false), arith::XOrIOp::create(b, turn.parity, t.integer(1)));
  k.when(k.equal(t.lane(), k.constant(0)), [&] {
    t.assembly("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r,~{memory}",
               {barrier(turn.stage, true), t.integer(bytes)});
  });
}

void CopyRing::copy(Value stage, Value to, Value from, Value bytes) {
  Value global = LLVM::AddrSpaceCastOp::create(b, LLVM::LLVMPointerType::get(b.getContext(), 1), from);
  t.assembly("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];",
             "r,l,r,r,~{memory}",
             {sharedAddress(t, to), global, arith::TruncIOp::create(b, t.i32, bytes), barrier(stage, true)});
}

void CopyRing::waitFull(Turn turn) { wait(barrier(turn.stage, true), turn.parity); }

void CopyRing::release(Value stage) {
  t.warpBarrier();
  k.when(k.equal(t.lane(), k.constant(0)), [&] {
    t.assembly("mbarrier.arrive.release.cta.shared::cta.b64 _, [$0];", "r,~{memory}", barrier(stage, false));
  });
}
