// The shared memory of a block, and the order of what happens to it.
#ifndef QCC_LIB_PTXEMU_MEMORY_SHARED_H
#define QCC_LIB_PTXEMU_MEMORY_SHARED_H

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace qcc::ptxemu {

// What a warp does: its threads themselves, and what they start to happen asynchronously. Each is an actor of its own,
// as each is waited for in its own way.
enum class Work : uint8_t { Threads, Copies, BulkCopies, Products };
constexpr unsigned actorsPerWarp = 4;

// How far each actor has come, as an actor knows.
using Clocks = std::vector<uint32_t>;

void join(Clocks &into, const Clocks &from);

// What is known together with a barrier or a flag: the clocks, and how much of them the async proxy sees.
struct Knowledge {
  Clocks seen, seenByProxy;
  bool empty() const { return seen.empty(); }
  void join(const Knowledge &other);
};

// Who touches memory. Lanes of one warp count as ordered.
struct Actor {
  uint16_t id = 0;
  uint32_t clock = 0;
  const Knowledge *knowledge = nullptr;
  bool isAsync = false;  // its operations are not ordered among themselves
  bool isGeneric = true; // the generic proxy: what it writes needs a fence before the async proxy reads it
  bool isStrong = false; // volatile, relaxed and atomic accesses race with no others of their kind
};

constexpr uint16_t nobody = 0xffff, several = 0xfffe;

// Four bytes of shared memory.
struct Cell {
  uint32_t writeClock = 0, readClock = 0;
  uint16_t writer = nobody, reader = nobody;
  bool isGeneric = true, isStrong = false, isStrongRead = false;
  uint32_t readers = 0; // where the clocks of several readers begin
};

// What is wrong with an access.
struct Conflict {
  enum Kind : uint8_t { None, Unwritten, WriteBefore, ReadBefore, Proxy };
  Kind kind = None;
  uint32_t byte = 0;
  uint16_t other = nobody; // actor
};

class SharedMemory {
public:
  std::vector<uint8_t> bytes;
  std::unordered_map<uint32_t, Knowledge> flags; // what strong writes to an address tell its strong readers

  // Without cells nothing is recorded.
  void reset(uint32_t size, bool withCells, uint32_t actors);
  bool hasCells() const { return !cells.empty(); }
  const Cell &cellOf(uint32_t offset) const { return cells[offset / 4]; }
  // Records an access and says what is wrong with it.
  Conflict access(uint32_t offset, uint32_t size, bool isWrite, const Actor &actor);
  // Likewise of the lanes of a warp, each `size` bytes at its offset; `lane` is the first one with a conflict.
  Conflict accessLanes(const uint32_t *offsets, uint32_t size, uint32_t mask, bool isWrite, const Actor &actor,
                       unsigned &lane);

private:
  Conflict write(uint32_t index, Cell &cell, const Actor &actor);
  Conflict read(uint32_t index, Cell &cell, const Actor &actor) {
    bool isPlain = cell.writer < actors && !actor.isAsync && cell.reader == actor.id &&
                   actor.knowledge->seen[cell.writer] >= cell.writeClock;
    if (isPlain && cell.isStrongRead == actor.isStrong) {
      cell.readClock = actor.clock;
      return {};
    }
    return readSlowly(index, cell, actor);
  }
  Conflict readSlowly(uint32_t index, Cell &cell, const Actor &actor);
  Conflict afterWrite(uint32_t index, const Cell &cell, bool isWrite, const Actor &actor) const;
  void addReader(Cell &cell, const Actor &actor);
  uint32_t takeClocks();

  std::vector<Cell> cells;
  // Clocks of all actors for each cell with several readers, one behind the other.
  std::vector<uint32_t> pool;
  std::vector<uint32_t> freeClocks;
  uint32_t actors = 0;
};

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_MEMORY_SHARED_H
