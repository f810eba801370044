// mbarriers: arrivals and bytes that are waited for.
#include "Decode/Decoder.h"
#include "Execute/Families.h"
#include "Execute/Machine.h"
#include "Memory/Words.h"

#include <cstdlib>

namespace qcc::ptxemu {

Mbarrier &Machine::mbarrier(uint64_t address, unsigned lane) {
  address &= ~windowMask;
  if (address % 8)
    stop("misaligned", "an mbarrier at " + std::to_string(address & offsetMask) + " is not a multiple of 8",
         1u << lane);
  Block &block = blockOf(static_cast<uint32_t>(address), 8, lane);
  auto found = block.mbarriers.find(static_cast<uint32_t>(address) & offsetMask);
  if (found == block.mbarriers.end())
    stop("mbarrier",
         "there is none at shared byte " + std::to_string(address & offsetMask) + ": it was not initialised",
         1u << lane);
  return found->second;
}

void Machine::arrive(Mbarrier &barrier, uint32_t count, unsigned lane) {
  if (count > barrier.pending)
    stop("mbarrier", "more arrivals in a phase than the count of " + std::to_string(barrier.count), 1u << lane);
  barrier.pending -= count;
}

void Machine::addBytes(Mbarrier &barrier, int64_t bytes, unsigned lane) {
  barrier.bytes += bytes;
  constexpr int64_t most = (1 << 20) - 1;
  if (barrier.bytes > most || barrier.bytes < -most)
    find("mbarrier", "the count of bytes, " + std::to_string(barrier.bytes) + ", is out of range", 1u << lane);
}

void Machine::completePhase(Mbarrier &barrier) {
  if (barrier.pending || barrier.bytes)
    return;
  ++barrier.phase;
  barrier.pending = barrier.count;
  barrier.completed = barrier.arriving;
}

namespace {

enum class Operation : uint8_t {
  Init,
  Inval,
  Arrive,
  ArriveDrop,
  ExpectBytes,
  CompleteBytes,
  TestWait,
  TryWait,
  Pending
};

struct MbarrierDetail : Detail {
  Operation operation = Operation::Arrive;
  bool expects = false, byParity = false, noComplete = false;
  Slot address, d, value;
  bool hasValue = false, returns = false;
  uint64_t offset = 0;
};

uint64_t addressOf(Warp &warp, const MbarrierDetail &detail, unsigned lane) {
  return (warp.value(detail.address, lane) + detail.offset) & ~windowMask;
}

// Whether what the initialisation wrote is ordered before its use.
void checkInitialised(Machine &machine, Warp &warp, uint64_t address, unsigned lane) {
  Block &block = machine.blockOf(static_cast<uint32_t>(address), 8, lane);
  if (block.shared.cells.empty())
    return;
  const Cell &cell = block.shared.cells[(address & offsetMask) / 4];
  if (cell.writer != nobody && cell.writer != warp.actor() && warp.knowledge.seen[cell.writer] < cell.writeClock)
    machine.find("race", "the use of an mbarrier is not ordered after its initialisation", 1u << lane);
}

void initialise(Machine &machine, Warp &warp, const MbarrierDetail &detail, unsigned lane) {
  uint64_t address = addressOf(warp, detail, lane), count = warp.value(detail.value, lane) & 0xffffffffu;
  if (address % 8)
    machine.stop("misaligned", "an mbarrier is not a multiple of 8", 1u << lane);
  if (count == 0 || count >= 1u << 20)
    machine.stop("mbarrier", "a count of " + std::to_string(count), 1u << lane);
  machine.shared(warp, address, 8, true, machine.actor(warp), lane);
  Block &block = machine.blockOf(static_cast<uint32_t>(address), 8, lane);
  Mbarrier &barrier = block.mbarriers[static_cast<uint32_t>(address) & offsetMask];
  barrier = Mbarrier();
  barrier.count = barrier.pending = static_cast<uint32_t>(count);
  machine.release(warp, barrier.arriving);
  barrier.completed = barrier.arriving;
}

void operate(Machine &machine, Warp &warp, const MbarrierDetail &detail, unsigned lane) {
  uint64_t address = addressOf(warp, detail, lane);
  Mbarrier &barrier = machine.mbarrier(address, lane);
  checkInitialised(machine, warp, address, lane);
  uint64_t value = detail.hasValue ? warp.value(detail.value, lane) & 0xffffffffu : 1;
  if (detail.returns)
    warp.longs(detail.d.at)[lane] = barrier.phase;
  switch (detail.operation) {
  case Operation::Inval:
    machine.blockOf(static_cast<uint32_t>(address), 8, lane)
        .mbarriers.erase(static_cast<uint32_t>(address) & offsetMask);
    return;
  case Operation::ExpectBytes:
    return machine.addBytes(barrier, static_cast<int64_t>(value), lane);
  case Operation::CompleteBytes:
    machine.addBytes(barrier, -static_cast<int64_t>(value), lane);
    break;
  default:
    machine.release(warp, barrier.arriving);
    if (detail.expects)
      machine.addBytes(barrier, static_cast<int64_t>(value), lane);
    machine.arrive(barrier, detail.expects ? 1 : static_cast<uint32_t>(value), lane);
    if (detail.operation == Operation::ArriveDrop)
      barrier.count -= detail.expects ? 1 : static_cast<uint32_t>(value);
    if (detail.noComplete && barrier.pending == 0)
      machine.stop("mbarrier", "an arrival that must not complete the phase does", 1u << lane);
    break;
  }
  machine.completePhase(barrier);
}

Step mbarrier(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MbarrierDetail &detail = detailOf<MbarrierDetail>(instruction);
  eachLane(mask, [&](unsigned lane) {
    if (detail.operation == Operation::Init)
      initialise(machine, warp, detail, lane);
    else
      operate(machine, warp, detail, lane);
  });
  return Step::Next;
}

Step wait(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MbarrierDetail &detail = detailOf<MbarrierDetail>(instruction);
  uint32_t done = 0;
  eachLane(mask, [&](unsigned lane) {
    uint64_t address = addressOf(warp, detail, lane), phase = warp.value(detail.value, lane);
    Mbarrier &barrier = machine.mbarrier(address, lane);
    checkInitialised(machine, warp, address, lane);
    bool isDone = detail.byParity ? (barrier.phase & 1) != (phase & 1) : barrier.phase != phase;
    if (isDone)
      machine.acquire(warp, barrier.completed);
    done |= uint32_t(isDone) << lane;
  });
  uint32_t &predicate = warp.predicate(detail.d.at);
  predicate = (predicate & ~mask) | done;
  uint32_t blocked = mask & ~done;
  // An attempt may fail after a while; and attempts on several barriers at once do.
  if (!blocked || detail.operation == Operation::TestWait || machine.chance(8))
    return Step::Next;
  unsigned first = firstLane(blocked);
  uint64_t address = addressOf(warp, detail, first), phase = warp.value(detail.value, first);
  uint32_t same = 0;
  eachLane(blocked, [&](unsigned lane) {
    same |= uint32_t(addressOf(warp, detail, lane) == address && warp.value(detail.value, lane) == phase) << lane;
  });
  if (detail.d.number >= 0)
    warp.valid[detail.d.number] |= mask & ~same;
  return machine.leave(warp, same, warp.current.pc, Wait::Mbarrier, static_cast<uint32_t>(address), phase,
                       detail.byParity);
}

} // namespace

void decodeMbarrier(Decoder &decoder) {
  Modifiers &words = decoder.words();
  MbarrierDetail &detail = decoder.detail<MbarrierDetail>();
  int operation = words.takeOneOf(
      {"init", "inval", "arrive", "arrive_drop", "expect_tx", "complete_tx", "test_wait", "try_wait", "pending_count"});
  if (operation < 0)
    decoder.fail("this form of mbarrier is not understood");
  detail.operation = static_cast<Operation>(operation);
  detail.expects = words.take("expect_tx");
  detail.noComplete = words.take("noComplete");
  detail.byParity = words.take("parity");
  takeOrder(words);
  takeSpace(words);
  if (decoder.needType() != Type::B64)
    decoder.fail("mbarriers are .b64");
  if (detail.operation == Operation::Pending)
    decoder.fail("mbarrier.pending_count is not understood");
  bool waits = detail.operation == Operation::TestWait || detail.operation == Operation::TryWait;
  size_t index = 0;
  if (waits) {
    detail.d = decoder.destination(decoder.operand(index++), Type::Pred);
  } else if (decoder.operand(0).kind != Operand::Address) {
    detail.returns = decoder.operand(0).kind != Operand::Sink;
    detail.d = decoder.destination(decoder.operand(index++), Type::B64);
  }
  const Operand &address = decoder.operand(index++);
  detail.address = decoder.address(address);
  detail.offset = address.value;
  if (index < decoder.operandCount()) {
    detail.hasValue = true;
    detail.value = decoder.source(decoder.operand(index++), waits && !detail.byParity ? Type::B64 : Type::B32);
  }
  bool needsValue = waits || detail.expects || detail.operation == Operation::Init ||
                    detail.operation == Operation::ExpectBytes || detail.operation == Operation::CompleteBytes;
  if (needsValue && !detail.hasValue)
    decoder.fail("operands are missing");
  if (detail.operation == Operation::TryWait && index < decoder.operandCount())
    decoder.source(decoder.operand(index++), Type::B32); // how long it may wait
  decoder.expectOperands(index);
  decoder.emitMachine(waits ? wait : mbarrier);
}

} // namespace qcc::ptxemu
