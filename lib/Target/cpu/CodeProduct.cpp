// Products of unsigned and signed bytes: four steps of depth in each 32-bit lane.
#include "qcc/Target/CodeProduct.h"
#include "TileShape.h"
#include "Widen.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t steps = 4;       // of depth in a lane
static constexpr int64_t maxDepth = 4096; // a panel lies in thread storage
static constexpr int64_t rowBlock = 256;  // rows that share a panel
static constexpr int64_t leastUnits = 8;  // row blocks are made smaller until there is work for several threads
static constexpr int64_t productsPerOperation = 64; // that take as long as one scalar operation

namespace {
class CodeTiles {
public:
  CodeTiles(Kernel &kernel, const CodeProduct &product, TileShape shape)
      : k(kernel), s(kernel, /*integer=*/true), b(kernel.b), c(product), shape(shape), width(shape.vectors * s.lanes) {
    int64_t wanted = std::max<int64_t>(1, leastUnits / panels());
    int64_t blocks = std::clamp<int64_t>(c.rows / (4 * shape.rows), 1, std::max(wanted, c.rows / rowBlock));
    int64_t perBlock = (c.rows + blocks - 1) / blocks;
    block = (perBlock + shape.rows - 1) / shape.rows * shape.rows;
    panel = k.threadScratch(c.depth * width);
  }

  int64_t panels() const { return (c.columns + width - 1) / width; }
  SmallVector<Dim> space(Dimensions &dims) const {
    return {c.images, dims.constant(panels()), dims.constant((c.rows + block - 1) / block)};
  }

  void writeUnit(ArrayRef<Value> unit) {
    image = unit[0], firstColumn = k.mul(unit[1], k.constant(width));
    columnsLeft = k.sub(k.constant(c.columns), firstColumn);
    byColumns([&](bool isWhole) { pack(isWhole); });
    Value from = k.mul(unit[2], k.constant(block)), to = k.add(from, k.constant(block));
    int64_t whole = c.rows / shape.rows * shape.rows;
    k.loop(from, k.min(to, k.constant(whole)), [&](Value row) { writeTile(row, shape.rows); }, shape.rows);
    if (whole < c.rows)
      k.when(k.less(k.constant(whole), to), [&] { writeTile(k.constant(whole), c.rows - whole); });
  }

private:
  /// Calls body(true) where all columns of the panel exist, else body(false).
  void byColumns(llvm::function_ref<void(bool)> body) {
    if (c.columns % width == 0)
      return body(true);
    if (c.columns > width)
      k.when(k.less(k.constant(width - 1), columnsLeft), [&] { body(true); });
    k.when(k.less(columnsLeft, k.constant(width)), [&] { body(false); });
  }

  /// Which lanes of vector `v` are columns.
  Value maskOf(int64_t v) { return s.lanesBelow(columnsLeft, v * s.lanes); }

  /// Copies the columns of the panel, four rows of bytes at a time, so that a lane has four steps of its column.
  void pack(bool isWhole) {
    VectorType bytes = s.vectorOf(s.i8);
    Value zero = arith::ConstantOp::create(b, DenseElementsAttr::get(bytes, b.getI8IntegerAttr(0)));
    Value from = s.at(c.right(k), k.mul(image, k.constant(c.depth * c.columns)));
    from = s.at(from, firstColumn);
    k.loop(
        k.constant(0), k.constant(c.depth),
        [&](Value d) {
          Value line = s.at(from, k.mul(d, k.constant(c.columns))), to = s.at(panel, k.mul(d, k.constant(width)));
          for (int64_t v = 0; v < shape.vectors; ++v) {
            SmallVector<Value> rows;
            Value mask = isWhole ? Value() : maskOf(v);
            for (int64_t i = 0; i < steps; ++i) {
              Value at = s.at(line, i * c.columns + v * s.lanes);
              rows.push_back(isWhole ? s.load(bytes, at)
                                     : Value(LLVM::MaskedLoadOp::create(b, bytes, at, mask, zero, 1)));
            }
            s.store(s.interleave(rows), s.at(to, v * s.lanes * steps), 64);
          }
        },
        steps);
  }

