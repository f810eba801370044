// Convolution of codes channel by channel: four taps of a row are a 32-bit lane, gathered out of one load by a shuffle
// of its bytes.
#include "CodeRows.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxWeights = 12;           // registers
static constexpr int64_t maxSums = 8;               // registers
static constexpr int64_t maxScratchBytes = 1 << 17; // a plane with its padding lies in thread storage
static constexpr int64_t productsPerOperation = 24; // that take as long as one scalar operation

namespace {
class DepthwisePlanes {
public:
  DepthwisePlanes(Kernel &kernel, const CodeConvolution &convolution)
      : k(kernel), s(kernel, /*integer=*/true), c(convolution), rows(s, convolution) {
    int64_t across = CodeRows::vectorsOf(c), groups = llvm::divideCeil(across, 2);
    perGroup = llvm::divideCeil(across, groups);
    int64_t lines = CodeRows::linesOf(c);
    perBlock = llvm::divideCeil(lines, llvm::divideCeil(lines, maxSums / perGroup));
    plane = k.threadScratch(scratchBytes(c));
  }

  static int64_t foursOf(const CodeConvolution &c) { return llvm::divideCeil(c.across.kernel, codesPerLane); }
  /// Bytes from a register's first column to behind the last one that is used.
  static int64_t reachOf(const CodeConvolution &c) {
    return (CodeRows::lanesOf(c) - 1) * c.across.stride + (codesPerLane - 1) * c.across.dilation + 1;
  }
  static int64_t loadBytes(const CodeConvolution &c) { return CodeRows::lanesOf(c) * codesPerLane; }
  static int64_t rowBytes(const CodeConvolution &c) {
    int64_t last = (CodeRows::vectorsOf(c) - 1) * CodeRows::lanesOf(c) * c.across.stride +
                   (foursOf(c) - 1) * codesPerLane * c.across.dilation;
    return llvm::alignTo(last + loadBytes(c), 16);
  }
  /// Rows that windows of whole registers read.
  static int64_t rowsOf(const CodeConvolution &c) {
    return (CodeRows::linesOf(c) * CodeRows::rowsOf(c) - 1) * c.down.stride + (c.down.kernel - 1) * c.down.dilation + 1;
  }
  static int64_t scratchBytes(const CodeConvolution &c) { return rowsOf(c) * rowBytes(c); }

  void writeUnit(ArrayRef<Value> unit) {
    image = unit[0], result = unit[1];
    copyPlane(k.div(result, k.constant(c.results / c.channels)));
    weights.clear();
    int64_t count = c.down.kernel * foursOf(c);
    Value own = s.at(c.weights(k), k.mul(result, k.constant(count * codesPerLane)));
    for (int64_t i = 0; i < count; ++i)
      weights.push_back(s.cast(s.bytes, s.spread(s.dwords, s.load(s.i32, s.at(own, i * codesPerLane)))));
    int64_t lines = CodeRows::linesOf(c), whole = lines / perBlock * perBlock;
    k.loop(k.constant(0), k.constant(whole), [&](Value line) { writeBlock(line, perBlock); }, perBlock);
    if (whole < lines)
      writeBlock(k.constant(whole), lines - whole);
  }

private:
  /// Copies a plane with its padding.
  void copyPlane(Value channel) {
    Value number = k.add(k.mul(image, k.constant(c.channels)), channel);
    Value from = s.at(c.planes(k), k.mul(number, k.constant(c.down.input * c.across.input)));
    auto fill = [&](Value row) {
      for (int64_t x = 0; x < rowBytes(c); x += s.lanes)
        s.store(rows.zeros(), s.at(row, x));
    };
    auto rowAt = [&](Value row) { return s.at(plane, k.mul(row, k.constant(rowBytes(c)))); };
    int64_t above = std::clamp<int64_t>(c.down.before, 0, rowsOf(c));
    int64_t end = std::clamp<int64_t>(c.down.input + c.down.before, above, rowsOf(c));
    k.loop(k.constant(0), k.constant(above), [&](Value row) { fill(rowAt(row)); });
    k.loop(k.constant(end), k.constant(rowsOf(c)), [&](Value row) { fill(rowAt(row)); });
    k.loop(k.constant(above), k.constant(end), [&](Value row) {
      Value line = s.at(from, k.mul(k.sub(row, k.constant(c.down.before)), k.constant(c.across.input)));
      k.loop(
          k.constant(0), k.constant(rowBytes(c)),
          [&](Value x) {
            Value start = k.sub(x, k.constant(c.across.before));
            s.store(rows.codesAt(line, start, k.constant(c.across.input)), s.at(rowAt(row), x));
          },
          s.lanes);
    });
  }

