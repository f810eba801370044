// Convolution of codes, of all channels at once. A copy of the planes has four channels of a position in each 32-bit
// lane and the padding in it, taken apart by stride, so that what a tap multiplies in consecutive windows is one load.
#include "CodeRows.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxTaps = 49;              // all are in straight code
static constexpr int64_t lanes = 16;                // of a register
static constexpr int64_t maxSums = 26;              // registers of sums, beside an operand and a weight
static constexpr int64_t leastUnits = 8;            // a unit has fewer rows until there is work for several threads
static constexpr int64_t productsPerOperation = 64; // that take as long as one scalar operation

namespace {
/// The copy: [image][four channels][phase down][phase across][row][column] of 4 bytes. Tap k of result position o
/// stands in phase k * dilation % stride at position o + k * dilation / stride.
struct Quads {
  const CodeConvolution &c;

  static int64_t phases(const KnownAxis &axis) {
    return axis.dilation == 1 ? std::min(axis.kernel, axis.stride) : axis.stride;
  }
  static int64_t positions(const KnownAxis &axis) {
    return axis.output + (axis.kernel - 1) * axis.dilation / axis.stride;
  }
  int64_t count() const { return llvm::divideCeil(c.channels, codesPerLane); }
  int64_t rows() const { return positions(c.down); }
  int64_t rowBytes() const { return llvm::alignTo(positions(c.across), lanes) * codesPerLane; }
  int64_t bytes() const { return phases(c.down) * phases(c.across) * rows() * rowBytes(); }
  /// What may be read behind the last one: a row, and a register less a column.
  int64_t slack() const { return rowBytes() + lanes * codesPerLane; }
  int64_t offsetOf(int64_t downTap, int64_t acrossTap) const {
    int64_t down = downTap * c.down.dilation, across = acrossTap * c.across.dilation;
    int64_t phase = down % c.down.stride * phases(c.across) + across % c.across.stride;
    return (phase * rows() + down / c.down.stride) * rowBytes() + across / c.across.stride * codesPerLane;
  }
};

/// Makes the copy, a row of it for each unit.
class QuadWriter {
public:
  QuadWriter(Kernel &kernel, const CodeConvolution &convolution, Value storage)
      : k(kernel), s(kernel, /*integer=*/true), c(convolution), quads{convolution}, rows(s, convolution),
        storage(storage) {}

  SmallVector<Dim> space(Dimensions &dims) const {
    return {c.images, dims.constant(quads.count()), dims.constant(Quads::phases(c.down)), dims.constant(quads.rows())};
  }

  void writeUnit(ArrayRef<Value> unit) {
    Value line = k.add(k.mul(unit[3], k.constant(c.down.stride)), k.sub(unit[2], k.constant(c.down.before)));
    Value isInside = arith::CmpIOp::create(s.b, arith::CmpIPredicate::ult, line, k.constant(c.down.input));
    limit = k.select(isInside, k.constant(c.across.input), k.constant(0));
    line = k.select(isInside, line, k.constant(0));
    lines.clear();
    for (int64_t i = 0; i < codesPerLane; ++i) { // weights of channels that are not there are 0
      Value channel = k.min(k.add(k.mul(unit[1], k.constant(codesPerLane)), k.constant(i)), k.constant(c.channels - 1));
      Value plane = k.add(k.mul(unit[0], k.constant(c.channels)), channel);
      Value row = k.add(k.mul(plane, k.constant(c.down.input)), line);
      lines.push_back(s.at(c.planes(k), k.mul(row, k.constant(c.across.input))));
    }
    Value quad = k.add(k.mul(unit[0], k.constant(quads.count())), unit[1]);
    for (int64_t phase = 0; phase < Quads::phases(c.across); ++phase) {
      Value plane = k.add(k.mul(unit[2], k.constant(Quads::phases(c.across))), k.constant(phase));
      Value row = k.add(k.mul(plane, k.constant(quads.rows())), unit[3]);
      Value to = s.at(s.at(storage, k.mul(quad, k.constant(quads.bytes()))), k.mul(row, k.constant(quads.rowBytes())));
      k.loop(
          k.constant(0), k.constant(quads.rowBytes() / codesPerLane),
          [&](Value x) { writeColumns(phase, x, s.at(to, k.mul(x, k.constant(codesPerLane)))); }, lanes);
    }
  }

private:
  void writeColumns(int64_t phase, Value x, Value to) {
    Value from = k.add(k.mul(x, k.constant(c.across.stride)), k.constant(phase - c.across.before));
    SmallVector<Value> channels;
    for (Value line : lines) {
      Value codes = rows.codesAt(line, from, limit);
      if (c.across.stride == 2) {
        SmallVector<int64_t> everyOther;
        for (int64_t i = 0; i < lanes; ++i)
          everyOther.push_back(2 * i);
        Value more = rows.codesAt(line, k.add(from, k.constant(lanes)), limit);
        codes = vector::ShuffleOp::create(s.b, codes, more, everyOther);
      }
      channels.push_back(codes);
    }
    s.store(s.interleave(channels), to);
  }

