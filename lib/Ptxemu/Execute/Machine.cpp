#include "Execute/Machine.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

uint32_t product(const uint32_t (&extent)[3]) { return extent[0] * extent[1] * extent[2]; }

} // namespace

Machine::Machine(const Program &program, const Function &kernel, const Allocations &memory,
                 const std::function<uint64_t(const Variable &)> &globalAddress, const Launch &launch,
                 const Options &options, const uint32_t cluster[3], Architecture architecture)
    : program(program), kernel(kernel), options(options), launch(launch), architecture(architecture), memory(memory),
      globalAddress(globalAddress), randomState(options.seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du) {
  std::copy(cluster, cluster + 3, clusterShape);
  hints.resize(program.code.size());
  counters.resize(program.code.size());
  const uint8_t *bytes = static_cast<const uint8_t *>(launch.parameters);
  parameterBlock.assign(bytes, bytes + launch.parameterBytes);
}

Machine::~Machine() = default;

uint64_t Machine::random() {
  randomState ^= randomState >> 12;
  randomState ^= randomState << 25;
  randomState ^= randomState >> 27;
  return randomState * 0x2545f4914f6cdd1du >> 16;
}

// --- findings

void Machine::find(const char *kind, const std::string &message, uint32_t lanes) {
  uint32_t code = here.instruction ? static_cast<uint32_t>(here.instruction - program.code.data()) : ~0u;
  auto [known, isNew] = findingAt.try_emplace({kind, code}, findings.size());
  if (!isNew) {
    ++findings[known->second].times;
    return;
  }
  Finding finding;
  finding.kind = kind;
  finding.message = message;
  finding.kernel = kernel.name;
  finding.lanes = lanes;
  if (here.instruction) {
    finding.line = here.instruction->line;
    finding.instruction = program.textOf(*here.instruction);
  }
  if (here.warp) {
    finding.warp = static_cast<int>(here.warp->index);
    std::copy_n(blocks[here.warp->block].index, 3, finding.block);
  }
  findings.push_back(std::move(finding));
  if (findings.size() >= std::max(options.findings, 1u))
    throw Stop();
}

void Machine::stop(const char *kind, const std::string &message, uint32_t lanes) {
  find(kind, message, lanes);
  throw Stop();
}

void Machine::describe(std::string &text, const Actor &other) const {
  const Warp &warp = warps[other.id / actorsPerWarp];
  text += (other.isAsync ? "asynchronous work of warp " : "warp ") + std::to_string(warp.index);
  if (blocks.size() > 1)
    text += " of the cluster's block " + std::to_string(warp.block);
}

// --- preparation

void Machine::prepare() {
  uint32_t threads = product(launch.block);
  warpsPerBlock = (threads + 31) / 32;
  uint32_t blockCount = product(clusterShape), warpCount = warpsPerBlock * blockCount;
  blocks.resize(blockCount);
  warps.resize(warpCount);
  size_t fileBytes = (kernel.fileBytes + 63) / 64 * 64, registers = std::max(kernel.registerCount, 1u);
  registerFiles.reset(new char[fileBytes * warpCount + 64]());
  valid.assign(registers * warpCount, 0);
  flight.assign(registers * warpCount, 0);
  dirty.assign(registers * warpCount, 0);
  char *aligned = registerFiles.get() + (64 - reinterpret_cast<uintptr_t>(registerFiles.get()) % 64) % 64;
  uint32_t alignment = kernel.dynamicSharedAlignment;
  dynamicStart = (kernel.sharedBytes + alignment - 1) / alignment * alignment;
  sharedSize = launch.sharedBytes ? dynamicStart + launch.sharedBytes : kernel.sharedBytes;
  for (uint32_t number = 0; number < warpCount; ++number) {
    Warp &warp = warps[number];
    warp.number = number;
    warp.block = number / warpsPerBlock;
    warp.index = number % warpsPerBlock;
    uint32_t rest = threads - warp.index * 32;
    warp.all = rest >= 32 ? ~0u : (1u << rest) - 1;
    warp.registers = aligned + fileBytes * number;
    warp.valid = valid.data() + registers * number;
    warp.flight = flight.data() + registers * number;
    warp.dirty = dirty.data() + registers * number;
    fillConstants(warp);
  }
}

