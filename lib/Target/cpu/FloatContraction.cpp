// Contractions in float32: register tiles over panels of the right operand.
#include "qcc/Target/FloatContraction.h"
#include "TileShape.h"
#include "Widen.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t depthTile = 128;       // a panel of the right operand stays in the first cache
static constexpr int64_t rowBlock = 256;        // rows that share a panel: their sums stay in the second cache
static constexpr int64_t leastUnits = 8;        // row blocks are made smaller until there is work for several threads
static constexpr int64_t secondCache = 1 << 18; // a larger left operand is fetched ahead
static constexpr int64_t page = 4096;           // bytes
static constexpr int64_t unroll = 4;            // steps of depth in straight code

static int64_t roundUp(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

/// The address that a value was loaded from, when it is a float32 as it stands in memory.
static Value addressOf(Value value) {
  auto load = value.getDefiningOp<LLVM::LoadOp>();
  return load && load.getResult().getType().isF32() ? load.getAddr() : Value();
}

namespace {
class FloatContraction {
public:
  FloatContraction(Kernel &kernel, const Contraction &contraction, bool storesWide)
      : k(kernel), s(kernel, /*integer=*/false), b(kernel.b), c(contraction),
        shape(TileShape::choose(s.isa, s.lanes, c.rows, c.columns)), width(shape.vectors * s.lanes),
        storesWide(storesWide) {
    auto depth = constantOf(c.depth);
    pieces = depth ? std::max<int64_t>(1, (*depth + depthTile - 1) / depthTile) : 0;
    depthStep = depth ? std::max<int64_t>(1, (*depth + pieces - 1) / pieces) : depthTile;
    block = chooseBlock();
    if (auto rows = constantOf(c.rows); rows && depth)
      prefetchesLeft = *rows * *depth * 4 > secondCache;
    // A matrix with few rows is not worth copying the other operand for.
    auto rows = constantOf(c.rows), columns = constantOf(c.columns);
    bool isNear = columns && *columns % width == 0 && *columns * 4 <= page; // its rows
    copiesRight = !(c.rightIsContiguous && rows && *rows <= (isNear ? 2 * shape.rows : 2));
    if (!storesWide || pieces != 1)
      sums = k.threadScratch((block + 1) * width * 4);
    if (copiesRight)
      panel = k.threadScratch(depthStep * width * 4);
    if (!c.leftIsContiguous)
      leftPanel = k.threadScratch(block * depthStep * 4);
  }

  llvm::SmallVector<Dim> space(Dimensions &dims) const {
    SmallVector<Dim> result = c.batches;
    result.append({dims.ceilDiv(c.columns, width), dims.ceilDiv(c.rows, block)});
    return result;
  }

  void writeUnit(ArrayRef<Value> batchIndex, Value columnPanel, Value rowPanel) {
    batch = llvm::to_vector(batchIndex);
    firstColumn = k.mul(columnPanel, k.constant(width)), firstRow = k.mul(rowPanel, k.constant(block));
    columnsLeft = k.sub(k.dim(c.columns), firstColumn);
    rowsLeft = k.min(k.constant(block), k.sub(k.dim(c.rows), firstRow));
    if (pieces == 1) {
      writePiece(k.constant(0), k.dim(c.depth), /*isFirst=*/true, /*isLast=*/true);
    } else if (pieces) {
      int64_t last = (pieces - 1) * depthStep;
      writePiece(k.constant(0), k.constant(depthStep), /*isFirst=*/true, /*isLast=*/false);
      if (pieces > 2)
        k.loop(
            k.constant(depthStep), k.constant(last),
            [&](Value start) { writePiece(start, k.constant(depthStep), /*isFirst=*/false, /*isLast=*/false); },
            depthStep);
      writePiece(k.constant(last), k.constant(*constantOf(c.depth) - last), /*isFirst=*/false, /*isLast=*/true);
    } else {
      k.loop(k.constant(0), rowsLeft, [&](Value row) {
        for (int64_t v = 0; v < shape.vectors; ++v)
          s.store(s.splat(0.0f), sumAt(row, v), 4);
      });
      k.loop(
          k.constant(0), k.dim(c.depth),
          [&](Value start) {
            Value length = k.min(k.constant(depthStep), k.sub(k.dim(c.depth), start));
            writePiece(start, length, /*isFirst=*/false, /*isLast=*/false);
          },
          depthStep);
    }
    if (!storesWide || !pieces)
      storeSums();
  }

private:
  /// Rows of a unit. Known matrices are cut so that there are several units.
  int64_t chooseBlock() const {
    auto rows = constantOf(c.rows), columns = constantOf(c.columns);
    int64_t limit = roundUp(rowBlock, shape.rows);
    if (!rows)
      return limit;
    int64_t blocks = std::max<int64_t>(1, (*rows + limit - 1) / limit);
    if (columns) {
      int64_t panels = std::max<int64_t>(1, (*columns + width - 1) / width);
      int64_t wanted = std::max<int64_t>(1, leastUnits / panels), most = std::max<int64_t>(1, *rows / (4 * shape.rows));
      blocks = std::max(blocks, std::min(wanted, most));
    }
    return roundUp(std::max<int64_t>(1, (*rows + blocks - 1) / blocks), shape.rows);
  }

  Value sumAt(Value row, int64_t v) { return s.at(s.at(sums, k.mul(row, k.constant(width * 4))), v * s.lanes * 4); }

  /// Adds the products of `length` steps of depth from `start` on.
  void writePiece(Value start, Value length, bool isFirst, bool isLast) {
    depthStart = start, depthLength = length;
    readsSums = !isFirst, storesTiles = storesWide && isLast;
    if (copiesRight)
      copyRight();
    if (!c.leftIsContiguous)
      copyLeft();
    auto rows = constantOf(c.rows);
    int64_t step = shape.rows;
    Value whole = k.mul(k.div(rowsLeft, k.constant(step)), k.constant(step));
    if (!rows || *rows >= step)
      k.loop(k.constant(0), whole, [&](Value row) { multiplyTile(row, step); }, step);
    if (rows && *rows <= block) { // one block: what is left over is known
      if (int64_t rest = *rows % step)
        multiplyTile(k.constant(*rows - rest), rest);
    } else if (!rows || *rows % step) {
      k.loop(whole, rowsLeft, [&](Value row) { multiplyTile(row, 1); });
    }
  }

  /// Which lanes of register `v` of a row are columns.
  Value maskOf(int64_t v) { return s.lanesBelow(columnsLeft, v * s.lanes); }

  /// Loads the registers of row `step` of the right operand; what lies beyond the last column is 0.
  SmallVector<Value> rightVectors(Value address, bool isWhole) {
    SmallVector<Value> result;
    for (int64_t v = 0; v < shape.vectors; ++v) {
      Value at = s.at(address, v * s.lanes * 4);
      if (isWhole) {
        result.push_back(s.load(s.floats, at, 4));
        continue;
      }
      result.push_back(LLVM::MaskedLoadOp::create(b, s.floats, at, maskOf(v), s.splat(0.0f), 4));
    }
    return result;
  }

  /// Calls body(true) where all columns of the panel exist, else body(false).
  void byColumns(llvm::function_ref<void(bool)> body) {
    auto columns = constantOf(c.columns);
    Value isWhole = k.less(k.constant(width - 1), columnsLeft);
    if (!columns || *columns >= width)
      columns && *columns % width == 0 ? body(true) : k.when(isWhole, [&] { body(true); });
    if (!columns || *columns % width)
      columns && *columns < width ? body(false) : k.when(k.less(columnsLeft, k.constant(width)), [&] { body(false); });
  }

  void copyRight() {
    byColumns([&](bool isWhole) {
      Value count = isWhole ? k.constant(width) : columnsLeft;
      auto element = [&](Value d, Value j) { return c.right(k, batch, k.add(depthStart, d), k.add(firstColumn, j)); };
      auto place = [&](Value d) { return k.mul(d, k.constant(width)); };
      if (c.rightIsTransposed) {
        k.loop(k.constant(0), count, [&](Value j) {
          k.loop(k.constant(0), depthLength,
                 [&](Value d) { k.storeAt(panel, k.add(place(d), j), s.f32, element(d, j)); });
        });
      } else {
        k.loop(k.constant(0), depthLength, [&](Value d) {
          Value first = c.rightIsContiguous ? addressOf(element(d, k.constant(0))) : Value();
          if (first) {
            for (auto [v, value] : llvm::enumerate(rightVectors(first, isWhole)))
              s.store(value, s.at(s.at(panel, k.mul(place(d), k.constant(4))), int64_t(v) * s.lanes * 4), 4);
            return;
          }
          k.loop(k.constant(0), count, [&](Value j) { k.storeAt(panel, k.add(place(d), j), s.f32, element(d, j)); });
        });
      }
      if (!isWhole && (c.rightIsTransposed || !c.rightIsContiguous))
        k.loop(k.constant(0), depthLength, [&](Value d) {
          k.loop(count, k.constant(width),
                 [&](Value j) { k.storeAt(panel, k.add(place(d), j), s.f32, k.constantF32(0)); });
        });
    });
  }

  /// Rows of the left operand, as far as the unit needs them, one after another.
  void copyLeft() {
    k.loop(k.constant(0), rowsLeft, [&](Value row) {
      Value to = k.mul(row, k.constant(depthStep));
      k.loop(k.constant(0), depthLength, [&](Value d) {
        k.storeAt(leftPanel, k.add(to, d), s.f32, c.left(k, batch, k.add(firstRow, row), k.add(depthStart, d)));
      });
    });
  }

  void multiplyTile(Value row, int64_t rows) {
    if (copiesRight)
      return multiplyTile(row, rows, true);
    byColumns([&](bool isWhole) { multiplyTile(row, rows, isWhole); });
  }

  void multiplyTile(Value row, int64_t rows, bool isWhole) {
    SmallVector<Value> acc, left;
    for (int64_t r = 0; r < rows; ++r) {
      Value line = k.add(row, k.constant(r));
      for (int64_t v = 0; v < shape.vectors; ++v)
        acc.push_back(readsSums ? s.load(s.floats, sumAt(line, v), 4) : s.splat(0.0f));
      if (leftPanel) {
        left.push_back(s.at(leftPanel, k.mul(line, k.constant(depthStep * 4))));
        continue;
      }
      left.push_back(addressOf(c.left(k, batch, k.add(firstRow, line), depthStart)));
    }
    auto step = [&](ArrayRef<Value> sum, Value d, int64_t ahead) {
      SmallVector<Value> next(sum);
      Value at = k.add(d, k.constant(ahead)), bytes = k.mul(d, k.constant(4));
      SmallVector<Value> right;
      if (copiesRight)
        for (int64_t v = 0; v < shape.vectors; ++v)
          right.push_back(s.load(
              s.floats, s.at(s.at(panel, k.mul(d, k.constant(width * 4))), ahead * width * 4 + v * s.lanes * 4), 4));
      else
        right = rightVectors(addressOf(c.right(k, batch, k.add(depthStart, at), firstColumn)), isWhole);
      for (int64_t r = 0; r < rows; ++r) {
        Value element = s.spread(s.floats, s.load(s.f32, s.at(s.at(left[r], bytes), ahead * 4), 4));
        for (int64_t v = 0; v < shape.vectors; ++v)
          next[r * shape.vectors + v] = s.fma(element, right[v], next[r * shape.vectors + v]);
      }
      return next;
    };
    auto straight = [&](Value d, ValueRange in) {
      SmallVector<Value> sum(in);
      if (prefetchesLeft && !leftPanel) // the rows of the next tile
        for (Value line : left)
          LLVM::Prefetch::create(b, s.at(s.at(line, k.mul(d, k.constant(4))), *constantOf(c.depth) * shape.rows * 4),
                                 /*rw=*/0, /*hint=*/3, /*cache=*/1);
      for (int64_t i = 0; i < unroll; ++i)
        sum = step(sum, d, i);
      return sum;
    };
    auto known = mlir::getConstantIntValue(depthLength);
    Value whole = k.mul(k.div(depthLength, k.constant(unroll)), k.constant(unroll));
    if (!known || *known >= unroll)
      acc = k.loop(k.constant(0), whole, acc, straight, unroll);
    if (!known || *known % unroll)
      acc = k.loop(whole, depthLength, acc, [&](Value d, ValueRange in) { return step(SmallVector<Value>(in), d, 0); });
    if (storesTiles)
      return byColumns([&](bool isWhole) { storeTile(row, acc, isWhole); });
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < shape.vectors; ++v)
        s.store(acc[r * shape.vectors + v], sumAt(k.add(row, k.constant(r)), v), 4);
  }

  /// Gives the finished sums of a tile away, a register at a time.
  void storeTile(Value row, ArrayRef<Value> acc, bool isWhole) {
    SmallVector<Value> masks;
    for (int64_t v = 0; v < shape.vectors; ++v)
      masks.push_back(isWhole ? Value() : maskOf(v));
    for (auto [i, sum] : llvm::enumerate(acc)) {
      int64_t v = int64_t(i) % shape.vectors;
      Value line = k.add(k.add(firstRow, row), k.constant(int64_t(i) / shape.vectors));
      emitWide(s, k.add(firstColumn, k.constant(v * s.lanes)), sum, masks[v],
               [&](Value column, Value element) { c.store(k, batch, line, column, element); });
    }
  }

  void storeSums() {
    byColumns([&](bool isWhole) {
      Value count = isWhole ? k.constant(width) : columnsLeft;
      k.loop(k.constant(0), rowsLeft, [&](Value r) {
        Value from = k.mul(r, k.constant(width));
        k.loop(k.constant(0), count, [&](Value j) {
          c.store(k, batch, k.add(firstRow, r), k.add(firstColumn, j), k.loadAt(sums, k.add(from, j), s.f32));
        });
      });
    });
  }

  Kernel &k;
  Simd s;
  ImplicitLocOpBuilder &b;
  const Contraction &c;
  const TileShape shape;
  const int64_t width;   // columns of a tile and of a panel
  const bool storesWide; // from registers
  int64_t pieces, depthStep, block;
  bool prefetchesLeft = false, copiesRight, readsSums = false, storesTiles = false;
  SmallVector<Value> batch;
  Value sums, panel, leftPanel, firstColumn, firstRow, columnsLeft, rowsLeft, depthStart, depthLength;
};
} // namespace

