// cp.async, and bulk copies of bytes.
#include "Execute/Families.h"
#include "Execute/Machine.h"
#include "Memory/TensorCopy.h"
#include "Memory/Words.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

struct CopyDetail : Detail {
  Slot to, from, size, mbarrier, mask;
  uint64_t toOffset = 0, fromOffset = 0, barrierOffset = 0;
  uint32_t bytes = 0;
  bool hasSize = false, isIgnored = false, negated = false;
};

uint64_t at(Warp &warp, const Slot &slot, uint64_t offset, unsigned lane) {
  uint64_t address = warp.value(slot, lane) + offset;
  return slot.wide ? address : address & 0xffffffffu;
}

Step copy(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const CopyDetail &detail = detailOf<CopyDetail>(instruction);
  Actor actor = machine.beginAsync(warp, Work::Copies);
  eachLane(mask, [&](unsigned lane) {
    uint64_t to = at(warp, detail.to, detail.toOffset, lane) & ~windowMask;
    uint64_t from = at(warp, detail.from, detail.fromOffset, lane);
    if (to % detail.bytes || from % detail.bytes)
      machine.stop("misaligned", "cp.async of " + std::to_string(detail.bytes) + " bytes", 1u << lane);
    uint32_t size = detail.bytes;
    if (detail.isIgnored)
      size = (warp.predicate(detail.size.at) >> lane & 1) != detail.negated ? 0 : size;
    else if (detail.hasSize)
      size = std::min<uint32_t>(size, static_cast<uint32_t>(warp.value(detail.size, lane)));
    uint8_t *target = machine.shared(warp, to, detail.bytes, true, actor, lane);
    std::memset(target, 0, detail.bytes);
    if (size)
      std::memcpy(target, machine.global(from, size, lane), size);
  });
  return Step::Next;
}

Work workOf(const Instruction &instruction) { return instruction.immediate & 1 ? Work::BulkCopies : Work::Copies; }
AsyncGroups &groupsOf(Warp &warp, const Instruction &instruction) {
  return instruction.immediate & 1 ? warp.bulk : warp.copies;
}

Step commit(Machine &, Warp &warp, const Instruction &instruction, uint32_t) {
  groupsOf(warp, instruction).clocks.push_back(warp.clock(workOf(instruction)));
  return Step::Next;
}

// `immediate`: bit 0 bulk, bit 1 all that were ever started, the others how many groups may stay pending.
Step waitGroup(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t) {
  AsyncGroups &groups = groupsOf(warp, instruction);
  Work work = workOf(instruction);
  uint64_t pending = instruction.immediate >> 2;
  if (instruction.immediate & 2)
    machine.completeAsync(warp, work, warp.clock(work));
  else if (groups.clocks.size() > pending)
    machine.completeAsync(warp, work, groups.clocks[groups.clocks.size() - 1 - pending]);
  return Step::Next;
}

// An arrival when the copies that were started so far are complete.
Step arriveAfterCopies(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const CopyDetail &detail = detailOf<CopyDetail>(instruction);
  eachLane(mask, [&](unsigned lane) {
    Mbarrier &barrier = machine.mbarrier(at(warp, detail.mbarrier, detail.barrierOffset, lane), lane);
    Knowledge knowledge = warp.knowledge;
    uint32_t &seen = knowledge.seen[warp.actor(Work::Copies)];
    seen = std::max(seen, warp.clock(Work::Copies));
    barrier.arriving.join(knowledge);
    machine.release(warp, barrier.arriving);
    if (!instruction.immediate)
      ++barrier.pending;
    machine.arrive(barrier, 1, lane);
    machine.completePhase(barrier);
  });
  return Step::Next;
}

// --- bulk copies of bytes

enum class Direction : uint8_t { GlobalToShared, SharedToGlobal, SharedToShared };

struct BulkDetail : CopyDetail {
  Direction direction = Direction::GlobalToShared;
  bool isMulticast = false;
};

Step bulkCopy(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const BulkDetail &detail = detailOf<BulkDetail>(instruction);
  eachLane(mask, [&](unsigned lane) {
    uint64_t to = at(warp, detail.to, detail.toOffset, lane), from = at(warp, detail.from, detail.fromOffset, lane);
    uint32_t bytes = static_cast<uint32_t>(warp.value(detail.size, lane));
    bool toShared = detail.direction != Direction::SharedToGlobal;
    bool fromShared = detail.direction != Direction::GlobalToShared;
    to &= toShared ? ~windowMask : ~uint64_t(0);
    from &= fromShared ? ~windowMask : ~uint64_t(0);
    if (to % 16 || from % 16 || bytes % 16)
      machine.stop("misaligned", "a bulk copy needs addresses and a size that are multiples of 16", 1u << lane);
    Actor actor = machine.beginAsync(warp, Work::BulkCopies);
    if (!toShared) {
      const uint8_t *source = machine.shared(warp, from, bytes, false, actor, lane);
      std::memcpy(machine.global(to, bytes, lane), source, bytes);
      return;
    }
    uint64_t barrier = at(warp, detail.mbarrier, detail.barrierOffset, lane) & ~windowMask;
    uint32_t blocks = detail.isMulticast ? static_cast<uint32_t>(warp.value(detail.mask, lane)) & 0xffff : 0;
    Warp *issuer = &warp;
    startLate(machine, warp, actor, [=, &machine](const Actor &later) {
      forTargets(blocks, static_cast<uint32_t>(to), [&](uint32_t target) {
        const uint8_t *source =
            fromShared ? machine.shared(*issuer, from, bytes, false, later, lane) : machine.global(from, bytes, lane);
        std::memcpy(machine.shared(*issuer, target, bytes, true, later, lane), source, bytes);
        uint32_t at = blocks ? (target & ~offsetMask) | (static_cast<uint32_t>(barrier) & offsetMask)
                             : static_cast<uint32_t>(barrier);
        completeBytes(machine, later, at, bytes, lane);
      });
    });
  });
  return Step::Next;
}

