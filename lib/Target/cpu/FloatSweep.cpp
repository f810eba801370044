// Windows that are reduced one plane at a time: the sums of a block of rows and columns stay in registers, so that each
// element is loaded once for all windows of a column that hold it.
#include "WindowRows.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxVectors = 4, maxRows = 8;

/// Sums that are kept in registers beside a row of elements and the factors.
static int64_t sumsOf(Simd::Isa isa) { return isa == Simd::Isa::Avx512 || isa == Simd::Isa::Neon ? 20 : 8; }

namespace {
class SweepBlocks {
public:
  SweepBlocks(Kernel &kernel, const FloatSweep &sweep, int lanes)
      : k(kernel), s(kernel, /*integer=*/false, lanes), sweep(sweep), rows(s, sweep.window) {
    int64_t groups = (rows.vectors() + maxVectors - 1) / maxVectors;
    perGroup = (rows.vectors() + groups - 1) / groups;
    int64_t most = std::clamp<int64_t>(sumsOf(s.isa) / perGroup, 1, maxRows), height = sweep.window.down.output;
    int64_t blocks = (height + most - 1) / most;
    perBlock = (height + blocks - 1) / blocks;
  }

  void writeUnit(ArrayRef<Value> unitIndex) {
    unit = llvm::to_vector(unitIndex);
    plane = sweep.plane(k, unit);
    weights.clear();
    for (int64_t tap = 0; sweep.weight && tap < sweep.window.taps(); ++tap)
      weights.push_back(s.spread(s.floats, sweep.weight(k, unit, k.constant(tap))));
    int64_t height = sweep.window.down.output, whole = height / perBlock * perBlock;
    k.loop(k.constant(0), k.constant(whole), [&](Value y) { writeBlock(y, perBlock); }, perBlock);
    if (whole < height)
      writeBlock(k.constant(whole), height - whole);
  }

private:
  void writeBlock(Value y, int64_t count) {
    SmallVector<Value> lines = rows.lines(plane, y, count);
    rows.forGroups(perGroup, [&](Value first, std::optional<int64_t> known, int64_t size) {
      SmallVector<Value> sums(count * size, s.spread(s.floats, sweep.initial(k)));
      for (auto [i, line] : llvm::enumerate(lines))
        addLine(int64_t(i), line, count, first, known, size, sums);
      for (auto [i, sum] : llvm::enumerate(sums)) {
        int64_t v = int64_t(i) % size;
        Value line = k.add(y, k.constant(int64_t(i) / size));
        Value x = k.mul(k.add(first, k.constant(v)), k.constant(s.lanes));
        emitWide(s, x, sum, rows.mask(known, v),
                 [&](Value at, Value result) { sweep.store(k, unit, line, at, result); });
      }
    });
  }

  void addLine(int64_t i, Value line, int64_t count, Value first, std::optional<int64_t> known, int64_t size,
               MutableArrayRef<Value> sums) {
    const KnownAxis &across = sweep.window.across;
    for (int64_t tap = 0; tap < across.kernel; ++tap)
      for (int64_t v = 0; v < size; ++v) {
        Value element;
        rows.forUses(i, count, [&](int64_t row, int64_t downTap) {
          if (!element)
            element = rows.load(line, first, known, v, tap);
          Value weight = sweep.weight ? weights[downTap * across.kernel + tap] : Value();
          sums[row * size + v] = sweep.combine(k, sums[row * size + v], element, weight);
        });
      }
  }

  Kernel &k;
  Simd s;
  const FloatSweep &sweep;
  WindowRows rows;
  int64_t perGroup, perBlock; // vectors, rows
  Value plane;
  SmallVector<Value> unit, weights;
};
} // namespace

bool qcc::emitFloatSweep(Lowering &lowering, llvm::StringRef name, const FloatSweep &sweep) {
  if (lowering.facts.device)
    return false;
  if (!WindowRows::fits(sweep.window))
    return false;
  int lanes =
      WindowRows::lanesFor(Simd::lanesOf(Simd::isaOf(lowering.facts, /*integer=*/false)), sweep.window.across.output);
  {
    Kernel probe(lowering, "probe", lowering.loc);
    Simd simd(probe, /*integer=*/false, lanes);
    SmallVector<Value> unit(sweep.units.size(), probe.constant(0));
    if (!isWide(simd, [&](Value x, Value result) { sweep.store(probe, unit, probe.constant(0), x, result); }))
      return false;
  }
  Kernel k(lowering, name, lowering.loc);
  SweepBlocks blocks(k, sweep, lanes);
  k.loop(k.lo(), k.hi(), [&](Value unit) { blocks.writeUnit(k.delinearize(unit, sweep.units)); });
  k.launch(lowering.dims.product(sweep.units), sweep.work);
  return true;
}
