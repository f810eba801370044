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

void SharedMemory::reset(uint32_t size, bool withCells) {
  bytes.assign(size, 0xcd);
  cells.assign(withCells ? (size + 3) / 4 : 0, Cell());
  readers.clear();
  flags.clear();
}

Conflict SharedMemory::access(uint32_t offset, uint32_t size, bool isWrite, const Actor &actor) {
  Conflict first;
  if (cells.empty() || size == 0)
    return first;
  for (uint32_t index = offset / 4; index <= (offset + size - 1) / 4; ++index) {
    Conflict conflict = accessCell(index, isWrite, actor);
    if (conflict.kind != Conflict::None && first.kind == Conflict::None)
      first = conflict;
  }
  return first;
}

Conflict SharedMemory::accessCell(uint32_t index, bool isWrite, const Actor &actor) {
  Cell &cell = cells[index];
  const Clocks &seen = actor.knowledge->seen;
  Conflict result;
  bool isOwn = !actor.isAsync && cell.writer == actor.id;
  if (cell.writer == nobody) {
    if (!isWrite)
      result = {Conflict::Unwritten, index * 4, nobody};
  } else if (!isOwn && !(actor.isStrong && cell.isStrong)) {
    bool throughProxy = actor.isAsync && cell.isGeneric && !actor.isGeneric && !isWrite;
    const Clocks &needed = throughProxy ? actor.knowledge->seenByProxy : seen;
    if (needed[cell.writer] < cell.writeClock)
      result = {throughProxy && seen[cell.writer] >= cell.writeClock ? Conflict::Proxy : Conflict::WriteBefore,
                index * 4, cell.writer};
  }
  if (!isWrite) {
    addReader(index, cell, actor);
    return result;
  }
  if (cell.reader == several) {
    Clocks &clocks = readers[index];
    for (uint16_t other = 0; other < clocks.size(); ++other)
      if (clocks[other] && (actor.isAsync || other != actor.id) && seen[other] < clocks[other] &&
          result.kind == Conflict::None && !(actor.isStrong && cell.isStrongRead))
        result = {Conflict::ReadBefore, index * 4, other};
    readers.erase(index);
  } else if (cell.reader != nobody && (actor.isAsync || cell.reader != actor.id) &&
             seen[cell.reader] < cell.readClock && result.kind == Conflict::None &&
             !(actor.isStrong && cell.isStrongRead)) {
    result = {Conflict::ReadBefore, index * 4, cell.reader};
  }
  cell.writer = actor.id;
  cell.writeClock = actor.clock;
  cell.isGeneric = actor.isGeneric;
  cell.isStrong = actor.isStrong;
  cell.reader = nobody;
  return result;
}

void SharedMemory::addReader(uint32_t index, Cell &cell, const Actor &actor) {
  cell.isStrongRead = actor.isStrong && (cell.reader == nobody || cell.isStrongRead);
  if (cell.reader == nobody || cell.reader == actor.id) {
    cell.reader = actor.id;
    cell.readClock = actor.clock;
    return;
  }
  Clocks &clocks = readers[index];
  if (clocks.empty())
    clocks.assign(actor.knowledge->seen.size(), 0);
  if (cell.reader != several) {
    clocks[cell.reader] = cell.readClock;
    cell.reader = several;
  }
  clocks[actor.id] = actor.clock;
}

} // namespace qcc::ptxemu
