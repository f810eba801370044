#include "TileCost.h"
#include "llvm/Support/FormatVariadic.h"

using namespace qcc;

// Of the issue slots of a scheduler: it starts a float operation in each cycle, one of integers or a conversion in
// every other (CUDA C++ Programming Guide, throughput of native arithmetic instructions, compute capability 9.0).
static constexpr double floatSlots = 1, integerSlots = 2, conversionSlots = 2, accessSlots = 1;
static constexpr double schedulers = 4, readerWarps = 8;

bool TileProblem::hasSums() const { return type == ComputeType::Int8 && (layout.hasZero || layout.bias); }

double TileProblem::decodeInstructions() const {
  bool isAffine = layout.codeBits <= 4 && (layout.bias || layout.hasZero);
  double columns = double(layout.chunkColumns());
  switch (type) {
  case ComputeType::F32:
    break;
  case ComputeType::Int8:
    return layout.codeBits == 8 ? 0 : isAffine ? 3 : 2 * 12;
  case ComputeType::Fp8:
    return layout.codeBits == 8 ? 0 : 2 * 12;
  case ComputeType::Bf16: // a field, a number, and half of a conversion of two
    return layout.codeBits == 16 ? 0 : columns * (layout.codeBits == 4 && !isAffine ? 17 : 4.5);
  }
  return 0;
}

/// Instructions of one warp, in slots of its scheduler, for the weights and sums of a stage.
static double slotsOf(const TileProblem &problem, const WarpgroupStage &stage, const WarpgroupTile &tile) {
  const PackedLayout &layout = problem.layout;
  double blocks = double(stage.blocks()), lanes = double(layout.chunks(layout.block)) / 4 * 2; // of a block, per thread
  double slots = blocks * lanes * (accessSlots + integerSlots + problem.decodeInstructions() * integerSlots);
  double sums = double(tile.tokens) / 2;
  bool isScaled = stage.hasScales() || layout.scaleBytes;
  if (isScaled) {
    double each = floatSlots; // added to the total
    if (stage.hasScales()) {
      each += layout.scaleBytes ? floatSlots : 0; // the product of both scales
      slots += blocks * sums / 2 * accessSlots / 2;
    }
    if (problem.type == ComputeType::Int8)
      each += conversionSlots;
    if (stage.hasSums)
      each += layout.hasZero ? floatSlots : integerSlots;
    slots += blocks * sums * each;
  }
  constexpr double aroundStage = 40; // waiting, addresses, giving the stage back
  return slots + aroundStage;
}

static TileCost costOf(const DeviceFacts &facts, const TileProblem &problem, WarpgroupTile tile) {
  const DeviceRates &rates = facts.rates;
  const PackedLayout &layout = problem.layout;
  WarpgroupStage stage(layout, problem.type, tile.tokens, problem.hasSums());
  TileCost cost;
  constexpr int64_t barrierBytes = 16, most = 8;
  tile.stages =
      std::min<int64_t>(most, (facts.sharedBytes - WarpgroupTile::resultBytes) / (stage.bytes() + barrierBytes));
  cost.tile = tile;
  int64_t rowGroups = llvm::divideCeil(layout.rows, WarpgroupTile::rows);
  int64_t tokenTiles = llvm::divideCeil(problem.tokens, tile.tokens);
  cost.units = rowGroups * tokenTiles * tile.splits;
  cost.waves = llvm::divideCeil(cost.units, rates.multiprocessors);

  double steps = double(stage.rows() * WarpgroupUnit::rowBytes / WarpgroupUnit::stepBytes);
  // The matrix unit takes a step's weights from registers no faster than shared memory gives them.
  double step = std::max(double(WarpgroupUnit::rows * tile.tokens * WarpgroupUnit::stepBytes) / rates.productBytes,
                         double(WarpgroupUnit::rows * WarpgroupUnit::stepBytes) / rates.sharedBytes);
  double slots = slotsOf(problem, stage, tile);
  cost.products = 2 * steps * step;
  cost.instructions = slots * readerWarps / schedulers;
  cost.alone = steps * step + slots;
  double weights = double(stage.weightBytes() * WarpgroupStage::tiles), filled = double(stage.bytes());
  double tokens = double(stage.rows() * tile.tokens * WarpgroupUnit::rowBytes);
  double statistics = filled - weights - tokens;
  cost.shared = (filled + weights + 2 * tokens + readerWarps * statistics) / rates.sharedBytes;
  cost.cache = filled / rates.cacheBytes;
  constexpr double latency = 900; // of a copy from memory
  cost.arrival = latency / double(tile.stages);

  double sums = double(problem.tokens) * double(layout.rows);
  double all = double(rates.multiprocessors);
  double bytes = double(layout.bytes()) + sums * 4 +
                 double(problem.tokens) * double(stage.count() * stage.rows() * WarpgroupUnit::rowBytes);
  cost.memory = bytes / (rates.memoryBytes * all);
  if (tile.splits > 1) {
    constexpr double launch = 2500; // of a kernel behind another one
    cost.parts = launch + 2 * double(tile.splits) * sums * 4 / (rates.cacheBytes * all);
  }
  constexpr double writing = 10; // slots of a thread for each of its results
  double perUnit = double(llvm::divideCeil(stage.count(), tile.splits)) * cost.stage() +
                   double(tile.tokens) / 2 * writing * readerWarps / schedulers;
  cost.cycles = std::max(latency + double(cost.waves) * perUnit, cost.memory) + cost.parts;
  return cost;
}