  void writeBlock(Value line, int64_t count) {
    int64_t perRegister = CodeRows::rowsOf(c), step = perRegister * c.down.stride;
    Value y = k.mul(line, k.constant(perRegister));
    Value corner = s.at(plane, k.mul(line, k.constant(step * rowBytes(c))));
    rows.forGroups(perGroup, [&](Value first, int64_t size, bool hasLast) {
      Value base = s.at(corner, k.mul(first, k.constant(CodeRows::lanesOf(c) * c.across.stride)));
      SmallVector<Value> sums(count * size, s.splat(s.dwords, 0));
      int64_t reach = (count - 1) * step + (c.down.kernel - 1) * c.down.dilation + 1;
      for (int64_t i = 0; i < reach; ++i)
        for (int64_t v = 0; v < size; ++v)
          for (int64_t four = 0; four < foursOf(c); ++four)
            addLine(s.at(base, i * rowBytes(c) + v * CodeRows::lanesOf(c) * c.across.stride +
                                   four * codesPerLane * c.across.dilation),
                    i, count, four, [&](int64_t down) -> Value & { return sums[down * size + v]; });
      for (auto [i, sum] : llvm::enumerate(sums)) {
        int64_t v = int64_t(i) % size, down = int64_t(i) / size;
        rows.store(image, result, k.add(y, k.constant(down * perRegister)), k.add(first, k.constant(v)),
                   hasLast && v + 1 == size, sum);
      }
    });
  }

  /// Adds the products of four taps of the row `i` to the sums that read them.
  void addLine(Value at, int64_t i, int64_t count, int64_t four, llvm::function_ref<Value &(int64_t)> sumOf) {
    Value operand;
    for (int64_t down = 0; down < count; ++down) {
      int64_t distance = i - down * CodeRows::rowsOf(c) * c.down.stride;
      if (distance < 0 || distance % c.down.dilation || distance / c.down.dilation >= c.down.kernel)
        continue;
      if (!operand)
        operand = gather(at);
      Value &sum = sumOf(down);
      sum = s.dot(sum, operand, weights[distance / c.down.dilation * foursOf(c) + four], /*small=*/false);
    }
  }

  Value gather(Value at) {
    auto bytes = VectorType::get(loadBytes(c), s.i8);
    int64_t lanes = CodeRows::lanesOf(c);
    Value first = s.load(bytes, at), second = first;
    if (CodeRows::rowsOf(c) == 2)
      second = s.load(bytes, s.at(at, c.down.stride * rowBytes(c)));
    SmallVector<int64_t> chosen;
    for (int64_t row = 0; row < CodeRows::rowsOf(c); ++row)
      for (int64_t lane = 0; lane < lanes; ++lane)
        for (int64_t tap = 0; tap < codesPerLane; ++tap)
          chosen.push_back(row * loadBytes(c) + lane * c.across.stride + tap * c.across.dilation);
    return vector::ShuffleOp::create(s.b, first, second, chosen);
  }

  Kernel &k;
  Simd s;
  const CodeConvolution &c;
  CodeRows rows;
  int64_t perGroup, perBlock; // registers across and down
  Value plane, image, result;
  SmallVector<Value> weights;
};
} // namespace

bool qcc::emitCodeDepthwise(Lowering &lowering, StringRef name, const CodeConvolution &c) {
  using Planes = DepthwisePlanes;
  if (!CodeRows::fits(lowering, c) || c.results % c.channels || Planes::reachOf(c) > Planes::loadBytes(c) ||
      c.down.kernel * Planes::foursOf(c) > maxWeights || Planes::scratchBytes(c) > maxScratchBytes)
    return false;
  Dimensions &dims = lowering.dims;
  Kernel k(lowering, name, lowering.loc);
  DepthwisePlanes planes(k, c);
  SmallVector<Dim> space = {c.images, dims.constant(c.results)};
  k.loop(k.lo(), k.hi(), [&](Value unit) { planes.writeUnit(k.delinearize(unit, space)); });
  int64_t products = c.results * c.down.kernel * c.across.kernel * c.down.output * c.across.output;
  k.launch(dims.product(space), dims.ceilDiv(dims.mul(c.images, dims.constant(products)), productsPerOperation));
  return true;
}
