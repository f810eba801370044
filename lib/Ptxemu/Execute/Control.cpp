// Jumps, calls, ends.
#include "Decode/Decoder.h"
#include "Execute/Families.h"
#include "Execute/Machine.h"

namespace qcc::ptxemu {

struct CallDetail : Detail {
  std::string_view name;
  std::vector<CallParameter> arguments, results;
  const Function *callee = nullptr; // found when it is called first
};

namespace {

struct JumpTable : Detail {
  std::vector<uint32_t> targets;
  Slot index;
};

Step branch(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  if (mask == warp.current.mask)
    return Step::Jump;
  return machine.leave(warp, mask, instruction.target);
}

Step indexedBranch(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const JumpTable &table = detailOf<JumpTable>(instruction);
  uint32_t rest = warp.current.mask & ~mask;
  Fragment here = warp.current;
  warp.current.mask = rest;
  machine.leave(warp, 0, 0);
  while (mask) {
    uint64_t index = warp.value(table.index, firstLane(mask));
    uint32_t same = 0;
    eachLane(mask, [&](unsigned lane) { same |= uint32_t(warp.value(table.index, lane) == index) << lane; });
    if (index >= table.targets.size())
      machine.stop("out-of-bounds",
                   "index " + std::to_string(index) + " of " + std::to_string(table.targets.size()) + " targets", same);
    here.mask = same;
    here.pc = table.targets[index];
    warp.fragments.push_back(here);
    mask &= ~same;
  }
  return Step::Leave;
}

void copyCallMemory(Warp &warp, const Function &kernel, const CallParameter &to, const CallParameter &from,
                    uint32_t mask) {
  eachLane(mask, [&](unsigned lane) {
    uint8_t *memory = warp.callMemory.data() + size_t(lane) * kernel.callParamBytes;
    std::memcpy(memory + to.offset, memory + from.offset, std::min(to.size, from.size));
  });
}

Step call(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const CallDetail &detail = detailOf<CallDetail>(instruction);
  const Function *callee = detail.callee ? detail.callee : machine.program.function(detail.name);
  if (!callee)
    machine.stop("unsupported", "a call of " + std::string(detail.name) + ", which the module does not define", mask);
  if (callee->parameters.size() != detail.arguments.size() || callee->results.size() != detail.results.size())
    machine.stop("launch", "a call of " + std::string(detail.name) + " with other parameters than it has", mask);
  uint32_t pc = warp.current.pc;
  for (const Frame &frame : warp.current.frames)
    if (detailOf<CallDetail>(machine.program.code[frame.returnTo - 1]).name == detail.name)
      machine.stop("unsupported", "a recursive call of " + std::string(detail.name), mask);
  for (size_t index = 0; index < detail.arguments.size(); ++index)
    copyCallMemory(warp, machine.kernel, callee->parameters[index], detail.arguments[index], mask);
  machine.leave(warp, mask, callee->entry);
  warp.fragments.back().frames.push_back({pc + 1, &detail});
  return Step::Leave;
}

Step functionReturn(Machine &machine, Warp &warp, const Instruction &, uint32_t mask) {
  if (warp.current.frames.empty())
    return machine.exit(warp, mask);
  Frame frame = warp.current.frames.back();
  const CallDetail &detail = *frame.call;
  const Function *callee = machine.program.function(detail.name);
  for (size_t index = 0; index < detail.results.size(); ++index)
    copyCallMemory(warp, machine.kernel, detail.results[index], callee->results[index], mask);
  machine.leave(warp, mask, frame.returnTo);
  warp.fragments.back().frames.pop_back();
  return Step::Leave;
}

Step threadExit(Machine &machine, Warp &warp, const Instruction &, uint32_t mask) { return machine.exit(warp, mask); }

Step trap(Machine &machine, Warp &, const Instruction &, uint32_t mask) {
  machine.stop("trap", "the kernel stopped itself", mask);
}

Step nothing(Machine &, Warp &, const Instruction &, uint32_t) { return Step::Next; }

} // namespace

void decodeBranch(Decoder &decoder) {
  decoder.words().take("uni");
  decoder.expectOperands(1);
  decoder.jumpsTo(decoder.operand(0).name);
  decoder.emitMachine(branch);
}

void decodeIndexedBranch(Decoder &decoder) {
  decoder.words().take("uni");
  if (!decoder.words().take("idx"))
    decoder.fail("only brx.idx is understood");
  decoder.expectOperands(2);
  JumpTable &table = decoder.detail<JumpTable>();
  table.index = decoder.source(0, Type::B32);
  const auto &lists = decoder.source().targetLists;
  auto list = lists.find(decoder.operand(1).name);
  if (list == lists.end())
    decoder.fail("no .branchtargets of this name");
  decoder.jumpsTo(list->second, table.targets);
  decoder.emitMachine(indexedBranch);
}

void decodeCall(Decoder &decoder) {
  decoder.words().take("uni");
  decoder.expectOperands(1, 4);
  size_t index = 0;
  CallDetail &detail = decoder.detail<CallDetail>();
  auto parameters = [&](std::vector<CallParameter> &into) {
    if (index < decoder.operandCount() && decoder.operand(index).kind == Operand::Group)
      for (const Operand &part : decoder.operand(index++).parts)
        into.push_back(decoder.callParameter(part));
  };
  parameters(detail.results);
  const Operand &name = decoder.operand(index++);
  if (name.kind != Operand::Symbol)
    decoder.fail("calls through registers are not understood");
  detail.name = name.name;
  parameters(detail.arguments);
  decoder.emitMachine(call);
}

void decodeReturn(Decoder &decoder) {
  decoder.words().take("uni");
  decoder.expectOperands(0);
  decoder.emitMachine(functionReturn);
}

void decodeExit(Decoder &decoder) {
  decoder.expectOperands(0);
  decoder.emitMachine(threadExit);
}

void decodeTrap(Decoder &decoder) {
  decoder.expectOperands(0);
  decoder.emitMachine(trap);
}

// Instructions that change nothing a kernel could observe here.
void decodeNothing(Decoder &decoder) {
  std::string_view opcode = decoder.words().opcode();
  if (opcode == "griddepcontrol") {
    if (decoder.words().takeOneOf({"launch_dependents", "wait"}) < 0)
      decoder.fail("neither wait nor launch_dependents");
  } else if (opcode == "nanosleep") {
    decoder.needType();
    decoder.source(0, Type::B32);
  } else if (opcode == "pmevent") {
    decoder.words().take("mask");
  }
  decoder.emitMachine(nothing);
}

} // namespace qcc::ptxemu