llvm::SmallVector<TileCost> qcc::tileCosts(const DeviceFacts &facts, const TileProblem &problem) {
  llvm::SmallVector<TileCost> costs;
  int64_t count = WarpgroupStage(problem.layout, problem.type, 8, false).count();
  for (int64_t tokens = 8; tokens <= WarpgroupTile::mostTokens; tokens *= 2) {
    int64_t before = 0;
    for (int64_t wanted : {1, 2, 3, 4, 6, 8, 12, 16}) {
      int64_t splits = llvm::divideCeil(count, llvm::divideCeil(count, wanted)); // none without a stage
      if (splits == before)
        continue;
      before = splits;
      TileCost cost = costOf(facts, problem, {tokens, splits, 0});
      if (cost.tile.stages >= 2)
        costs.push_back(cost);
    }
  }
  llvm::stable_sort(costs, [](const TileCost &a, const TileCost &b) { return a.cycles < b.cycles; });
  return costs;
}

std::string qcc::explainTiles(const DeviceFacts &facts, const TileProblem &problem, llvm::ArrayRef<TileCost> costs) {
  const DeviceRates &rates = facts.rates;
  std::string text;
  llvm::raw_string_ostream os(text);
  os << llvm::formatv(
      "{0} rows, {1} columns, {2} tokens on {3}: {4} multiprocessors at {5:F2} GHz; in a cycle, of one: {6:F1} "
      "bytes of memory, {7:F0} of the cache, {8:F0} of shared memory, {9:F0} bytes multiplied\n",
      problem.layout.rows, problem.layout.columns, problem.tokens, facts.architecture, rates.multiprocessors,
      rates.gigahertz, rates.memoryBytes, rates.cacheBytes, rates.sharedBytes, rates.productBytes);
  os << "cycles of a stage: products, instructions, both of one warpgroup, shared memory, cache, arrival; of all: "
        "memory, "
        "parts\n";
  os << "tokens splits stages  units waves | products instr. alone shared  cache arrival |   memory    parts |   "
        "cycles     us\n";
  for (const TileCost &c : costs)
    os << llvm::formatv(
        "{0,6} {1,6} {2,6} {3,6} {4,5} | {5,8:F0} {6,6:F0} {7,5:F0} {8,6:F0} {9,6:F0} {10,7:F0} | {11,8:F0} {12,8:F0} "
        "| {13,8:F0} {14,6:F1}\n",
        c.tile.tokens, c.tile.splits, c.tile.stages, c.units, c.waves, c.products, c.instructions, c.alone, c.shared,
        c.cache, c.arrival, c.memory, c.parts, c.cycles, c.cycles / rates.gigahertz / 1000);
  return text;
}
