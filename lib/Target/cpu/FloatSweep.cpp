// Windows over planes of float32: the sums of a block of rows and columns stay in registers, so that each element is
// loaded once for all windows of a column that hold it. Nothing is copied: loads that reach out of a row are masked,
// and rows outside of the plane are read from a row of padding.
#include "qcc/Target/FloatSweep.h"
#include "Widen.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxTaps = 49;     // all are in straight code
static constexpr int64_t leastColumns = 4; // shorter rows are not worth a vector
static constexpr int64_t maxRow = 1 << 14; // a row of padding lies on the stack
static constexpr int64_t maxVectors = 4, maxRows = 8;

/// Sums that are kept in registers beside a row of elements and the factors.
static int64_t sumsOf(Simd::Isa isa) { return isa == Simd::Isa::Avx512 || isa == Simd::Isa::Neon ? 20 : 8; }

/// The lanes of which a row needs the fewest: the most that do not compute more in vain than narrower ones.
static int lanesFor(int most, int64_t columns) {
  int best = most;
  auto spent = [&](int lanes) { return (columns + lanes - 1) / lanes * lanes; };
  for (int lanes = most / 2; lanes >= 4; lanes /= 2)
    if (spent(lanes) < spent(best))
      best = lanes;
  return best;
}

namespace {
class SweepBlocks {
public:
  SweepBlocks(Kernel &kernel, const FloatSweep &sweep, int lanes)
      : k(kernel), s(kernel, /*integer=*/false, lanes), b(kernel.b), sweep(sweep), down(sweep.down),
        across(sweep.across), vectors((across.output + lanes - 1) / lanes) {
    int64_t groups = (vectors + maxVectors - 1) / maxVectors;
    perGroup = (vectors + groups - 1) / groups;
    int64_t most = std::clamp<int64_t>(sumsOf(s.isa) / perGroup, 1, maxRows);
    int64_t blocks = (down.output + most - 1) / most;
    rows = (down.output + blocks - 1) / blocks;
    leavesRows = down.before > 0 || position(down, down.output - 1, down.kernel - 1) >= down.input;
    if (leavesRows)
      padding = makePadding();
  }

  void writeUnit(ArrayRef<Value> unitIndex) {
    unit = llvm::to_vector(unitIndex);
    plane = sweep.plane(k, unit);
    weights.clear();
    for (int64_t tap = 0; sweep.weight && tap < down.kernel * across.kernel; ++tap)
      weights.push_back(s.spread(s.floats, sweep.weight(k, unit, k.constant(tap))));
    int64_t whole = down.output / rows * rows;
    k.loop(k.constant(0), k.constant(whole), [&](Value y) { writeRows(y, rows); }, rows);
    if (whole < down.output)
      writeRows(k.constant(whole), down.output - whole);
  }

private:
  static int64_t position(const FloatSweep::Axis &axis, int64_t output, int64_t tap) {
    return output * axis.stride + tap * axis.dilation - axis.before;
  }

  /// A row of what lies outside, as long as a row of the plane.
  Value makePadding() {
    Value row = k.threadScratch((across.input + s.lanes) * 4), fill = s.spread(s.floats, sweep.outside(k));
    for (int64_t i = 0; i < across.input; i += s.lanes)
      s.store(fill, s.at(row, i * 4), 4);
    return row;
  }

  /// Whether the elements of all taps of a vector of columns lie in the row, and all its columns are results.
  bool isInside(int64_t vector) const {
    int64_t first = vector * s.lanes, end = first + s.lanes;
    return position(across, first, 0) >= 0 && end <= across.output &&
           position(across, end - 1, across.kernel - 1) + across.stride - 1 < across.input;
  }

  void writeRows(Value y, int64_t count) {
    lines.clear();
    Value first = k.sub(k.mul(y, k.constant(down.stride)), k.constant(down.before));
    int64_t reach = (count - 1) * down.stride + (down.kernel - 1) * down.dilation + 1;
    for (int64_t i = 0; i < reach; ++i) {
      Value line = k.add(first, k.constant(i));
      Value address = s.at(plane, k.mul(line, k.constant(across.input * 4)));
      if (leavesRows) {
        Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, line, k.constant(down.input));
        address = k.select(inside, address, padding);
      }
      lines.push_back(address);
    }
    int64_t v = 0;
    while (v < vectors) {
      int64_t inside = 0; // vectors from here on that need no masks
      while (v + inside < vectors && isInside(v + inside))
        ++inside;
      if (int64_t looped = inside / perGroup * perGroup; looped > perGroup) {
        k.loop(
            k.constant(v), k.constant(v + looped), [&](Value vector) { writeGroup(y, count, vector, {}, perGroup); },
            perGroup);
        v += looped;
        continue;
      }
      int64_t size = std::min(perGroup, vectors - v);
      writeGroup(y, count, k.constant(v), v, size);
      v += size;
    }
  }