void Machine::fillConstants(Warp &warp) {
  for (const Function &function : program.functions) {
    if (function.isKernel && &function != &kernel)
      continue;
    for (const Fill &fill : function.fills) {
      uint64_t value = fill.value;
      if (fill.kind == Fill::GlobalAddress)
        value += globalAddress(*fill.global);
      else if (fill.kind == Fill::SharedAddress)
        value += uint64_t(warp.block) << rankShift;
      else if (fill.kind == Fill::DynamicSharedAddress)
        value += dynamicStart + (uint64_t(warp.block) << rankShift);
      else if (fill.kind == Fill::SpecialRegister)
        continue;
      for (unsigned lane = 0; lane < 32; ++lane)
        if (fill.wide)
          warp.longs(fill.slot)[lane] = value;
        else
          warp.words(fill.slot)[lane] = static_cast<uint32_t>(value);
    }
  }
}

void Machine::fillSpecials(Warp &warp) {
  for (const Function &function : program.functions) {
    if (function.isKernel && &function != &kernel)
      continue;
    for (const Fill &fill : function.fills)
      if (fill.kind == Fill::SpecialRegister)
        for (unsigned lane = 0; lane < 32; ++lane)
          warp.words(fill.slot)[lane] = specialValue(warp, fill.special, lane);
  }
}

uint32_t Machine::specialValue(const Warp &warp, Special special, unsigned lane) const {
  const Block &block = blocks[warp.block];
  uint32_t thread = warp.index * 32 + lane;
  unsigned code = static_cast<unsigned>(special);
  unsigned dim = code % 3; // the registers of three dimensions come first
  switch (static_cast<Special>(code - dim)) {
  case Special::TidX:
    return dim == 0   ? thread % launch.block[0]
           : dim == 1 ? thread / launch.block[0] % launch.block[1]
                      : thread / launch.block[0] / launch.block[1];
  case Special::NtidX:
    return launch.block[dim];
  case Special::CtaidX:
    return block.index[dim];
  case Special::NctaidX:
    return launch.grid[dim];
  case Special::ClusteridX:
    return block.index[dim] / clusterShape[dim];
  case Special::NclusteridX:
    return launch.grid[dim] / clusterShape[dim];
  case Special::ClusterCtaidX:
    return block.index[dim] % clusterShape[dim];
  case Special::ClusterNctaidX:
    return clusterShape[dim];
  default:
    break;
  }
  switch (special) {
  case Special::ClusterCtarank:
    return block.rank;
  case Special::ClusterNctarank:
    return static_cast<uint32_t>(blocks.size());
  case Special::IsExplicitCluster:
    return blocks.size() > 1;
  case Special::Laneid:
    return lane;
  case Special::Warpid:
    return warp.index;
  case Special::Nwarpid:
    return warpsPerBlock;
  case Special::Nsmid:
    return 1;
  case Special::LanemaskEq:
    return 1u << lane;
  case Special::LanemaskLe:
    return 2 * (1u << lane) - 1;
  case Special::LanemaskLt:
    return (1u << lane) - 1;
  case Special::LanemaskGe:
    return ~((1u << lane) - 1);
  case Special::LanemaskGt:
    return ~(2 * (1u << lane) - 1);
  case Special::TotalSmemSize:
    return sharedSize;
  case Special::DynamicSmemSize:
    return launch.sharedBytes;
  default:
    return 0;
  }
}

// --- the grid

Report Machine::run() {
  try {
    prepare();
    uint32_t first[3];
    for (first[2] = 0; first[2] < launch.grid[2]; first[2] += clusterShape[2])
      for (first[1] = 0; first[1] < launch.grid[1]; first[1] += clusterShape[1])
        for (first[0] = 0; first[0] < launch.grid[0]; first[0] += clusterShape[0])
          runCluster(first);
  } catch (const Stop &) {
  } catch (const std::bad_alloc &) {
    here = {};
    Finding finding;
    finding.kind = "launch";
    finding.message = "the emulator has too little memory for the launch";
    finding.kernel = kernel.name;
    findings.push_back(finding);
  }
  return report();
}

