#include "Memory/Shared.h"

#include <algorithm>

namespace qcc::ptxemu {

void join(Clocks &into, const Clocks &from) {
  if (into.size() < from.size())
    into.resize(from.size());
  for (size_t index = 0; index < from.size(); ++index)
    into[index] = std::max(into[index], from[index]);
}

void Knowledge::join(const Knowledge &other) {
  ptxemu::join(seen, other.seen);
  ptxemu::join(seenByProxy, other.seenByProxy);
}

void SharedMemory::reset(uint32_t size, bool withCells, uint32_t newActors) {
  bytes.assign(size, 0xcd);
  cells.assign(withCells ? (size + 3) / 4 : 0, Cell());
  flags.clear();
  pool.clear();
  freeClocks.clear();
  actors = newActors;
}

Conflict SharedMemory::access(uint32_t offset, uint32_t size, bool isWrite, const Actor &actor) {
  Conflict first;
  if (cells.empty() || size == 0)
    return first;
  for (uint32_t index = offset / 4; index <= (offset + size - 1) / 4; ++index) {
    Conflict conflict = isWrite ? write(index, cells[index], actor) : read(index, cells[index], actor);
    if (conflict.kind != Conflict::None && first.kind == Conflict::None)
      first = conflict;
  }
  return first;
}

Conflict SharedMemory::accessLanes(const uint32_t *offsets, uint32_t size, uint32_t mask, bool isWrite,
                                   const Actor &actor, unsigned &lane) {
  Conflict first;
  uint32_t words = size <= 4 ? 1 : size / 4, previous = ~0u;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned each = static_cast<unsigned>(__builtin_ctz(rest));
    uint32_t begin = offsets[each] / 4;
    if (begin == previous)
      continue; // the same words as the lane before
    previous = begin;
    for (uint32_t index = begin; index < begin + words; ++index) {
      Conflict conflict = isWrite ? write(index, cells[index], actor) : read(index, cells[index], actor);
      if (conflict.kind != Conflict::None && first.kind == Conflict::None) {
        first = conflict;
        lane = each;
      }
    }
  }
  return first;
}

// What is wrong with an access after the last write.
Conflict SharedMemory::afterWrite(uint32_t index, const Cell &cell, bool isWrite, const Actor &actor) const {
  if (cell.writer == nobody)
    return isWrite ? Conflict() : Conflict{Conflict::Unwritten, index * 4, nobody};
  bool isOwn = !actor.isAsync && cell.writer == actor.id;
  if (isOwn || (actor.isStrong && cell.isStrong))
    return {};
  const Clocks &seen = actor.knowledge->seen;
  bool throughProxy = actor.isAsync && cell.isGeneric && !actor.isGeneric && !isWrite;
  const Clocks &needed = throughProxy ? actor.knowledge->seenByProxy : seen;
  if (needed[cell.writer] >= cell.writeClock)
    return {};
  bool isProxy = throughProxy && seen[cell.writer] >= cell.writeClock;
  return {isProxy ? Conflict::Proxy : Conflict::WriteBefore, index * 4, cell.writer};
}

Conflict SharedMemory::readSlowly(uint32_t index, Cell &cell, const Actor &actor) {
  Conflict result = afterWrite(index, cell, false, actor);
  addReader(cell, actor);
  return result;
}

Conflict SharedMemory::write(uint32_t index, Cell &cell, const Actor &actor) {
  Conflict result = afterWrite(index, cell, true, actor);
  const Clocks &seen = actor.knowledge->seen;
  bool mayRace = actor.isStrong && cell.isStrongRead;
  auto isBefore = [&](uint16_t other, uint32_t clock) {
    return (!actor.isAsync && other == actor.id) || seen[other] >= clock;
  };
  if (cell.reader == several) {
    const uint32_t *clocks = pool.data() + cell.readers;
    for (uint16_t other = 0; other < actors && !mayRace; ++other)
      if (!isBefore(other, clocks[other]) && result.kind == Conflict::None)
        result = {Conflict::ReadBefore, index * 4, other};
    freeClocks.push_back(cell.readers);
  } else if (cell.reader != nobody && !mayRace && !isBefore(cell.reader, cell.readClock) &&
             result.kind == Conflict::None) {
    result = {Conflict::ReadBefore, index * 4, cell.reader};
  }
  cell.writer = actor.id;
  cell.writeClock = actor.clock;
  cell.isGeneric = actor.isGeneric;
  cell.isStrong = actor.isStrong;
  cell.reader = nobody;
  return result;
}

uint32_t SharedMemory::takeClocks() {
  uint32_t at;
  if (freeClocks.empty()) {
    at = static_cast<uint32_t>(pool.size());
    pool.resize(pool.size() + actors, 0);
    return at;
  }
  at = freeClocks.back();
  freeClocks.pop_back();
  std::fill_n(pool.begin() + at, actors, 0);
  return at;
}

void SharedMemory::addReader(Cell &cell, const Actor &actor) {
  cell.isStrongRead = actor.isStrong && (cell.reader == nobody || cell.isStrongRead);
  if (cell.reader == nobody || cell.reader == actor.id) {
    cell.reader = actor.id;
    cell.readClock = actor.clock;
    return;
  }
  if (cell.reader != several) {
    cell.readers = takeClocks();
    pool[cell.readers + cell.reader] = cell.readClock;
    cell.reader = several;
  }
  pool[cell.readers + actor.id] = actor.clock;
}

} // namespace qcc::ptxemu