void qcc::emitFloatContraction(Lowering &lowering, llvm::StringRef name, const Contraction &contraction) {
  Contraction c = contraction;
  bool storesWide;
  { // Operands that promise more than a plain load keep are copied element by element.
    Kernel probe(lowering, "probe", lowering.loc);
    SmallVector<Value> batch(c.batches.size(), probe.constant(0));
    Value zero = probe.constant(0);
    c.leftIsContiguous &= bool(addressOf(c.left(probe, batch, zero, zero)));
    c.rightIsContiguous &= bool(addressOf(c.right(probe, batch, zero, zero)));
    Simd simd(probe, /*integer=*/false);
    storesWide = isWide(simd, [&](Value column, Value sum) { c.store(probe, batch, zero, column, sum); });
  }
  Dimensions &dims = lowering.dims;
  Kernel k(lowering, name, lowering.loc);
  FloatContraction writer(k, c, storesWide);
  SmallVector<Dim> space = writer.space(dims);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, space);
    Value row = at.pop_back_val(), column = at.pop_back_val();
    writer.writeUnit(at, column, row);
  });
  // About eight products take as long as one scalar operation.
  Dim work = dims.product({dims.product(c.batches), c.rows, c.columns, c.depth});
  k.launch(dims.product(space), dims.ceilDiv(work, 4));
}
