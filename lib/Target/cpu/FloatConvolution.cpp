// Convolution of all channels of a group at once: the sums of a few output channels, rows and registers of columns stay
// in registers while the input channels go by.
#include "WindowRows.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t productsPerOperation = 32; // that take as long as one scalar operation
static constexpr int64_t leastUnits = 8;            // a unit has fewer rows until there is work for several threads

namespace {
/// What is summed side by side: output channels x rows x vectors of columns.
struct SumBlock {
  int lanes = 0;
  int64_t results = 1, rows = 1, vectors = 1;
};
} // namespace

static int64_t registersOf(Simd::Isa isa) { return isa == Simd::Isa::Avx512 || isa == Simd::Isa::Neon ? 32 : 16; }

/// Cycles for a block and one input channel, as far as what limits them is known: multiply-adds, elements and weights
/// that are loaded.
static double cyclesOf(const SumBlock &block, const FloatWindow &w, Simd::Isa isa) {
  int most = Simd::lanesOf(isa);
  double part = double(block.lanes) / most; // of a widest vector
  auto taps = double(w.taps());
  double products = double(block.results * block.rows * block.vectors) * taps * std::max(part, 0.5);
  double lines = double((block.rows - 1) * w.down.stride + w.down.kernel);
  double elements =
      lines * double(w.across.kernel * block.vectors) * (w.across.stride == 1 ? 1.5 : 4) * std::max(part, 0.5);
  double weights = double(block.results) * taps * 0.5;
  double latency = taps * 4; // each product waits for the one before in its sum
  // With AVX-512 a weight that is used once is read by its multiply-add; one that is kept for several is often stored
  // and read again, registers being full.
  double kept = isa == Simd::Isa::Avx512 && block.rows * block.vectors > 1 ? 0.15 * products : 0;
  return std::max({products, elements + weights, latency}) + 0.2 * std::min(products, elements + weights) + kept;
}

/// The block that takes the fewest cycles per sum that is wanted.
static SumBlock chooseBlock(const FloatConvolution &c, Simd::Isa isa) {
  const FloatWindow &w = c.window;
  SumBlock best;
  double least = 0;
  for (int lanes = Simd::lanesOf(isa); lanes >= 4; lanes /= 2) {
    int64_t vectors = (w.across.output + lanes - 1) / lanes;
    for (int64_t v = 1; v <= std::min<int64_t>(vectors, 6); ++v)
      for (int64_t rows = 1; rows <= std::min<int64_t>(w.down.output, 6); ++rows)
        for (int64_t results = 1; results <= std::min<int64_t>(c.results, 28); ++results) {
          // A weight and a row of elements lie beside the sums.
          if (results * rows * v + v + 1 + (w.across.stride - 1) > registersOf(isa))
            continue;
          SumBlock block{lanes, results, rows, v};
          auto ceil = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
          double blocks = double(ceil(c.results, results) * ceil(w.down.output, rows) * ceil(vectors, v));
          double cycles = blocks * cyclesOf(block, w, isa);
          if (!least || cycles < least * 0.999)
            best = block, least = cycles;
        }
  }
  return best;
}

namespace {
class ConvolutionBlocks {
public:
  ConvolutionBlocks(Kernel &kernel, const FloatConvolution &convolution, SumBlock block)
      : k(kernel), s(kernel, /*integer=*/false, block.lanes), c(convolution), block(block), rows(s, c.window) {
    int64_t groups = (rows.vectors() + block.vectors - 1) / block.vectors;
    perGroup = (rows.vectors() + groups - 1) / groups;
    int64_t height = c.window.down.output, blocks = (height + block.rows - 1) / block.rows;
    // Row blocks of a unit.
    int64_t parts = std::min(blocks, std::max<int64_t>(1, leastUnits / (c.groups * resultBlocks())));
    perUnit = (blocks + parts - 1) / parts * block.rows;
  }

  int64_t resultBlocks() const { return (c.results + block.results - 1) / block.results; }
  SmallVector<Dim> space(Dimensions &dims) const {
    int64_t parts = (c.window.down.output + perUnit - 1) / perUnit;
    return {c.images, dims.constant(c.groups), dims.constant(resultBlocks()), dims.constant(parts)};
  }

  void writeUnit(ArrayRef<Value> unit) {
    image = unit[0];
    Value group = unit[1], part = unit[3];
    Value channels = k.constant(c.channels);
    Value plane = k.add(k.mul(k.mul(image, k.constant(c.groups)), channels), k.mul(group, channels));
    base = s.at(c.planes(k), k.mul(plane, k.constant(planeBytes())));
    Value first = k.mul(unit[2], k.constant(block.results));
    channel = k.add(k.mul(group, k.constant(c.results)), first);
    weights = s.at(c.weights(k), k.mul(channel, k.constant(c.channels * c.window.taps() * 4)));
    int64_t rest = c.results % block.results;
    if (!rest)
      return writePart(part, block.results);
    Value isWhole = k.less(k.add(first, k.constant(block.results - 1)), k.constant(c.results));
    if (c.results > block.results)
      k.when(isWhole, [&] { writePart(part, block.results); });
    k.when(k.less(k.constant(c.results), k.add(first, k.constant(block.results))), [&] { writePart(part, rest); });
  }

private:
  int64_t planeBytes() const { return c.window.down.input * c.window.across.input * 4; }

