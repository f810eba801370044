// Barriers of a block, a warp and a cluster.
#include "Decode/Decoder.h"
#include "Execute/Families.h"
#include "Execute/Machine.h"

namespace qcc::ptxemu {
namespace {

enum class Reduce : uint8_t { None, Count, All, Any };

struct BarrierDetail : Detail {
  bool isAligned = false, waits = true;
  Reduce reduce = Reduce::None;
  bool hasCount = false, negated = false;
  Slot id, count, predicate, d;
};

Step barrier(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const BarrierDetail &detail = detailOf<BarrierDetail>(instruction);
  if (detail.isAligned && !machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint64_t id = warp.value(detail.id, firstLane(mask));
  if (id > 15)
    machine.stop("barrier", "there are 16 barriers, this one is " + std::to_string(id), mask);
  Block &block = machine.blocks[warp.block];
  Barrier &barrier = block.barriers[id];
  uint32_t wanted = detail.hasCount ? static_cast<uint32_t>(warp.value(detail.count, firstLane(mask))) : 0;
  if (wanted % 32 || (detail.hasCount && wanted == 0))
    machine.stop("barrier", "a count of " + std::to_string(wanted) + " threads is not a multiple of 32", mask);
  if (barrier.arrived && barrier.wanted != wanted)
    machine.find("barrier", "threads disagree on the count of barrier " + std::to_string(id), mask);
  barrier.wanted = wanted;
  barrier.arrived += countLanes(mask);
  machine.release(warp, barrier.knowledge);
  if (detail.reduce != Reduce::None) {
    uint32_t predicate = warp.predicate(detail.predicate.at);
    uint32_t ballot = (detail.negated ? ~predicate : predicate) & mask;
    barrier.reduction[0] += countLanes(ballot);
    barrier.reduction[1] |= ballot != 0;
    barrier.reduction[2] |= ballot != mask;
  }
  if (!detail.waits) {
    machine.barrierArrived(block, static_cast<unsigned>(id), false);
    return Step::Next;
  }
  uint32_t pc = warp.current.pc;
  for (unsigned index = 0; index < instruction.writeCount; ++index)
    warp.valid[machine.program.numbers[instruction.reads + instruction.readCount + index]] |= mask;
  machine.leave(warp, mask, pc + 1, Wait::Barrier, static_cast<uint32_t>(id));
  machine.barrierArrived(block, static_cast<unsigned>(id), false);
  return Step::Leave;
}

void writeReduction(Machine &machine, Warp &warp, const Fragment &fragment, const Barrier &barrier) {
  const Instruction &instruction = machine.program.code[fragment.pc - 1];
  const BarrierDetail &detail = detailOf<BarrierDetail>(instruction);
  if (detail.reduce == Reduce::None)
    return;
  if (detail.reduce == Reduce::Count) {
    uint32_t *destination = warp.words(detail.d.at);
    eachLane(fragment.mask, [&](unsigned lane) { destination[lane] = barrier.reduction[0]; });
    return;
  }
  bool result = detail.reduce == Reduce::Any ? barrier.reduction[1] : !barrier.reduction[2];
  uint32_t &destination = warp.predicate(detail.d.at);
  destination = result ? destination | fragment.mask : destination & ~fragment.mask;
}

// Lanes may come from different places.
Step warpBarrier(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const BarrierDetail &detail = detailOf<BarrierDetail>(instruction);
  uint32_t members = static_cast<uint32_t>(warp.value(detail.id, firstLane(mask))), here = mask;
  auto waitsHere = [&](const Fragment &fragment) {
    return fragment.wait == Wait::Warp && machine.program.code[fragment.pc].machine == warpBarrier;
  };
  for (const Fragment &fragment : warp.fragments)
    if (waitsHere(fragment))
      here |= fragment.mask;
  uint32_t needed = members & warp.live;
  if ((here & needed) != needed)
    return machine.together(warp, mask, members) ? Step::Next : Step::Leave;
  for (Fragment &fragment : warp.fragments)
    if (waitsHere(fragment)) {
      fragment.wait = Wait::None;
      ++fragment.pc;
    }
  return Step::Next;
}

Step clusterArrive(Machine &machine, Warp &warp, const Instruction &, uint32_t mask) {
  if (warp.clusterArrived & mask)
    machine.stop("barrier", "threads arrive at the cluster's barrier twice without waiting",
                 warp.clusterArrived & mask);
  warp.clusterArrived |= mask;
  machine.clusterArrived();
  return Step::Next;
}

Step clusterWait(Machine &machine, Warp &warp, const Instruction &, uint32_t mask) {
  uint32_t blocked = warp.clusterArrived & mask;
  if (!blocked)
    return Step::Next;
  uint32_t pc = warp.current.pc;
  return machine.leave(warp, mask, pc + 1, Wait::Cluster);
}

} // namespace

void Machine::barrierArrived(Block &block, unsigned id, bool byExit) {
  Barrier &barrier = block.barriers[id];
  uint32_t wanted = barrier.wanted ? barrier.wanted : block.liveThreads;
  if (barrier.arrived == 0 || barrier.arrived < wanted)
    return;
  if (byExit)
    find("barrier",
         "barrier " + std::to_string(id) + " completed only because threads that never arrived there exited");
  if (barrier.arrived > wanted)
    find("barrier", "more threads than expected arrived at barrier " + std::to_string(id));
  Barrier complete = std::move(barrier);
  barrier = Barrier();
  for (uint32_t index = 0; index < warpsPerBlock; ++index) {
    Warp &warp = warps[block.rank * warpsPerBlock + index];
    bool waits = false;
    for (Fragment &fragment : warp.fragments)
      if (fragment.wait == Wait::Barrier && fragment.on == id) {
        writeReduction(*this, warp, fragment, complete);
        fragment.wait = Wait::None;
        waits = true;
      }
    if (waits)
      acquire(warp, complete.knowledge);
  }
}

void Machine::clusterArrived() {
  uint32_t arrived = 0, live = 0;
  for (Warp &warp : warps) {
    arrived += countLanes(warp.clusterArrived & warp.live);
    live += countLanes(warp.live);
  }
  if (arrived == 0 || arrived < live)
    return;
  Knowledge all;
  for (Warp &warp : warps)
    release(warp, all);
  for (Warp &warp : warps) {
    acquire(warp, all);
    warp.clusterArrived = 0;
    for (Fragment &fragment : warp.fragments)
      if (fragment.wait == Wait::Cluster)
        fragment.wait = Wait::None;
  }
}

void decodeBarrier(Decoder &decoder) {
  Modifiers &words = decoder.words();
  bool isBar = words.opcode() == "bar";
  BarrierDetail &detail = decoder.detail<BarrierDetail>();
  if (words.take("cluster")) {
    bool arrives = words.take("arrive");
    if (!arrives && !words.take("wait"))
      decoder.fail("neither arrive nor wait");
    words.takeOneOf({"release", "relaxed", "acquire"});
    words.take("aligned");
    decoder.expectOperands(0);
    decoder.emitMachine(arrives ? clusterArrive : clusterWait);
    return;
  }
  if (words.take("warp")) {
    if (!words.take("sync"))
      decoder.fail("only bar.warp.sync is understood");
    decoder.expectOperands(1);
    detail.id = decoder.source(0, Type::B32);
    decoder.emitMachine(warpBarrier);
    return;
  }
  words.take("cta");
  detail.isAligned = words.take("aligned") || isBar;
  size_t index = 0;
  if (words.take("red")) {
    int kind = words.takeOneOf({"popc", "and", "or"});
    Type type = decoder.needType();
    if (kind < 0 || type != (kind == 0 ? Type::U32 : Type::Pred))
      decoder.fail("this reduction is not understood");
    detail.reduce = static_cast<Reduce>(kind + 1);
    detail.d = decoder.destination(index++, type);
  } else if (words.take("arrive")) {
    detail.waits = false;
  } else if (!words.take("sync")) {
    decoder.fail("neither sync, arrive nor red");
  }
  bool reduces = detail.reduce != Reduce::None;
  detail.id = decoder.source(index++, Type::B32);
  if (decoder.operandCount() > index + reduces) {
    detail.hasCount = true;
    detail.count = decoder.source(index++, Type::B32);
  }
  if (reduces) {
    detail.negated = decoder.operand(index).negated;
    detail.predicate = decoder.predicate(decoder.operand(index++));
  }
  decoder.expectOperands(index);
  decoder.emitMachine(barrier);
}

// The count of registers is checked, not their use: names in the text are not what hardware allocates.
void decodeSetMaxRegisters(Decoder &decoder) {
  bool increases = decoder.words().take("inc");
  if ((!increases && !decoder.words().take("dec")) || !decoder.words().take("sync") ||
      !decoder.words().take("aligned") || decoder.needType() != Type::U32)
    decoder.fail("this form of setmaxnreg is not understood");
  decoder.expectOperands(1);
  decoder.out.immediate = decoder.immediate(0);
  decoder.emitMachine([](Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
    if (!machine.wholeWarp(warp, mask))
      return Step::Leave;
    if (instruction.immediate % 8 || instruction.immediate < 24 || instruction.immediate > 256)
      machine.find("setmaxnreg", "the count must be a multiple of 8 from 24 to 256");
    if (!machine.kernel.hasRegisterBound)
      machine.find("setmaxnreg", "the kernel has no bound of registers at its launch");
    return Step::Next;
  });
}

} // namespace qcc::ptxemu
