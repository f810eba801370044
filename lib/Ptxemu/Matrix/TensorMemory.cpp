// tcgen05 but for its products: allocation of tensor memory, copies into and out of it, completion.
#include "Execute/Families.h"
#include "Matrix/Descriptor.h"
#include "Matrix/TensorCore.h"
#include "Memory/TensorCopy.h"
#include "Memory/Words.h"

#include <algorithm>

namespace qcc::ptxemu {

TensorMemory &tensorMemory(Block &block) {
  if (!block.tensor) {
    block.tensor = std::make_unique<TensorMemory>();
    block.tensor->cells.assign(tensorLanes * tensorColumns, 0xcdcdcdcd);
    block.tensor->written.assign(tensorLanes * tensorColumns, 0);
    block.tensor->allocated.assign(tensorColumns, 0);
    block.tensor->owners.resize(4 * tensorColumns);
  }
  return *block.tensor;
}

uint32_t &tensorCell(Machine &machine, TensorMemory &memory, uint32_t lane, uint32_t column, bool isWrite) {
  if (lane >= tensorLanes || column >= tensorColumns || !memory.allocated[column])
    machine.stop("out-of-bounds", "lane " + std::to_string(lane) + ", column " + std::to_string(column) +
                                      " of tensor memory is not allocated");
  uint32_t at = lane * tensorColumns + column;
  if (!isWrite && !memory.written[at])
    machine.find("uninitialised", "lane " + std::to_string(lane) + ", column " + std::to_string(column) +
                                      " of tensor memory is read and nothing wrote it");
  memory.written[at] = 1;
  return memory.cells[at];
}

void touchColumns(Machine &machine, TensorMemory &memory, uint32_t column, uint32_t count, bool isWrite,
                  const Actor &actor, int group) {
  if (!machine.options.checks)
    return;
  for (int each = 0; each < 4; ++each) {
    if (group >= 0 && group != each)
      continue;
    for (uint32_t at = column; at < std::min(column + count, tensorColumns); ++at) {
      TensorMemory::Owner &owner = memory.owners[static_cast<uint32_t>(each) * tensorColumns + at];
      // What one thread starts on the tensor core happens in its order.
      bool inOrder = owner.writer == actor.id;
      if (owner.writer != nobody && !inOrder && actor.knowledge->seen[owner.writer] < owner.clock)
        machine.find("race", "column " + std::to_string(at) + " of tensor memory is " + (isWrite ? "written" : "read") +
                                 " before the operation that wrote it last is known to be complete");
      if (isWrite) {
        owner.writer = actor.id;
        owner.clock = actor.clock;
      }
    }
  }
}

void requireOneThread(Machine &machine, uint32_t mask) {
  if (mask & (mask - 1))
    machine.find("tcgen05",
                 "started by " + std::to_string(countLanes(mask)) + " threads: each of them starts the operation again",
                 mask);
}

namespace {

enum class Shape : uint8_t { Lanes32, Lanes16Twice, Lanes16x128, Lanes16x256 };

struct MemoryDetail : Detail {
  Slot address, count, mbarrier, mask, descriptor;
  uint64_t offset = 0;
  Space space = Space::Generic;
  Shape shape = Shape::Lanes32;
  uint32_t second = 0; // columns to the second half of the lanes
  bool isMulticast = false;
  std::vector<Slot> data;
};

Step allocate(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MemoryDetail &detail = detailOf<MemoryDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  TensorMemory &memory = tensorMemory(machine.blocks[warp.block]);
  unsigned lane = firstLane(mask);
  uint32_t count = static_cast<uint32_t>(warp.value(detail.count, lane));
  if (count < 32 || count > tensorColumns || (count & (count - 1)))
    machine.stop("tcgen05",
                 "an allocation of " + std::to_string(count) + " columns: not a power of two from 32 to 512");
  uint32_t begin = 0;
  while (begin + count <= tensorColumns &&
         std::any_of(memory.allocated.begin() + begin, memory.allocated.begin() + begin + count,
                     [](uint8_t used) { return used != 0; }))
    begin += 32;
  if (begin + count > tensorColumns)
    machine.stop("tcgen05", "no " + std::to_string(count) + " columns are free, and nothing else will free them");
  std::fill_n(memory.allocated.begin() + begin, count, 1);
  uint64_t addresses[32] = {};
  uint8_t *pointers[32];
  addresses[lane] = warp.value(detail.address, lane) + detail.offset;
  machine.resolve(warp, detail.space, addresses, 4, 4, true, false, 1u << lane, pointers);
  std::memcpy(pointers[lane], &begin, 4);
  return Step::Next;
}

Step deallocate(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MemoryDetail &detail = detailOf<MemoryDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  TensorMemory &memory = tensorMemory(machine.blocks[warp.block]);
  uint32_t begin = static_cast<uint32_t>(warp.value(detail.address, firstLane(mask))) & 0xffff;
  uint32_t count = static_cast<uint32_t>(warp.value(detail.count, firstLane(mask)));
  for (uint32_t column = begin; column < begin + count; ++column) {
    if (column >= tensorColumns || !memory.allocated[column])
      machine.stop("tcgen05", "column " + std::to_string(column) + " is deallocated and was not allocated");
    memory.allocated[column] = 0;
  }
  return Step::Next;
}

struct Cell {
  uint32_t lane, column;
};

// The cell, relative to the address, of a register of a lane.
Cell cellOf(const MemoryDetail &detail, unsigned lane, unsigned index) {
  switch (detail.shape) {
  case Shape::Lanes32:
    return {lane, index};
  case Shape::Lanes16Twice:
    return {lane % 16, index + (lane / 16 ? detail.second : 0)};
  case Shape::Lanes16x128:
    return {lane / 4 + 8 * (index % 2), index / 2 * 4 + lane % 4};
  default:
    return {lane / 4 + 8 * (index / 2 % 2), index / 4 * 8 + lane % 4 * 2 + index % 2};
  }
}

// Checks the address and returns where the warp's lanes begin.
void access(Machine &machine, Warp &warp, const MemoryDetail &detail, uint32_t mask, bool isWrite, uint32_t &lane,
            uint32_t &column) {
  uint32_t address = static_cast<uint32_t>(warp.value(detail.address, firstLane(mask)) + detail.offset);
  lane = address >> 16;
  column = address & 0xffff;
  uint32_t own = warp.index % 4 * 32;
  bool mayBeSecond = detail.shape != Shape::Lanes32;
  if (lane != own && !(mayBeSecond && lane == own + 16))
    machine.stop("tcgen05", "warp " + std::to_string(warp.index) + " reaches lanes " + std::to_string(own) + " to " +
                                std::to_string(own + 31) + " only, not " + std::to_string(lane));
  uint32_t count = static_cast<uint32_t>(detail.data.size());
  uint32_t columns = detail.shape == Shape::Lanes16x128   ? count * 2
                     : detail.shape == Shape::Lanes16x256 ? count * 2
                                                          : count;
  TensorMemory &memory = tensorMemory(machine.blocks[warp.block]);
  touchColumns(machine, memory, column, columns, isWrite, machine.actor(warp), static_cast<int>(lane / 32));
  if (detail.shape == Shape::Lanes16Twice)
    touchColumns(machine, memory, column + detail.second, columns, isWrite, machine.actor(warp),
                 static_cast<int>(lane / 32));
}

Step load(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MemoryDetail &detail = detailOf<MemoryDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint32_t lane, column;
  access(machine, warp, detail, mask, false, lane, column);
  TensorMemory &memory = tensorMemory(machine.blocks[warp.block]);
  for (unsigned index = 0; index < detail.data.size(); ++index) {
    const Slot &slot = detail.data[index];
    uint32_t *registers = warp.words(slot.at);
    for (unsigned each = 0; each < 32; ++each) {
      Cell cell = cellOf(detail, each, index);
      registers[each] = tensorCell(machine, memory, lane + cell.lane, column + cell.column, false);
    }
    uint32_t number = static_cast<uint32_t>(slot.number);
    warp.inFlight += !warp.flight[number];
    warp.flight[number] = ~0u;
    warp.valid[number] = 0;
    warp.flying.push_back({number, ~0u, true});
  }
  return Step::Next;
}

Step store(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MemoryDetail &detail = detailOf<MemoryDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  uint32_t lane, column;
  access(machine, warp, detail, mask, true, lane, column);
  TensorMemory &memory = tensorMemory(machine.blocks[warp.block]);
  for (unsigned index = 0; index < detail.data.size(); ++index) {
    const uint32_t *registers = warp.words(detail.data[index].at);
    for (unsigned each = 0; each < 32; ++each) {
      Cell cell = cellOf(detail, each, index);
      tensorCell(machine, memory, lane + cell.lane, column + cell.column, true) = registers[each];
    }
  }
  return Step::Next;
}

Step waitForLoads(Machine &machine, Warp &warp, const Instruction &, uint32_t mask) {
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  for (const Warp::Flying &each : warp.flying)
    if (each.group == ~0u && warp.flight[each.number] == ~0u) {
      warp.flight[each.number] = 0;
      warp.valid[each.number] = ~0u;
      --warp.inFlight;
    }
  warp.flying.erase(std::remove_if(warp.flying.begin(), warp.flying.end(),
                                   [](const Warp::Flying &each) { return each.group == ~0u; }),
                    warp.flying.end());
  return Step::Next;
}

Step together(Machine &machine, Warp &warp, const Instruction &, uint32_t mask) {
  return machine.wholeWarp(warp, mask) ? Step::Next : Step::Leave;
}

Step nothing(Machine &, Warp &, const Instruction &, uint32_t) { return Step::Next; }

Step commit(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MemoryDetail &detail = detailOf<MemoryDetail>(instruction);
  requireOneThread(machine, mask);
  unsigned lane = firstLane(mask);
  uint32_t address = static_cast<uint32_t>((warp.value(detail.mbarrier, lane) + detail.offset) & ~windowMask);
  uint32_t blocks = detail.isMulticast ? static_cast<uint32_t>(warp.value(detail.mask, lane)) & 0xffff : 0;
  Actor actor;
  actor.id = warp.actor(Work::Products);
  actor.clock = warp.clock(Work::Products);
  startLate(machine, warp, actor, [=, &machine](const Actor &later) {
    forTargets(blocks, address, [&](uint32_t at) {
      Mbarrier &barrier = machine.mbarrier(at, lane);
      machine.arrive(barrier, 1, lane);
      completeBytes(machine, later, at, 0, lane);
    });
  });
  return Step::Next;
}

// 32 rows of 16 bytes, repeated to the four groups of lanes.
Step copy(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MemoryDetail &detail = detailOf<MemoryDetail>(instruction);
  requireOneThread(machine, mask);
  unsigned lane = firstLane(mask);
  TensorMemory &memory = tensorMemory(machine.blocks[warp.block]);
  MatrixDescriptor descriptor = tensorCoreDescriptor(machine, warp.value(detail.descriptor, lane));
  uint32_t column = static_cast<uint32_t>(warp.value(detail.address, lane) + detail.offset) & 0xffff;
  Actor actor = machine.beginAsync(warp, Work::Products);
  touchColumns(machine, memory, column, 4, true, actor);
  for (uint32_t row = 0; row < 32; ++row) {
    uint32_t at = unitAddress(descriptor, false, row, 0) | warp.block << rankShift;
    const uint8_t *unit = machine.shared(warp, at, 16, false, actor, lane);
    for (uint32_t index = 0; index < 4; ++index)
      for (uint32_t group = 0; group < 4; ++group)
        std::memcpy(&tensorCell(machine, memory, row + 32 * group, column + index, true), unit + 4 * index, 4);
  }
  return Step::Next;
}

// --- decoding

void decodeAllocate(Decoder &decoder, MemoryDetail &detail) {
  detail.space = takeSpace(decoder.words());
  decoder.needType();
  decoder.expectOperands(2);
  detail.address = decoder.address(decoder.operand(0));
  detail.offset = decoder.operand(0).value;
  detail.count = decoder.source(1, Type::B32);
  decoder.emitMachine(allocate);
}

void decodeDeallocate(Decoder &decoder, MemoryDetail &detail) {
  decoder.needType();
  decoder.expectOperands(2);
  detail.address = decoder.source(0, Type::B32);
  detail.count = decoder.source(1, Type::B32);
  decoder.emitMachine(deallocate);
}

void decodeAccess(Decoder &decoder, MemoryDetail &detail, bool isLoad) {
  Modifiers &words = decoder.words();
  int shape = words.takeOneOf({"32x32b", "16x32bx2", "16x128b", "16x256b"});
  auto repeat = words.takePrefix("x");
  if (shape < 0 || !repeat)
    decoder.fail("this shape of an access to tensor memory is not understood");
  detail.shape = static_cast<Shape>(shape);
  unsigned count = 0;
  for (char digit : repeat->substr(1))
    count = count * 10 + static_cast<unsigned>(digit - '0');
  decoder.needType();
  size_t index = isLoad ? 1 : 0;
  const Operand &address = decoder.operand(index++);
  detail.address = decoder.address(address);
  detail.offset = address.value;
  if (detail.shape == Shape::Lanes16Twice)
    detail.second = static_cast<uint32_t>(decoder.immediate(index++));
  detail.data =
      isLoad ? decoder.unchecked(decoder.operand(0), Type::B32) : decoder.sources(decoder.operand(index++), Type::B32);
  decoder.expectOperands(index);
  unsigned perRepeat = shape < 2 ? 1 : shape == 2 ? 2 : 4;
  if (detail.data.size() != size_t(count) * perRepeat)
    decoder.fail("the count of registers is not that of the shape");
  decoder.emitMachine(isLoad ? load : store);
}

void decodeCommit(Decoder &decoder, MemoryDetail &detail) {
  Modifiers &words = decoder.words();
  if (!words.take("mbarrier::arrive::one"))
    decoder.fail("this form of tcgen05.commit is not understood");
  takeSpace(words);
  detail.isMulticast = words.take("multicast::cluster");
  decoder.needType();
  decoder.expectOperands(detail.isMulticast ? 2 : 1);
  detail.mbarrier = decoder.address(decoder.operand(0));
  detail.offset = decoder.operand(0).value;
  if (detail.isMulticast)
    detail.mask = decoder.source(1, Type::B16);
  decoder.emitMachine(commit);
}

void decodeCopyIn(Decoder &decoder, MemoryDetail &detail) {
  if (!decoder.words().take("32x128b") || !decoder.words().take("warpx4"))
    decoder.fail("only tcgen05.cp.32x128b.warpx4 is understood");
  decoder.expectOperands(2);
  detail.address = decoder.address(decoder.operand(0));
  detail.offset = decoder.operand(0).value;
  detail.descriptor = decoder.source(1, Type::B64);
  decoder.emitMachine(copy);
}

} // namespace

void decodeTensorCore(Decoder &decoder) {
  Modifiers &words = decoder.words();
  const Architecture &target = decoder.module().target;
  if (target.major < 10 || target.major > 11 || !target.suffix)
    decoder.fail("tcgen05 needs sm_100a or one of its family");
  if (words.take("cta_group::2"))
    decoder.fail("cta_group::2 is not emulated");
  words.take("cta_group::1");
  bool aligned = words.take("sync") && words.take("aligned");
  if (words.take("mma"))
    return decodeTensorProduct(decoder);
  MemoryDetail &detail = decoder.detail<MemoryDetail>();
  int operation = words.takeOneOf({"alloc", "dealloc", "relinquish_alloc_permit", "ld", "st", "wait::ld", "wait::st",
                                   "commit", "cp", "fence::before_thread_sync", "fence::after_thread_sync"});
  if (operation < 0 || aligned != (operation < 7))
    decoder.fail("this form of tcgen05 is not understood");
  switch (operation) {
  case 0:
    return decodeAllocate(decoder, detail);
  case 1:
    return decodeDeallocate(decoder, detail);
  case 3:
  case 4:
    return decodeAccess(decoder, detail, operation == 3);
  case 5:
    return decoder.emitMachine(waitForLoads);
  case 7:
    return decodeCommit(decoder, detail);
  case 8:
    return decodeCopyIn(decoder, detail);
  default:
    decoder.expectOperands(0);
    return decoder.emitMachine(aligned ? together : nothing);
  }
}

} // namespace qcc::ptxemu