  void writePart(Value part, int64_t results) {
    int64_t height = c.window.down.output, whole = height / block.rows * block.rows, rest = height - whole;
    Value from = k.mul(part, k.constant(perUnit)), to = k.add(from, k.constant(perUnit));
    k.loop(from, k.min(to, k.constant(whole)), [&](Value y) { writeBlock(y, block.rows, results); }, block.rows);
    if (rest)
      k.when(k.less(k.constant(whole), to), [&] { writeBlock(k.constant(whole), rest, results); });
  }

  void writeBlock(Value y, int64_t count, int64_t results) {
    rows.forGroups(perGroup, [&](Value first, std::optional<int64_t> known, int64_t size) {
      SmallVector<Value> sums(results * count * size, s.splat(0.0f));
      // The loop over channels stays one: unrolled, all of its weights would be kept side by side on the stack.
      sums = k.loop(k.constant(0), k.opaque(k.constant(c.channels)), sums, [&](Value input, ValueRange in) {
        SmallVector<Value> next(in);
        addChannel(input, y, count, results, first, known, size, next);
        return next;
      });
      for (auto [i, sum] : llvm::enumerate(sums)) {
        int64_t v = int64_t(i) % size, row = int64_t(i) / size % count, m = int64_t(i) / size / count;
        Value x = k.mul(k.add(first, k.constant(v)), k.constant(s.lanes));
        Value at = k.add(channel, k.constant(m)), line = k.add(y, k.constant(row));
        emitWide(s, x, sum, rows.mask(known, v),
                 [&](Value column, Value element) { c.store(k, image, at, line, column, element); });
      }
    });
  }

  /// Adds the products of an input channel.
  void addChannel(Value input, Value y, int64_t count, int64_t results, Value first, std::optional<int64_t> known,
                  int64_t size, MutableArrayRef<Value> sums) {
    const FloatWindow &w = c.window;
    Value plane = s.at(base, k.mul(input, k.constant(planeBytes())));
    Value factors = s.at(weights, k.mul(input, k.constant(w.taps() * 4)));
    SmallVector<Value> lines = rows.lines(plane, y, count);
    for (int64_t i = 0; i < int64_t(lines.size()); ++i)
      for (int64_t tap = 0; tap < w.across.kernel; ++tap) {
        SmallVector<Value> elements;
        rows.forUses(i, count, [&](int64_t row, int64_t downTap) {
          for (int64_t v = 0; elements.size() < size_t(size); ++v)
            elements.push_back(rows.load(lines[i], first, known, v, tap));
          for (int64_t m = 0; m < results; ++m) {
            int64_t number = (m * c.channels * w.down.kernel + downTap) * w.across.kernel + tap;
            Value weight = s.spread(s.floats, s.load(s.f32, s.at(factors, number * 4), 4));
            for (int64_t v = 0; v < size; ++v) {
              Value &sum = sums[(m * count + row) * size + v];
              sum = s.fma(weight, elements[v], sum);
            }
          }
        });
      }
  }

  Kernel &k;
  Simd s;
  const FloatConvolution &c;
  const SumBlock block;
  WindowRows rows;
  int64_t perGroup, perUnit; // vectors, rows
  Value image, channel, base, weights;
};
} // namespace

bool qcc::emitFloatConvolution(Lowering &lowering, llvm::StringRef name, const FloatConvolution &c) {
  if (lowering.facts.device)
    return false;
  if (!WindowRows::fits(c.window) || c.results < 1 || c.channels < 1)
    return false;
  SumBlock block = chooseBlock(c, Simd::isaOf(lowering.facts, /*integer=*/false));
  {
    Kernel probe(lowering, "probe", lowering.loc);
    Simd simd(probe, /*integer=*/false, block.lanes);
    Value zero = probe.constant(0);
    if (!isWide(simd, [&](Value x, Value sum) { c.store(probe, zero, zero, zero, x, sum); }))
      return false;
  }
  Dimensions &dims = lowering.dims;
  Kernel k(lowering, name, lowering.loc);
  ConvolutionBlocks blocks(k, c, block);
  SmallVector<Dim> space = blocks.space(dims);
  k.loop(k.lo(), k.hi(), [&](Value unit) { blocks.writeUnit(k.delinearize(unit, space)); });
  const FloatWindow &w = c.window;
  int64_t products = c.groups * c.results * c.channels * w.taps() * w.down.output * w.across.output;
  k.launch(dims.product(space), dims.ceilDiv(dims.mul(c.images, dims.constant(products)), productsPerOperation));
  return true;
}