  /// `known` is the first vector where it is a constant; otherwise the group is inside.
  void writeGroup(Value y, int64_t count, Value vector, std::optional<int64_t> known, int64_t size) {
    Value column = k.mul(vector, k.constant(s.lanes)), initial = s.spread(s.floats, sweep.initial(k));
    SmallVector<Value> sums(count * size, initial);
    for (auto [i, line] : llvm::enumerate(lines)) {
      SmallVector<std::pair<int64_t, int64_t>> uses; // row of the block, tap
      for (int64_t row = 0; row < count; ++row) {
        int64_t distance = int64_t(i) - row * down.stride;
        if (distance >= 0 && distance % down.dilation == 0 && distance / down.dilation < down.kernel)
          uses.push_back({row, distance / down.dilation});
      }
      if (uses.empty())
        continue;
      for (int64_t tap = 0; tap < across.kernel; ++tap)
        for (int64_t v = 0; v < size; ++v) {
          Value element = load(line, column, known ? std::optional(*known + v) : std::nullopt, v, tap);
          for (auto [row, downTap] : uses) {
            Value &sum = sums[row * size + v];
            sum = sweep.combine(k, sum, element, sweep.weight ? weights[downTap * across.kernel + tap] : Value());
          }
        }
    }
    for (int64_t row = 0; row < count; ++row)
      for (int64_t v = 0; v < size; ++v) {
        Value mask;
        if (known && (*known + v + 1) * s.lanes > across.output)
          mask = maskOf([&](int64_t lane) { return (*known + v) * s.lanes + lane < across.output; });
        Value line = k.add(y, k.constant(row));
        emitWide(s, k.add(column, k.constant(v * s.lanes)), sums[row * size + v], mask,
                 [&](Value x, Value result) { sweep.store(k, unit, line, x, result); });
      }
  }

  Value maskOf(llvm::function_ref<bool(int64_t)> isSet) {
    SmallVector<bool> lanes;
    for (int64_t i = 0; i < s.lanes; ++i)
      lanes.push_back(isSet(i));
    auto type = VectorType::get(s.lanes, b.getI1Type());
    return arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef<bool>(lanes)));
  }

  /// The elements of a tap for vector `v` of a group that begins at `column`.
  Value load(Value line, Value column, std::optional<int64_t> known, int64_t v, int64_t tap) {
    int64_t offset = v * s.lanes * across.stride + tap * across.dilation - across.before;
    Value start = s.at(line, k.mul(column, k.constant(across.stride * 4)));
    auto part = [&](int64_t ahead) -> Value { // `lanes` consecutive elements
      Value at = LLVM::GEPOp::create(b, s.ptr, s.i8, start, ArrayRef<LLVM::GEPArg>{int32_t((offset + ahead) * 4)});
      if (!known)
        return s.load(s.floats, at, 4);
      int64_t first = *known * s.lanes * across.stride + tap * across.dilation - across.before + ahead;
      if (first >= 0 && first + s.lanes <= across.input)
        return s.load(s.floats, at, 4);
      Value mask = maskOf([&](int64_t lane) { return first + lane >= 0 && first + lane < across.input; });
      return LLVM::MaskedLoadOp::create(b, s.floats, at, mask, s.spread(s.floats, sweep.outside(k)), 4);
    };
    if (across.stride == 1)
      return part(0);
    SmallVector<int64_t> even;
    for (int64_t i = 0; i < s.lanes; ++i)
      even.push_back(2 * i);
    Value low = part(0), high = part(s.lanes);
    return vector::ShuffleOp::create(b, low, high, even);
  }

  Kernel &k;
  Simd s;
  ImplicitLocOpBuilder &b;
  const FloatSweep &sweep;
  const FloatSweep::Axis &down, &across;
  const int64_t vectors; // of a row
  int64_t perGroup, rows;
  bool leavesRows;
  Value padding, plane;
  SmallVector<Value> unit, weights, lines;
};
} // namespace

bool qcc::emitFloatSweep(Lowering &lowering, llvm::StringRef name, const FloatSweep &sweep) {
  if (sweep.across.stride > 2 || sweep.across.input > maxRow || sweep.down.kernel * sweep.across.kernel > maxTaps ||
      sweep.across.output < leastColumns || sweep.down.output < 1)
    return false;
  int lanes = lanesFor(Simd::lanesOf(Simd::isaOf(lowering.facts, /*integer=*/false)), sweep.across.output);
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