  Kernel &k;
  Simd s;
  const CodeConvolution &c;
  const Quads quads;
  CodeRows rows;
  Value storage, limit;
  SmallVector<Value> lines;
};

/// What is summed side by side: results x registers down x registers across.
struct SumBlock {
  int64_t results = 1, lines = 1, vectors = 1;

  int64_t sums() const { return results * lines * vectors; }
  /// Cycles for a tap of four channels: dot products, operands and weights that are loaded; each product waits for the
  /// one before in its sum.
  double cycles(int64_t rowsPerRegister) const {
    constexpr double latency = 5, perOperand = 0.7, perWeight = 0.5;
    double loads = double(lines * vectors * rowsPerRegister) * perOperand + double(results) * perWeight;
    return std::max(double(sums()), latency) + loads;
  }
  /// The block that takes the fewest cycles for all results.
  static SumBlock choose(const CodeConvolution &c) {
    SumBlock best;
    double least = 0;
    int64_t down = CodeRows::linesOf(c), across = CodeRows::vectorsOf(c);
    for (SumBlock b; b.vectors <= std::min<int64_t>(across, 4); ++b.vectors)
      for (b.lines = 1; b.lines <= std::min<int64_t>(down, 6); ++b.lines)
        for (b.results = 1; b.results <= std::min<int64_t>(c.results, 16); ++b.results) {
          if (b.sums() > maxSums)
            continue;
          auto blocks = double(llvm::divideCeil(c.results, b.results) * llvm::divideCeil(down, b.lines) *
                               llvm::divideCeil(across, b.vectors));
          double cycles = blocks * b.cycles(CodeRows::rowsOf(c));
          if (!least || cycles < least * 0.999)
            best = b, least = cycles;
        }
    return best;
  }
};

class CodeBlocks {
public:
  CodeBlocks(Kernel &kernel, const CodeConvolution &convolution, Value storage)
      : k(kernel), s(kernel, /*integer=*/true), c(convolution), quads{convolution}, block(SumBlock::choose(c)),
        rows(s, convolution), storage(storage) {
    int64_t blocks = llvm::divideCeil(CodeRows::linesOf(c), block.lines);
    int64_t parts = std::min(blocks, std::max<int64_t>(1, leastUnits / resultBlocks()));
    perUnit = llvm::divideCeil(blocks, parts) * block.lines;
  }

  int64_t resultBlocks() const { return llvm::divideCeil(c.results, block.results); }
  SmallVector<Dim> space(Dimensions &dims) const {
    return {c.images, dims.constant(resultBlocks()), dims.constant(llvm::divideCeil(CodeRows::linesOf(c), perUnit))};
  }

  void writeUnit(ArrayRef<Value> unit) {
    image = unit[0], result = k.mul(unit[1], k.constant(block.results));
    planes = s.at(storage, k.mul(image, k.constant(quads.count() * quads.bytes())));
    weights = s.at(c.weights(k), k.mul(result, k.constant(weightBytes())));
    int64_t rest = c.results % block.results;
    Value isLast = k.equal(unit[1], k.constant(resultBlocks() - 1));
    if (!rest)
      return writePart(unit[2], block.results);
    if (resultBlocks() > 1)
      k.when(k.less(unit[1], k.constant(resultBlocks() - 1)), [&] { writePart(unit[2], block.results); });
    k.when(isLast, [&] { writePart(unit[2], rest); });
  }

private:
  int64_t taps() const { return c.down.kernel * c.across.kernel; }
  int64_t tapBytes() const { return quads.count() * codesPerLane; }
  int64_t weightBytes() const { return taps() * tapBytes(); } // of a result

  void writePart(Value part, int64_t results) {
    int64_t lines = CodeRows::linesOf(c), whole = lines / block.lines * block.lines;
    Value from = k.mul(part, k.constant(perUnit)), to = k.add(from, k.constant(perUnit));
    k.loop(
        from, k.min(to, k.constant(whole)), [&](Value line) { writeBlock(line, block.lines, results); }, block.lines);
    if (whole < lines)
      k.when(k.less(k.constant(whole), to), [&] { writeBlock(k.constant(whole), lines - whole, results); });
  }

