// Which lanes run next. Lanes at the lowest place run first so that those which went apart meet again; now and then
// others do, as no order is promised.
#include "Execute/Machine.h"

#include <algorithm>

namespace qcc::ptxemu {

bool Machine::wake(Fragment &fragment) {
  if (fragment.wait == Wait::Mbarrier) {
    Block &block = blocks[fragment.on >> rankShift];
    auto found = block.mbarriers.find(fragment.on & offsetMask);
    bool done = found == block.mbarriers.end() || (fragment.byParity ? (found->second.phase & 1) != (fragment.phase & 1)
                                                                     : found->second.phase != fragment.phase);
    if (done)
      fragment.wait = Wait::None;
  }
  return fragment.wait == Wait::None;
}

// Takes the fragment that runs next out of the warp's list.
bool Machine::pick(Warp &warp) {
  std::vector<Fragment> &list = warp.fragments;
  size_t chosen = list.size();
  unsigned ready = 0;
  for (size_t index = 0; index < list.size(); ++index) {
    if (!wake(list[index]))
      continue;
    ++ready;
    if (chosen == list.size() || list[index].pc < list[chosen].pc)
      chosen = index;
  }
  if (!ready)
    return false;
  if (ready > 1 && options.seed && chance(4))
    do
      chosen = random() % list.size();
    while (list[chosen].wait != Wait::None);
  warp.current = std::move(list[chosen]);
  list.erase(list.begin() + static_cast<ptrdiff_t>(chosen));
  // Others at the same place join, also those that wait there for the rest of the warp.
  for (size_t index = 0; index < list.size();) {
    const Fragment &other = list[index];
    if (other.pc == warp.current.pc && other.frames == warp.current.frames &&
        (other.wait == Wait::None || other.wait == Wait::Warp)) {
      warp.current.mask |= other.mask;
      list.erase(list.begin() + static_cast<ptrdiff_t>(index));
    } else {
      ++index;
    }
  }
  return true;
}

bool Machine::runWarp(Warp &warp) {
  if (!pick(warp))
    return false;
  runFragment(warp);
  here = {};
  return true;
}

void Machine::runFragment(Warp &warp) {
  const Instruction *code = program.code.data();
  unsigned left = 64 + static_cast<unsigned>(options.seed ? random() % 512 : 256);
  const bool tracksWrites = kernel.tracksWrites;
  const uint32_t *numbers = program.numbers.data();
  uint32_t mask = warp.current.mask;
  uint32_t pc = warp.current.pc;
  bool isAlone = warp.fragments.empty();
  for (;; --left) {
    const Instruction &instruction = code[pc];
    here = {&warp, &instruction};
    uint32_t active = mask;
    if (instruction.guard != noSlot) {
      if (mask & ~warp.valid[instruction.guardNumber])
        readUndefined(warp, instruction.guardNumber, mask & ~warp.valid[instruction.guardNumber]);
      uint32_t guard = warp.predicate(instruction.guard);
      active &= instruction.guardNegated ? ~guard : guard;
    }
    LineCounter &counter = counters[pc];
    ++counter.executed;
    counter.threads += countLanes(active);
    Step step = Step::Next;
    if (active) {
      const uint32_t *list = numbers + instruction.reads;
      uint32_t defined = ~0u;
      for (unsigned index = 0; index < instruction.readCount; ++index)
        defined &= warp.valid[list[index]];
      if (active & ~defined)
        checkReads(warp, instruction, active);
      if (warp.inFlight && instruction.writeCount)
        checkWrites(warp, instruction);
      list += instruction.readCount;
      if (instruction.lanes) {
        instruction.lanes(warp.registers, instruction, active);
        for (unsigned index = 0; index < instruction.writeCount; ++index)
          warp.valid[list[index]] |= active;
        if (instruction.packs && active & ~defined)
          defined = definedByAny(warp, instruction);
        if (instruction.propagates && active & ~defined)
          for (unsigned index = 0; index < instruction.writeCount; ++index)
            warp.valid[list[index]] &= ~(active & ~defined);
      } else {
        warp.current.pc = pc;
        step = instruction.machine(*this, warp, instruction, active);
        if (step != Step::Leave)
          for (unsigned index = 0; index < instruction.writeCount; ++index)
            warp.valid[list[index]] |= active;
      }
      if (tracksWrites)
        for (unsigned index = 0; index < instruction.writeCount; ++index)
          warp.dirty[list[index]] = 1;
    }
    if (step == Step::Leave)
      break;
    pc = step == Step::Jump ? instruction.target : pc + 1;
    if (left == 0 || (!isAlone && code[pc].leader)) {
      warp.current.pc = pc;
      warp.fragments.push_back(std::move(warp.current));
      break;
    }
  }
  executed += 64; // about; the limit is only there to end a kernel that runs forever
  if (executed > options.instructionLimit)
    stop("limit",
         "the launch executed more instructions than its limit of " + std::to_string(options.instructionLimit));
}

Step Machine::leave(Warp &warp, uint32_t mask, uint32_t pc, Wait wait, uint32_t on, uint64_t phase, bool byParity) {
  Fragment here = std::move(warp.current);
  uint32_t rest = here.mask & ~mask;
  if (rest) {
    Fragment other;
    other.mask = rest;
    other.pc = here.pc + 1;
    other.frames = here.frames;
    warp.fragments.push_back(std::move(other));
  }
  if (mask) {
    here.mask = mask;
    here.pc = pc;
    here.wait = wait;
    here.on = on;
    here.phase = phase;
    here.byParity = byParity;
    warp.fragments.push_back(std::move(here));
  }
  return Step::Leave;
}

Step Machine::exit(Warp &warp, uint32_t mask) {
  leave(warp, 0, 0);
  // Those that go on are in the list together with those that exit.
  for (size_t index = 0; index < warp.fragments.size();) {
    Fragment &fragment = warp.fragments[index];
    fragment.mask &= ~mask;
    // The others of the warp no longer wait for these.
    if (fragment.wait == Wait::Warp)
      fragment.wait = Wait::None;
    if (fragment.mask == 0)
      warp.fragments.erase(warp.fragments.begin() + static_cast<ptrdiff_t>(index));
    else
      ++index;
  }
  warp.live &= ~mask;
  Block &block = blocks[warp.block];
  block.liveThreads -= countLanes(mask);
  for (unsigned id = 0; id < 16; ++id)
    barrierArrived(block, id, true);
  clusterArrived();
  return Step::Leave;
}

bool Machine::together(Warp &warp, uint32_t mask, uint32_t wanted) {
  uint32_t needed = wanted & warp.live;
  if ((mask & needed) == needed) {
    if (warp.parkedLive & wanted & ~warp.live)
      find("diverged",
           "only a part of the warp reached an instruction that it must execute together; the other lanes "
           "exited",
           mask);
    warp.parkedLive = 0;
    return true;
  }
  warp.parkedLive |= warp.live;
  uint32_t pc = warp.current.pc;
  leave(warp, mask, pc, Wait::Warp);
  Fragment parked = std::move(warp.fragments.back());
  warp.fragments.pop_back();
  // Those that already wait here try again with these.
  for (Fragment &other : warp.fragments)
    if (other.wait == Wait::Warp && other.pc == pc && other.frames == parked.frames) {
      other.mask |= parked.mask;
      other.wait = Wait::None;
      return false;
    }
  warp.fragments.push_back(std::move(parked));
  return false;
}

bool Machine::wholeWarp(Warp &warp, uint32_t mask) { return together(warp, mask, ~0u); }

// --- what is known of registers

void Machine::readUndefined(Warp &warp, uint32_t number, uint32_t lanes) {
  if (warp.flight[number])
    find(warp.flight[number] == ~0u ? "tcgen05" : "wgmma",
         "register " + nameOf(number) + " is read while an asynchronous operation writes it", lanes);
  else
    find("uninitialised", "register " + nameOf(number) + " is read and nothing wrote it", lanes);
  warp.valid[number] |= lanes;
}

void Machine::checkReads(Warp &warp, const Instruction &instruction, uint32_t mask) {
  for (unsigned index = 0; index < instruction.readCount; ++index) {
    uint32_t number = program.numbers[instruction.reads + index];
    uint32_t lanes = mask & ~warp.valid[number];
    if (lanes && (!instruction.propagates || warp.flight[number]))
      readUndefined(warp, number, lanes);
  }
}

uint32_t Machine::definedByAny(const Warp &warp, const Instruction &instruction) const {
  uint32_t defined = instruction.readCount ? 0 : ~0u;
  for (unsigned index = 0; index < instruction.readCount; ++index)
    defined |= warp.valid[program.numbers[instruction.reads + index]];
  return defined;
}

void Machine::checkWrites(Warp &warp, const Instruction &instruction) {
  for (unsigned index = 0; index < instruction.writeCount; ++index) {
    uint32_t number = program.numbers[instruction.reads + instruction.readCount + index];
    if (warp.flight[number] && warp.flight[number] != ~0u)
      find("wgmma", "register " + nameOf(number) + " is written while an asynchronous operation uses it");
  }
}

void Machine::deadlock() {
  std::string text = "no thread can go on";
  for (const Warp &warp : warps)
    for (const Fragment &fragment : warp.fragments) {
      bool isBehind = fragment.wait == Wait::Barrier || fragment.wait == Wait::Cluster;
      const Instruction &instruction = program.code[fragment.pc - isBehind];
      text += "; block " + std::to_string(blocks[warp.block].index[0]) + "," +
              std::to_string(blocks[warp.block].index[1]) + "," + std::to_string(blocks[warp.block].index[2]) +
              " warp " + std::to_string(warp.index);
      if (fragment.mask != warp.all)
        text += " (" + std::to_string(countLanes(fragment.mask)) + " lanes)";
      text += " at line " + std::to_string(instruction.line) + ": " + program.textOf(instruction);
    }
  here = {};
  stop("deadlock", text);
}

} // namespace qcc::ptxemu
