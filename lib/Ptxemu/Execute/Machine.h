// A launch: the blocks of a cluster, their warps, and what they share. Clusters run one after the other.
#ifndef QCC_LIB_PTXEMU_EXECUTE_MACHINE_H
#define QCC_LIB_PTXEMU_EXECUTE_MACHINE_H

#include "Decode/Program.h"
#include "Memory/Allocations.h"
#include "Memory/Shared.h"
#include "qcc/Ptxemu/Device.h"

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace qcc::ptxemu {

// Thrown when a launch cannot go on; its findings say why.
struct Stop {};

// Where generic addresses of a space begin. Addresses of global memory are below.
constexpr uint64_t windowMask = uint64_t(0xff) << 56;
constexpr uint64_t sharedWindow = uint64_t(1) << 56, localWindow = uint64_t(2) << 56, paramWindow = uint64_t(3) << 56;
// In the space of parameters: those of calls, of each thread, lie behind the kernel's.
constexpr uint64_t callParamStart = uint64_t(1) << 20;
// The rank of a block in its cluster stands above an address in its shared memory.
constexpr unsigned rankShift = 24;
constexpr uint32_t offsetMask = (1u << rankShift) - 1;

struct CallDetail;

struct Frame {
  uint32_t returnTo = 0;
  const CallDetail *call = nullptr;
  bool operator==(const Frame &other) const { return returnTo == other.returnTo && call == other.call; }
};

enum class Wait : uint8_t { None, Warp, Barrier, Mbarrier, Cluster };

// Lanes of a warp that are at the same place.
struct Fragment {
  uint32_t mask = 0, pc = 0;
  Wait wait = Wait::None;
  uint32_t on = 0; // which barrier, or the mbarrier's address
  uint64_t phase = 0;
  bool byParity = false;
  std::vector<Frame> frames;
};

// What a warp has started and not yet waited for: cp.async and stores of bulk copies keep the clock at each commit.
struct AsyncGroups {
  std::vector<uint32_t> clocks;
};

struct WgmmaState {
  uint32_t group = 0, done = 0; // groups that are closed, and those known to be complete
  std::vector<uint32_t> clocks;
  std::vector<uint64_t> sequence; // what was issued, to be compared in the warpgroup
};

struct Warp {
  uint32_t block = 0;  // in the cluster
  uint32_t index = 0;  // in the block
  uint32_t number = 0; // in the cluster
  uint32_t all = 0, live = 0, parkedLive = 0;
  char *registers = nullptr;
  uint32_t *valid = nullptr;  // for each register the lanes that may be read
  uint32_t *flight = nullptr; // not 0 while an asynchronous operation uses the register
  uint8_t *dirty = nullptr;   // written since the last wgmma.fence
  uint32_t inFlight = 0;      // registers
  struct Flying {
    uint32_t number, group;
    bool isResult;
  };
  std::vector<Flying> flying;
  std::vector<Fragment> fragments;
  Fragment current;
  std::vector<uint8_t> local, callMemory;
  Knowledge knowledge;
  uint32_t clocks[actorsPerWarp] = {}; // of what was started asynchronously
  uint32_t &clock(Work work) { return clocks[static_cast<unsigned>(work)]; }
  AsyncGroups copies, bulk;
  WgmmaState wgmma;
  bool arrivedAtCluster = false;
  uint32_t clusterArrived = 0; // lanes

  uint16_t actor(Work work = Work::Threads) const {
    return static_cast<uint16_t>(actorsPerWarp * number + static_cast<unsigned>(work));
  }
  uint32_t *words(uint32_t slot) { return reinterpret_cast<uint32_t *>(registers + slot); }
  uint64_t *longs(uint32_t slot) { return reinterpret_cast<uint64_t *>(registers + slot); }
  uint32_t &predicate(uint32_t slot) { return *words(slot); }
  uint64_t value(const Slot &slot, unsigned lane) { return slot.wide ? longs(slot.at)[lane] : words(slot.at)[lane]; }
};

struct Barrier {
  uint32_t arrived = 0, wanted = 0;
  Knowledge knowledge;
  uint32_t reduction[3] = {0, 0, 0}; // of bar.red: count, any, and whether all
};

struct Mbarrier {
  uint32_t count = 0, pending = 0;
  int64_t bytes = 0;
  uint64_t phase = 0;
  Knowledge arriving, completed; // with those that arrive now, and with the last phase
};

struct TensorMemory {
  std::vector<uint32_t> cells; // [lane][column]
  std::vector<uint8_t> written;
  std::vector<uint8_t> allocated; // columns
  struct Owner {
    uint32_t clock = 0;
    uint16_t writer = nobody;
    bool isGeneric = true;
  };
  std::vector<Owner> owners; // [group of 32 lanes][column]
};

struct Block {
  uint32_t rank = 0, index[3] = {0, 0, 0};
  uint32_t liveThreads = 0;
  SharedMemory shared;
  std::map<uint32_t, Mbarrier> mbarriers;
  Barrier barriers[16];
  std::unique_ptr<TensorMemory> tensor;
};

struct LineCounter {
  uint64_t executed = 0, threads = 0, conflicts = 0;
};

class Machine {
public:
  Machine(const Program &program, const Function &kernel, const Allocations &memory,
          const std::function<uint64_t(const Variable &)> &globalAddress, const Launch &launch, const Options &options,
          const uint32_t cluster[3], Architecture architecture);
  ~Machine();
  Report run();

  // --- for handlers: what is wrong. `find` goes on, `stop` does not.
  void find(const char *kind, const std::string &message, uint32_t lanes = 0);
  [[noreturn]] void stop(const char *kind, const std::string &message, uint32_t lanes = 0);

  // --- where lanes go
  // The lanes of `mask` go to `pc` and wait there; the others of the current fragment go on behind the instruction.
  Step leave(Warp &warp, uint32_t mask, uint32_t pc, Wait wait = Wait::None, uint32_t on = 0, uint64_t phase = 0,
             bool byParity = false);
  Step exit(Warp &warp, uint32_t mask);
  // Whether all live lanes of `wanted` are here; if not, those that are wait for the others and the handler leaves.
  bool together(Warp &warp, uint32_t mask, uint32_t wanted);
  bool wholeWarp(Warp &warp, uint32_t mask);
  uint32_t pc(const Warp &warp) const { return warp.current.pc; }

  // --- order
  Actor actor(const Warp &warp) const;
  // Of an operation that begins now and ends at some time.
  Actor beginAsync(Warp &warp, Work work);
  void release(Warp &warp, Knowledge &into);
  void acquire(Warp &warp, const Knowledge &from);
  void completeAsync(Warp &warp, Work work, uint32_t clock);

  // --- memory
  Block &blockOf(uint32_t sharedAddress, uint32_t bytes, unsigned lane);
  // Pointers to `bytes` of global memory; stops if they are not all in one allocation.
  uint8_t *global(uint64_t address, uint64_t bytes, unsigned lane);
  uint8_t *shared(Warp &warp, uint64_t address, uint32_t bytes, bool isWrite, const Actor &actor, unsigned lane);
  void touch(Block &block, uint32_t offset, uint32_t bytes, bool isWrite, const Actor &actor, unsigned lane);
  // Pointers for all lanes of `mask`, checked. `addresses` are in the space.
  void resolve(Warp &warp, Space space, const uint64_t *addresses, uint32_t bytes, uint32_t alignment, bool isWrite,
               bool isStrong, uint32_t mask, uint8_t **pointers);
  const uint8_t *parameters() const { return parameterBlock.data(); }

  Mbarrier &mbarrier(uint64_t address, unsigned lane);
  void arrive(Mbarrier &barrier, uint32_t count, unsigned lane);
  void addBytes(Mbarrier &barrier, int64_t bytes, unsigned lane);
  void completePhase(Mbarrier &barrier);

  void barrierArrived(Block &block, unsigned id, bool byExit);
  void clusterArrived();

  bool chance(unsigned oneIn) { return random() % oneIn == 0; }
  uint64_t random();
  // Happens at some time from now on.
  void later(std::function<void()> action) { delayed.push_back(std::move(action)); }

  // What a finding says of where it happened, for work that is done later.
  struct Place {
    const Warp *warp = nullptr;
    const Instruction *instruction = nullptr;
  };
  Place place() const { return here; }
  void setPlace(Place place) { here = place; }

  const Program &program;
  const Function &kernel;
  const Options &options;
  const Launch &launch;
  const Architecture architecture;
  std::vector<Block> blocks;
  std::vector<Warp> warps;
  uint32_t warpsPerBlock = 0;
  uint64_t executed = 0; // instructions of warps

  void describe(std::string &text, const Actor &other) const;
  std::string nameOf(uint32_t number) const { return std::string(program.registerName(kernel, number)); }

private:
  void prepare();
  void fillConstants(Warp &warp);
  void fillSpecials(Warp &warp);
  uint32_t specialValue(const Warp &warp, Special special, unsigned lane) const;
  void runCluster(const uint32_t first[3]);
  bool runDelayed();
  bool runWarp(Warp &warp);
  bool wake(Fragment &fragment);
  bool pick(Warp &warp);
  void runFragment(Warp &warp);
  void checkReads(Warp &warp, const Instruction &instruction, uint32_t mask);
  uint32_t definedByAny(const Warp &warp, const Instruction &instruction) const;
  void checkWrites(Warp &warp, const Instruction &instruction);
  void readUndefined(Warp &warp, uint32_t number, uint32_t lanes);
  void deadlock();
  void finishCluster();
  void countBanks(const uint64_t *addresses, uint32_t bytes, uint32_t mask);
  void conflict(const Conflict &conflict, bool isWrite, const Actor &actor, unsigned lane);
  void resolveShared(Warp &warp, const uint64_t *addresses, uint32_t bytes, bool isWrite, bool isStrong, uint32_t mask,
                     uint8_t **pointers);
  void resolveGlobal(const uint64_t *addresses, uint32_t bytes, uint32_t mask, uint8_t **pointers);
  void resolveThread(Warp &warp, Space space, const uint64_t *addresses, uint32_t bytes, bool isWrite, uint32_t mask,
                     uint8_t **pointers);
  void resolveGeneric(Warp &warp, const uint64_t *addresses, uint32_t bytes, bool isWrite, bool isStrong, uint32_t mask,
                      uint8_t **pointers);
  void checkAlignment(const uint64_t *addresses, uint32_t alignment, uint32_t mask);
  Report report();

  const Allocations &memory;
  const std::function<uint64_t(const Variable &)> &globalAddress;
  uint32_t clusterShape[3] = {1, 1, 1};
  uint32_t dynamicStart = 0, sharedSize = 0;
  std::vector<uint8_t> parameterBlock;
  std::unique_ptr<char[]> registerFiles;
  std::vector<uint32_t> valid, flight;
  std::vector<uint8_t> dirty;
  std::vector<Range> hints; // of each instruction: the allocation that it accessed last
  std::vector<LineCounter> counters;
  uint64_t sharedAccesses = 0;
  std::vector<std::function<void()>> delayed;
  Knowledge clusterKnowledge;
  uint32_t clusterCount = 0;
  uint64_t randomState = 1;
  Place here;
  std::vector<Finding> findings;
  std::map<std::pair<std::string, uint32_t>, size_t> findingAt;
};

// Calls `action` with each lane of the mask.
template <typename Action> inline void eachLane(uint32_t mask, Action action) {
  if (mask == ~0u) {
    for (unsigned lane = 0; lane < 32; ++lane)
      action(lane);
    return;
  }
  for (; mask; mask &= mask - 1)
    action(static_cast<unsigned>(__builtin_ctz(mask)));
}

inline unsigned firstLane(uint32_t mask) { return static_cast<unsigned>(__builtin_ctz(mask)); }
inline unsigned countLanes(uint32_t mask) { return static_cast<unsigned>(__builtin_popcount(mask)); }

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_EXECUTE_MACHINE_H