  void writeBlock(Value line, int64_t lineCount, int64_t results) {
    Value y = k.mul(line, k.constant(CodeRows::rowsOf(c)));
    Value corner = s.at(planes, k.mul(y, k.constant(quads.rowBytes())));
    rows.forGroups(block.vectors, [&](Value first, int64_t size, bool hasLast) {
      Value base = s.at(corner, k.mul(first, k.constant(lanes * codesPerLane)));
      SmallVector<Value> sums(results * lineCount * size, s.splat(s.dwords, 0));
      sums = k.loop(k.constant(0), k.opaque(k.constant(quads.count())), sums, [&](Value quad, ValueRange in) {
        SmallVector<Value> next(in);
        addQuad(s.at(base, k.mul(quad, k.constant(quads.bytes()))),
                s.at(weights, k.mul(quad, k.constant(codesPerLane))), lineCount, size, results, next);
        return next;
      });
      for (auto [i, sum] : llvm::enumerate(sums)) {
        int64_t v = int64_t(i) % size, down = int64_t(i) / size % lineCount, m = int64_t(i) / size / lineCount;
        rows.store(image, k.add(result, k.constant(m)), k.add(y, k.constant(down * CodeRows::rowsOf(c))),
                   k.add(first, k.constant(v)), hasLast && v + 1 == size, sum);
      }
    });
  }

  /// Adds the products of four channels.
  void addQuad(Value plane, Value factors, int64_t lineCount, int64_t size, int64_t results,
               MutableArrayRef<Value> sums) {
    for (int64_t tap = 0; tap < taps(); ++tap) {
      SmallVector<Value> operands;
      int64_t offset = quads.offsetOf(tap / c.across.kernel, tap % c.across.kernel);
      for (int64_t i = 0; i < lineCount * size; ++i)
        operands.push_back(operandAt(
            s.at(plane, offset + i / size * CodeRows::rowsOf(c) * quads.rowBytes() + i % size * lanes * codesPerLane)));
      for (int64_t m = 0; m < results; ++m) {
        Value four = s.load(s.i32, s.at(factors, m * weightBytes() + tap * tapBytes()));
        Value weight = s.cast(s.bytes, s.spread(s.dwords, four));
        for (auto [i, operand] : llvm::enumerate(operands)) {
          Value &sum = sums[m * lineCount * size + int64_t(i)];
          sum = s.dot(sum, operand, weight, /*small=*/false);
        }
      }
    }
  }

  /// What a register's windows have under a tap: of one row, or of two halves.
  Value operandAt(Value at) {
    if (CodeRows::rowsOf(c) == 1)
      return s.load(s.bytes, at);
    auto half = VectorType::get(lanes / 2 * codesPerLane, s.i8);
    SmallVector<int64_t> both;
    for (int64_t i = 0; i < lanes * codesPerLane; ++i)
      both.push_back(i);
    return vector::ShuffleOp::create(s.b, s.load(half, at), s.load(half, s.at(at, quads.rowBytes())), both);
  }

  Kernel &k;
  Simd s;
  const CodeConvolution &c;
  const Quads quads;
  const SumBlock block;
  CodeRows rows;
  int64_t perUnit; // registers down
  Value storage, image, result, planes, weights;
};
} // namespace

bool qcc::emitCodeConvolution(Lowering &lowering, StringRef name, const CodeConvolution &c) {
  constexpr int64_t mostStride = 2; // across: two loads are taken apart
  if (!CodeRows::fits(lowering, c) || c.down.kernel * c.across.kernel > maxTaps || c.across.stride > mostStride)
    return false;
  Dimensions &dims = lowering.dims;
  Quads quads{c};
  Dim bytes = dims.mul(c.images, dims.constant(quads.count() * quads.bytes()));
  Value storage = lowering.allocate(dims.add(bytes, dims.constant(quads.slack())));
  {
    Kernel k(lowering, "interleave_codes", lowering.loc);
    QuadWriter writer(k, c, k.argument(storage));
    SmallVector<Dim> space = writer.space(dims);
    k.loop(k.lo(), k.hi(), [&](Value unit) { writer.writeUnit(k.delinearize(unit, space)); });
    k.launch(dims.product(space), dims.ceilDiv(bytes, codesPerLane));
  }
  Kernel k(lowering, name, lowering.loc);
  CodeBlocks blocks(k, c, k.argument(storage));
  SmallVector<Dim> space = blocks.space(dims);
  k.loop(k.lo(), k.hi(), [&](Value unit) { blocks.writeUnit(k.delinearize(unit, space)); });
  int64_t products = c.results * c.channels * c.down.kernel * c.across.kernel * c.down.output * c.across.output;
  k.launch(dims.product(space), dims.ceilDiv(dims.mul(c.images, dims.constant(products)), productsPerOperation));
  return true;
}