  void writeTile(Value row, int64_t rows) {
    SmallVector<Value> sums(rows * shape.vectors, s.splat(s.dwords, 0));
    Value left = s.at(c.left(k), k.mul(row, k.constant(c.depth)));
    sums = k.loop(
        k.constant(0), k.constant(c.depth), sums,
        [&](Value d, ValueRange in) {
          SmallVector<Value> next(in), right;
          Value at = s.at(panel, k.mul(d, k.constant(width))), weights = s.at(left, d);
          for (int64_t v = 0; v < shape.vectors; ++v)
            right.push_back(s.load(s.bytes, s.at(at, v * s.lanes * steps), 64));
          for (int64_t r = 0; r < rows; ++r) {
            Value four = s.load(s.i32, s.at(weights, r * c.depth));
            Value weight = s.cast(s.bytes, s.spread(s.dwords, four));
            for (int64_t v = 0; v < shape.vectors; ++v)
              next[r * shape.vectors + v] = s.dot(next[r * shape.vectors + v], right[v], weight, /*small=*/false);
          }
          return next;
        },
        steps);
    byColumns([&](bool isWhole) {
      for (auto [i, sum] : llvm::enumerate(sums)) {
        int64_t v = int64_t(i) % shape.vectors;
        Value line = k.add(row, k.constant(int64_t(i) / shape.vectors));
        Value offset = s.load(s.i32, s.at(c.offsets(k), k.mul(line, k.constant(4))), 4);
        Value whole = arith::SubIOp::create(b, sum, s.spread(s.dwords, offset));
        Value value = arith::SIToFPOp::create(b, s.floats, whole);
        emitWide(s, k.add(firstColumn, k.constant(v * s.lanes)), value, isWhole ? Value() : maskOf(v),
                 [&](Value column, Value element) { c.store(k, image, line, column, element); });
      }
    });
  }

  Kernel &k;
  Simd s;
  ImplicitLocOpBuilder &b;
  const CodeProduct &c;
  const TileShape shape;
  const int64_t width; // columns of a panel
  int64_t block;       // rows of a unit
  Value panel, image, firstColumn, columnsLeft;
};
} // namespace

bool qcc::multipliesCodes(const TargetFacts &facts) {
  return facts.device || Simd::isaOf(facts, /*integer=*/true) == Simd::Isa::Avx512;
}

bool qcc::emitCodeProduct(Lowering &lowering, llvm::StringRef name, const CodeProduct &product) {
  if (lowering.facts.device)
    return false;
  if (Simd::isaOf(lowering.facts, /*integer=*/true) != Simd::Isa::Avx512 || product.depth % steps ||
      product.depth < steps || product.depth > maxDepth || product.rows < 1 || product.columns < 1)
    return false;
  Dimensions &dims = lowering.dims;
  {
    Kernel probe(lowering, "probe", lowering.loc);
    Simd simd(probe, /*integer=*/true);
    Value zero = probe.constant(0);
    if (!isWide(simd, [&](Value column, Value sum) { product.store(probe, zero, zero, column, sum); }))
      return false;
  }
  Kernel k(lowering, name, lowering.loc);
  TileShape shape = TileShape::choose(Simd::Isa::Avx512, Simd::lanesOf(Simd::Isa::Avx512), dims.constant(product.rows),
                                      dims.constant(product.columns));
  CodeTiles tiles(k, product, shape);
  SmallVector<Dim> space = tiles.space(dims);
  k.loop(k.lo(), k.hi(), [&](Value unit) { tiles.writeUnit(k.delinearize(unit, space)); });
  Dim products = dims.mul(product.images, dims.constant(product.rows * product.columns * product.depth));
  k.launch(dims.product(space), dims.ceilDiv(products, productsPerOperation));
  return true;
}