void decodeBulkBytes(Decoder &decoder) {
  Modifiers &words = decoder.words();
  BulkDetail &detail = decoder.detail<BulkDetail>();
  bool isPrefetch = words.take("prefetch");
  if (isPrefetch) {
    words.take("L2");
    words.take("global");
    bool hasPolicy = words.take("L2::cache_hint");
    decoder.expectOperands(hasPolicy ? 3 : 2);
    decoder.address(decoder.operand(0));
    return decoder.emitMachine([](Machine &, Warp &, const Instruction &, uint32_t) { return Step::Next; });
  }
  bool toShared = words.take("shared::cluster"), toOwn = !toShared && words.has("mbarrier::complete_tx::bytes");
  if (toOwn)
    toShared = words.take("shared::cta");
  bool global = words.take("global");
  if (!global && !(toShared && words.take("shared::cta")))
    decoder.fail("this form of a bulk copy is not understood");
  detail.direction = !toShared ? Direction::SharedToGlobal
                     : global  ? Direction::GlobalToShared
                               : Direction::SharedToShared;
  if (!toShared && (!words.take("shared::cta") || !words.take("bulk_group")))
    decoder.fail("this form of a bulk copy is not understood");
  if (toShared && !words.take("mbarrier::complete_tx::bytes"))
    decoder.fail("this form of a bulk copy is not understood");
  detail.isMulticast = words.take("multicast::cluster");
  bool hasPolicy = words.take("L2::cache_hint");
  detail.to = decoder.address(decoder.operand(0));
  detail.toOffset = decoder.operand(0).value;
  detail.from = decoder.address(decoder.operand(1));
  detail.fromOffset = decoder.operand(1).value;
  detail.size = decoder.source(2, Type::B32);
  size_t index = 3;
  if (toShared) {
    detail.mbarrier = decoder.address(decoder.operand(index));
    detail.barrierOffset = decoder.operand(index++).value;
  }
  if (detail.isMulticast)
    detail.mask = decoder.source(index++, Type::B16);
  if (hasPolicy)
    decoder.source(index++, Type::B64);
  decoder.expectOperands(index);
  decoder.emitMachine(bulkCopy);
}

void decodeBulk(Decoder &decoder) {
  Modifiers &words = decoder.words();
  if (words.take("commit_group")) {
    decoder.out.immediate = 1;
    decoder.expectOperands(0);
    return decoder.emitMachine(commit);
  }
  if (words.take("wait_group")) {
    words.take("read");
    decoder.expectOperands(1);
    decoder.out.immediate = 1 | decoder.immediate(0) << 2;
    return decoder.emitMachine(waitGroup);
  }
  if (words.take("tensor"))
    return decodeTensorCopy(decoder);
  decodeBulkBytes(decoder);
}

} // namespace

void decodeCopy(Decoder &decoder) {
  Modifiers &words = decoder.words();
  bool reduces = words.take("reduce");
  if (!words.take("async"))
    decoder.fail("only cp.async is understood");
  if (words.take("bulk")) {
    if (reduces)
      return decodeTensorReduce(decoder);
    return decodeBulk(decoder);
  }
  if (words.take("commit_group")) {
    decoder.expectOperands(0);
    return decoder.emitMachine(commit);
  }
  bool isAll = words.take("wait_all");
  if (isAll || words.take("wait_group")) {
    decoder.expectOperands(isAll ? 0 : 1);
    decoder.out.immediate = isAll ? 2 : decoder.immediate(0) << 2;
    return decoder.emitMachine(waitGroup);
  }
  CopyDetail &detail = decoder.detail<CopyDetail>();
  if (words.take("mbarrier")) {
    if (!words.take("arrive"))
      decoder.fail("only cp.async.mbarrier.arrive is understood");
    bool isCounted = words.take("noinc");
    takeSpace(words);
    decoder.needType();
    decoder.expectOperands(1);
    detail.mbarrier = decoder.address(decoder.operand(0));
    detail.barrierOffset = decoder.operand(0).value;
    decoder.out.immediate = isCounted;
    return decoder.emitMachine(arriveAfterCopies);
  }
  int cache = words.takeOneOf({"ca", "cg"});
  takeSpace(words);
  takeSpace(words);
  bool hasPolicy = takeCacheWords(words);
  detail.to = decoder.address(decoder.operand(0));
  detail.toOffset = decoder.operand(0).value;
  detail.from = decoder.address(decoder.operand(1));
  detail.fromOffset = decoder.operand(1).value;
  detail.bytes = static_cast<uint32_t>(decoder.immediate(2));
  if (cache < 0 || (detail.bytes != 16 && (cache == 1 || (detail.bytes != 4 && detail.bytes != 8))))
    decoder.fail("cp.async copies 4, 8 or 16 bytes, with .cg 16");
  size_t index = 3;
  if (index + hasPolicy < decoder.operandCount()) {
    const Operand &operand = decoder.operand(index++);
    bool isPredicate = operand.kind == Operand::Register &&
                       decoder.source().registers[static_cast<size_t>(operand.reg)].type == Type::Pred;
    detail.isIgnored = isPredicate;
    detail.negated = operand.negated;
    detail.hasSize = true;
    detail.size = isPredicate ? decoder.predicate(operand) : decoder.source(operand, Type::B32);
  }
  if (hasPolicy)
    decoder.source(index++, Type::B64);
  decoder.expectOperands(index);
  decoder.emitMachine(copy);
}

} // namespace qcc::ptxemu