void Machine::runCluster(const uint32_t first[3]) {
  uint32_t threads = product(launch.block), actors = actorsPerWarp * static_cast<uint32_t>(warps.size());
  delayed.clear();
  clusterKnowledge = Knowledge();
  clusterCount = 0;
  for (uint32_t rank = 0; rank < blocks.size(); ++rank) {
    Block &block = blocks[rank];
    block.rank = rank;
    block.index[0] = first[0] + rank % clusterShape[0];
    block.index[1] = first[1] + rank / clusterShape[0] % clusterShape[1];
    block.index[2] = first[2] + rank / clusterShape[0] / clusterShape[1];
    block.liveThreads = threads;
    block.shared.reset(sharedSize, options.checks, actors);
    block.mbarriers.clear();
    for (Barrier &barrier : block.barriers)
      barrier = Barrier();
    block.tensor.reset();
  }
  std::fill(valid.begin(), valid.end(), 0);
  std::fill(flight.begin(), flight.end(), 0);
  std::fill(dirty.begin(), dirty.end(), 0);
  for (Warp &warp : warps) {
    warp.live = warp.all;
    warp.parkedLive = 0;
    warp.inFlight = 0;
    warp.flying.clear();
    warp.current = Fragment();
    warp.fragments.assign(1, Fragment());
    warp.fragments[0].mask = warp.all;
    warp.fragments[0].pc = kernel.entry;
    warp.local.assign(size_t(32) * kernel.localBytes, 0xcd);
    warp.callMemory.assign(size_t(32) * kernel.callParamBytes, 0xcd);
    warp.knowledge.seen.assign(actors, 0);
    warp.knowledge.seenByProxy.assign(actors, 0);
    warp.knowledge.seen[warp.actor()] = 1;
    std::fill_n(warp.clocks, actorsPerWarp, 0);
    warp.copies = warp.bulk = AsyncGroups();
    warp.wgmma = WgmmaState();
    warp.clusterArrived = 0;
    fillSpecials(warp);
  }
  std::vector<Warp *> order;
  for (Warp &warp : warps)
    order.push_back(&warp);
  for (;;) {
    if (options.seed)
      for (size_t index = order.size(); index > 1; --index)
        std::swap(order[index - 1], order[random() % index]);
    bool progress = false, isLive = false;
    for (Warp *warp : order)
      if (warp->live) {
        isLive = true;
        progress |= runWarp(*warp);
      }
    here = {};
    if (!delayed.empty() && (!progress || !isLive || chance(4)))
      isLive = progress = runDelayed();
    if (!isLive)
      break;
    if (!progress) {
      deadlock();
      return;
    }
  }
  finishCluster();
}

bool Machine::runDelayed() {
  size_t index = random() % delayed.size();
  std::function<void()> action = std::move(delayed[index]);
  delayed.erase(delayed.begin() + static_cast<ptrdiff_t>(index));
  Place before = here;
  action();
  here = before;
  return true;
}

void Machine::finishCluster() {
  for (Warp &warp : warps) {
    here = {&warp, nullptr};
    if (warp.inFlight)
      find("wgmma", "the kernel ended while asynchronous operations used registers");
  }
  for (Block &block : blocks) {
    for (uint32_t group = 0; group + 3 < warpsPerBlock; group += 4)
      for (uint32_t other = 1; other < 4; ++other) {
        Warp &one = warps[block.rank * warpsPerBlock + group], &two = warps[one.number + other];
        here = {&two, nullptr};
        if (one.wgmma.sequence != two.wgmma.sequence)
          find("wgmma", "the four warps of a warpgroup did not issue the same operations");
      }
    here = {&warps[block.rank * warpsPerBlock], nullptr};
    for (const auto &[at, barrier] : block.mbarriers)
      if (barrier.pending != barrier.count || barrier.bytes)
        find("mbarrier", "the one at shared byte " + std::to_string(at) + " ends within a phase: " +
                             std::to_string(barrier.pending) + " of " + std::to_string(barrier.count) +
                             " arrivals and " + std::to_string(barrier.bytes) + " bytes are missing");
    if (block.tensor && std::count(block.tensor->allocated.begin(), block.tensor->allocated.end(), 1))
      find("tcgen05", "the kernel ended without deallocating tensor memory");
  }
  here = {};
}

Report Machine::report() {
  Report result;
  result.findings = std::move(findings);
  result.counts.sharedAccesses = sharedAccesses;
  for (size_t index = 0; index < counters.size(); ++index) {
    result.counts.instructions += counters[index].executed;
    result.counts.threadInstructions += counters[index].threads;
    result.counts.bankConflicts += counters[index].conflicts;
  }
  if (!options.counts)
    return result;
  for (const Function &function : program.functions) {
    if (function.isKernel && &function != &kernel)
      continue;
    for (uint32_t index = function.entry; index < function.end; ++index) {
      const Instruction &instruction = program.code[index];
      if (instruction.begin == instruction.end)
        continue; // the return that every function is given
      bool isSame = !result.coverage.empty() && result.coverage.back().line == instruction.line &&
                    index > function.entry && program.code[index - 1].begin == instruction.begin;
      if (isSame)
        continue;
      result.coverage.push_back({instruction.line, program.textOf(instruction), counters[index].executed,
                                 counters[index].threads, counters[index].conflicts});
    }
  }
  return result;
}

} // namespace qcc::ptxemu
