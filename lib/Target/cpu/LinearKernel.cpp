#include "LinearKernel.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t unitRows = 32;        // rows of one unit of work: two tiles of the layout
static constexpr int64_t straightColumns = 64; // columns in straight code: LLVM's scheduler spills in much longer ones

LinearPlan::Columns LinearPlan::columnsFor(const TargetFacts &facts, bool integer) {
  switch (Simd::isaOf(facts, integer)) {
  case Simd::Isa::Avx512:
    return {4, integer ? 6 : 12};
  case Simd::Isa::Avx2:
    return {2, integer ? 3 : 6};
  case Simd::Isa::Sse:
    return {2, 2};
  case Simd::Isa::Neon:
    return {4, 4};
  }
  return {1, 1};
}

namespace {
/// A register tile: `vectors` × lanes rows, `columns` tokens.
class LinearTile {
public:
  LinearTile(Kernel &kernel, const LinearPlan &plan, int vectors, int columns, const Activations &activations)
      : k(kernel), s(kernel, plan.integer), b(kernel.b), plan(plan), layout(plan.layout),
        decoder(s, plan.format, plan.layout), vectors(vectors), columns(columns), packed(k.argument(plan.weights)),
        values(k.argument(activations.values)) {
    if (plan.integer) {
      scales = k.argument(activations.scales), biases = k.argument(activations.biases);
      if (activations.sums)
        sums = k.argument(activations.sums);
    }
  }

  int64_t rows() const { return int64_t(vectors) * s.lanes; }

  /// Says which panel of activations is multiplied.
  void setPanel(Value panel) {
    auto offset = [&](int64_t bytes) { return k.mul(panel, k.constant(bytes * columns)); };
    int64_t rowBytes = plan.integer ? paddedColumns(layout) : layout.columns * 4;
    panelValues = s.at(values, offset(rowBytes));
    if (!plan.integer)
      return;
    panelScales = s.at(scales, offset(layout.blocks() * 4)), panelBiases = s.at(biases, offset(layout.blocks() * 4));
    if (sums)
      panelSums = s.at(sums, offset(layout.blocks() * 4));
  }

  SmallVector<Value> zeros() { return SmallVector<Value>(vectors * columns, s.splat(0.0f)); }

  /// The address of packed tile `tile`; tiles beyond the last one read that again.
  Value tileAddress(Value tile) {
    Value last = k.constant(layout.tiles() - 1);
    Value index = layout.tiles() % 2 ? k.min(tile, last) : tile;
    return s.at(packed, k.mul(index, k.constant(layout.tileBytes())));
  }

  /// sums + the whole row times the panel, from packed codes. `tiles` holds the address of the layout's tile of each
  /// register, `lane` the first of the tile's rows in it.
  SmallVector<Value> addPacked(ArrayRef<Value> tiles, ArrayRef<int64_t> lane);
  /// The same from a decoded panel.
  SmallVector<Value> addDecoded(Value operands, Value panelRowScales, Value panelRowZeros);
  /// Decodes `rows()` rows into a panel.
  void decode(ArrayRef<Value> tiles, ArrayRef<int64_t> lane, Value operands, Value panelRowScales, Value panelRowZeros);

  bool needsDecode() const { return plan.integer || layout.codeBits != 32; }
  int64_t panelBytes() const { return rows() * (plan.integer ? paddedColumns(layout) : layout.columns * 4); }

  void multiplyRowScales(SmallVectorImpl<Value> &acc, Value firstRow) {
    if (!layout.hasRowScales)
      return;
    Value at = s.at(s.at(packed, layout.rowScalesOffset()), k.mul(firstRow, k.constant(4)));
    for (int v = 0; v < vectors; ++v) {
      Value factor = s.load(s.floats, s.at(at, v * s.lanes * 4), 4);
      if (plan.integer && plan.format.element->integerView()->factor != 1 && !layout.scaleBytes)
        factor = arith::MulFOp::create(b, factor, s.splat(plan.format.element->integerView()->factor));
      for (int c = 0; c < columns; ++c)
        acc[v * columns + c] = arith::MulFOp::create(b, acc[v * columns + c], factor);
    }
  }

  /// Puts the sums into scratch, [token][unitRows], `firstRow` rows in.
  void keep(ArrayRef<Value> acc, Value scratch, Value firstRow) {
    for (int v = 0; v < vectors; ++v)
      for (int c = 0; c < columns; ++c)
        s.store(acc[v * columns + c],
                s.at(s.at(scratch, k.mul(firstRow, k.constant(4))), (c * unitRows + v * s.lanes) * 4), 4);
  }

  Kernel &k;
  Simd s;

private:
  using Sums = SmallVector<Value>;
  /// What a block's operands are multiplied with, and where they stand.
  struct Block {
    Value values, scales, biases, sums; // of the activations
  };
  Block blockAt(Value index) {
    int64_t step = plan.integer ? paddedColumns(layout, layout.block) : layout.block * 4;
    Block block;
    block.values = s.at(panelValues, k.mul(index, k.constant(step * columns)));
    if (plan.integer) {
      Value at = k.mul(index, k.constant(4 * columns));
      block.scales = s.at(panelScales, at), block.biases = s.at(panelBiases, at);
      if (sums)
        block.sums = s.at(panelSums, at);
    }
    return block;
  }
  /// f(block index, columns, state) for every block of a row.
  Sums overBlocks(Sums state, llvm::function_ref<Sums(Value, int64_t, Sums)> f) {
    if (layout.fullBlocks())
      state = k.loop(k.constant(0), k.constant(layout.fullBlocks()), state,
                     [&](Value i, ValueRange in) { return f(i, layout.block, Sums(in)); });
    if (layout.tail())
      state = f(k.constant(layout.fullBlocks()), layout.tail(), state);
    return state;
  }
  /// f(first column, count, state) over a block's columns in straight pieces.
  Sums overColumns(int64_t count, int64_t piece, Sums state, llvm::function_ref<Sums(Value, int64_t, Sums)> f) {
    int64_t whole = count / piece;
    if (whole == 1)
      state = f(k.constant(0), piece, state);
    else if (whole)
      state = k.loop(k.constant(0), k.constant(whole), state,
                     [&](Value i, ValueRange in) { return f(k.mul(i, k.constant(piece)), piece, Sums(in)); });
    if (count % piece)
      state = f(k.constant(whole * piece), count % piece, state);
    return state;
  }

  /// Partial sums of a block: several per register, so that one does not wait for the other.
  int chains() const { return vectors * columns >= 8 ? 1 : vectors * columns >= 3 ? 2 : 4; }
  Value activation(Value base, int64_t operand, int column) {
    Value at = s.at(base, (operand * columns + column) * 4);
    return plan.integer ? s.cast(s.bytes, s.spread(s.dwords, s.load(s.i32, at, 4)))
                        : s.spread(s.floats, s.load(s.f32, at, 4));
  }
  /// part += operands of one register of codes times the activations from operand number `first` on.
  void multiply(Sums &part, int v, ArrayRef<Value> operands, Value base, int64_t first, int64_t limit) {
    int n = chains();
    for (auto [i, operand] : llvm::enumerate(operands)) {
      int64_t number = first + int64_t(i);
      if (number >= limit)
        return;
      for (int c = 0; c < columns; ++c) {
        Value a = activation(base, number, c);
        Value &sum = part[(v * columns + c) * n + number % n];
        sum = plan.integer ? s.dot(sum, operand, a, decoder.isSmall()) : s.fma(operand, a, sum);
      }
    }
  }
  Sums addIntegerBlock(Sums acc, const Block &block, int64_t count, llvm::function_ref<Value(int)> rowScales,
                       llvm::function_ref<Value(int)> rowZeros,
                       llvm::function_ref<SmallVector<Value>(int v, Value chunk)> operands);
  Sums addFloats(Sums part, Value base, int64_t count, int64_t chunkColumns,
                 llvm::function_ref<SmallVector<Value>(int v, Value chunk)> operands);

  ImplicitLocOpBuilder &b;
  const LinearPlan &plan;
  const PackedLayout &layout;
  Decoder decoder;
  int vectors, columns;
  Value packed, values, scales, biases, sums;
  Value panelValues, panelScales, panelBiases, panelSums;
};
} // namespace

/// Adds one block of int8 products: the exact integer sum first, then its scales.
LinearTile::Sums LinearTile::addIntegerBlock(Sums acc, const Block &block, int64_t count,
                                             llvm::function_ref<Value(int)> rowScales,
                                             llvm::function_ref<Value(int)> rowZeros,
                                             llvm::function_ref<SmallVector<Value>(int, Value)> operands) {
  int n = chains();
  bool pairs = s.sumsPairs(decoder.isSmall());
  int64_t perChunk = layout.chunkColumns() / 4, chunks = layout.chunks(count);
  Sums part(vectors * columns * n, s.splat(s.dwords, 0));
  if (decoder.bias())
    for (int v = 0; v < vectors; ++v)
      for (int c = 0; c < columns; ++c)
        part[(v * columns + c) * n] = s.spread(s.dwords, s.load(s.i32, s.at(block.biases, c * 4), 4));
  int64_t piece = std::max<int64_t>(1, straightColumns / layout.chunkColumns());
  part = overColumns(chunks, piece, part, [&](Value first, int64_t length, Sums wide) {
    Value base = s.at(block.values, k.mul(first, k.constant(layout.chunkColumns() * columns)));
    Sums sum = pairs ? Sums(wide.size(), s.splat(s.words, 0)) : wide;
    int64_t dots = 0;
    for (int64_t chunk = 0; chunk < length; ++chunk) {
      for (int v = 0; v < vectors; ++v)
        multiply(sum, v, operands(v, k.add(first, k.constant(chunk))), base, chunk * perChunk, chunks * perChunk);
      dots += perChunk;
      bool isFull = dots + perChunk > int64_t(Simd::dotsPerPairSum) * n || chunk + 1 == length;
      if (!pairs || !isFull)
        continue;
      for (auto [to, from] : llvm::zip(wide, sum)) {
        to = s.addInt(to, s.widenPairs(from));
        from = s.splat(s.words, 0);
      }
      dots = 0;
    }
    return pairs ? wide : sum;
  });
  for (int v = 0; v < vectors; ++v) {
    Value rowScale = layout.scaleBytes ? rowScales(v) : Value(), rowZero = layout.hasZero ? rowZeros(v) : Value();
    for (int c = 0; c < columns; ++c) {
      Value sum = part[(v * columns + c) * n];
      for (int i = 1; i < n; ++i)
        sum = s.addInt(sum, part[(v * columns + c) * n + i]);
      Value scale = s.spread(s.floats, s.load(s.f32, s.at(block.scales, c * 4), 4));
      if (rowScale)
        scale = arith::MulFOp::create(b, rowScale, scale);
      Value &total = acc[v * columns + c];
      total = s.fma(arith::SIToFPOp::create(b, s.floats, sum), scale, total);
      if (rowZero) // minus zero · scale times the sum of the activations
        total = s.fma(rowZero, s.spread(s.floats, s.load(s.f32, s.at(block.sums, c * 4), 4)), total);
    }
  }
  return acc;
}

/// part += `count` columns of float products. The last chunk may be part of one: activations end with the row.
LinearTile::Sums LinearTile::addFloats(Sums part, Value base, int64_t count, int64_t chunkColumns,
                                       llvm::function_ref<SmallVector<Value>(int, Value)> operands) {
  int64_t straight = std::max<int64_t>(1, 96 / (int64_t(vectors) * columns));
  int64_t piece = std::max<int64_t>(1, std::min<int64_t>(straight, 16) / chunkColumns);
  auto chunk = [&](Sums &sum, Value at, Value index, int64_t first, int64_t limit) {
    for (int v = 0; v < vectors; ++v)
      multiply(sum, v, operands(v, index), at, first, limit);
  };
  auto addressOf = [&](Value index) { return s.at(base, k.mul(index, k.constant(chunkColumns * 4 * columns))); };
  part = overColumns(count / chunkColumns, piece, part, [&](Value first, int64_t length, Sums sum) {
    Value at = addressOf(first);
    for (int64_t i = 0; i < length; ++i)
      chunk(sum, at, k.add(first, k.constant(i)), i * chunkColumns, length * chunkColumns);
    return sum;
  });
  if (count % chunkColumns) {
    Value last = k.constant(count / chunkColumns);
    chunk(part, addressOf(last), last, 0, count % chunkColumns);
  }
  return part;
}

SmallVector<Value> LinearTile::addPacked(ArrayRef<Value> tiles, ArrayRef<int64_t> lane) {
  int n = chains();
  auto codes = [&](int v, Value codesBase, Value chunk) {
    return decoder.load(s.at(s.at(codesBase, k.mul(chunk, k.constant(layout.chunkBytes()))), lane[v] * 4));
  };
  auto sumUp = [&](ArrayRef<Value> part) {
    Sums sum;
    for (int i = 0; i < vectors * columns; ++i) {
      Value total = part[i * n];
      for (int j = 1; j < n; ++j)
        total = arith::AddFOp::create(b, total, part[i * n + j]);
      sum.push_back(total);
    }
    return sum;
  };
  if (!plan.integer && layout.codeBits == 32) // one long block without scales
    return sumUp(addFloats(Sums(vectors * columns * n, s.splat(0.0f)), panelValues, layout.columns, 1,
                           [&](int v, Value chunk) { return codes(v, tiles[v], chunk); }));
  return overBlocks(zeros(), [&](Value index, int64_t count, Sums acc) {
    Block block = blockAt(index);
    Value offset = k.mul(index, k.constant(layout.blockBytes(layout.block)));
    SmallVector<Value> heads;
    for (Value tile : tiles)
      heads.push_back(s.at(tile, offset));
    auto rowScales = [&](int v) { return decoder.scales(s.at(heads[v], lane[v] * layout.scaleBytes), plan.integer); };
    auto rowZeros = [&](int v) {
      return decoder.zeros(s.at(heads[v], PackedLayout::tileRows * layout.scaleBytes + lane[v]));
    };
    auto minusZeros = [&](int v) -> Value {
      return arith::NegFOp::create(b, arith::MulFOp::create(b, rowZeros(v), rowScales(v)));
    };
    auto bytesOf = [&](int v, Value chunk) { return codes(v, s.at(heads[v], layout.codesOffset()), chunk); };
    if (plan.integer)
      return addIntegerBlock(acc, block, count, rowScales, minusZeros,
                             [&](int v, Value chunk) { return decoder.integers(bytesOf(v, chunk)); });
    SmallVector<Value> zero;
    for (int v = 0; v < vectors && layout.hasZero; ++v)
      zero.push_back(rowZeros(v));
    Sums part = sumUp(addFloats(Sums(vectors * columns * n, s.splat(0.0f)), block.values, count, layout.chunkColumns(),
                                [&](int v, Value chunk) {
                                  SmallVector<Value> numbers = decoder.floats(bytesOf(v, chunk));
                                  for (Value &number : numbers)
                                    if (layout.hasZero)
                                      number = arith::SubFOp::create(b, number, zero[v]);
                                  return numbers;
                                }));
    for (int v = 0; v < vectors; ++v) {
      Value scale = layout.scaleBytes ? rowScales(v) : Value();
      for (int c = 0; c < columns; ++c) {
        int i = v * columns + c;
        acc[i] = scale ? s.fma(part[i], scale, acc[i]) : Value(arith::AddFOp::create(b, acc[i], part[i]));
      }
    }
    return acc;
  });
}

void LinearTile::decode(ArrayRef<Value> tiles, ArrayRef<int64_t> lane, Value operands, Value panelRowScales,
                        Value panelRowZeros) {
  int64_t registerBytes = s.lanes * 4, operandBytes = registerBytes * vectors;
  int64_t perChunk = plan.integer ? layout.chunkColumns() / 4 : layout.chunkColumns();
  overBlocks({}, [&](Value index, int64_t count, Sums) {
    Value offset = k.mul(index, k.constant(layout.blockBytes(layout.block)));
    int64_t blockOperands = plan.integer ? paddedColumns(layout, layout.block) / 4 : layout.block;
    Value to = s.at(operands, k.mul(index, k.constant(blockOperands * operandBytes)));
    Value statistics = k.mul(index, k.constant(operandBytes));
    for (int v = 0; v < vectors; ++v) {
      Value head = s.at(tiles[v], offset), scale, zero;
      if (layout.scaleBytes)
        scale = decoder.scales(s.at(head, lane[v] * layout.scaleBytes), plan.integer);
      if (layout.hasZero)
        zero = decoder.zeros(s.at(head, PackedLayout::tileRows * layout.scaleBytes + lane[v]));
      if (plan.integer) {
        if (scale)
          s.store(scale, s.at(s.at(panelRowScales, statistics), v * registerBytes), 4);
        if (zero)
          s.store(arith::NegFOp::create(b, arith::MulFOp::create(b, zero, scale)),
                  s.at(s.at(panelRowZeros, statistics), v * registerBytes), 4);
      }
      Value codes = s.at(head, layout.codesOffset() + lane[v] * 4);
      auto chunk = [&](Value from, Value out, int64_t limit) {
        SmallVector<Value> loaded = decoder.load(from);
        SmallVector<Value> numbers = plan.integer ? decoder.integers(loaded) : decoder.floats(loaded);
        for (auto [i, number] : llvm::enumerate(ArrayRef<Value>(numbers).take_front(limit))) {
          Value result = number;
          if (!plan.integer && zero)
            result = arith::SubFOp::create(b, result, zero);
          if (!plan.integer && scale)
            result = arith::MulFOp::create(b, result, scale);
          s.store(result, s.at(out, int64_t(i) * operandBytes), 4);
        }
      };
      auto chunkAt = [&](Value index, int64_t limit) {
        Value out = s.at(to, k.add(k.mul(index, k.constant(perChunk * operandBytes)), k.constant(v * registerBytes)));
        chunk(s.at(codes, k.mul(index, k.constant(layout.chunkBytes()))), out, limit);
      };
      int64_t whole = plan.integer ? layout.chunks(count) : count / layout.chunkColumns();
      overColumns(whole, std::max<int64_t>(1, 16 / perChunk), {}, [&](Value first, int64_t length, Sums) {
        for (int64_t i = 0; i < length; ++i)
          chunkAt(k.add(first, k.constant(i)), perChunk);
        return Sums();
      });
      if (!plan.integer && count % layout.chunkColumns())
        chunkAt(k.constant(whole), count % layout.chunkColumns());
    }
    return Sums();
  });
}

SmallVector<Value> LinearTile::addDecoded(Value operands, Value panelRowScales, Value panelRowZeros) {
  int64_t registerBytes = s.lanes * 4, operandBytes = registerBytes * vectors;
  if (!plan.integer)
    return addFloats(zeros(), panelValues, layout.columns, 1, [&](int v, Value column) {
      Value at = s.at(operands, k.mul(column, k.constant(operandBytes)));
      return Sums{s.load(s.floats, s.at(at, v * registerBytes), 4)};
    });
  int64_t perChunk = layout.chunkColumns() / 4;
  return overBlocks(zeros(), [&](Value index, int64_t count, Sums acc) {
    Value statistics = k.mul(index, k.constant(operandBytes));
    Value from = s.at(operands, k.mul(index, k.constant(paddedColumns(layout, layout.block) / 4 * operandBytes)));
    auto of = [&](Value base, int v) { return s.load(s.floats, s.at(s.at(base, statistics), v * registerBytes), 4); };
    return addIntegerBlock(
        acc, blockAt(index), count, [&](int v) { return of(panelRowScales, v); },
        [&](int v) { return of(panelRowZeros, v); },
        [&](int v, Value chunk) {
          Value at = s.at(from, k.mul(chunk, k.constant(perChunk * operandBytes)));
          Sums numbers;
          for (int64_t i = 0; i < perChunk; ++i)
            numbers.push_back(s.load(s.bytes, s.at(at, i * operandBytes + v * registerBytes), 4));
          return numbers;
        });
  });
}

/// Stores a unit's finished sums, [token][unitRows] in scratch, through the operation's epilogues.
static void storeUnit(Kernel &k, const LinearPlan &plan, Value scratch, Value firstToken, int columns, Value firstRow,
                      int64_t height) {
  Value y = qnt::LinearOp(plan.op).getY();
  SmallVector<Dim> dims = dimsOf(y.getType());
  ArrayRef<Dim> outer = ArrayRef<Dim>(dims).drop_back();
  int64_t outputs = plan.layout.rows;
  Type f32 = k.b.getF32Type();
  Value tokens = k.min(k.constant(columns), k.sub(k.dim(plan.tokens), firstToken));
  k.loop(k.constant(0), tokens, [&](Value c) {
    Value token = k.add(firstToken, c);
    SmallVector<Value> at = outer.size() == 1 ? SmallVector<Value>{token} : k.delinearize(token, outer);
    Value start = k.add(k.mul(token, k.constant(outputs)), firstRow), from = k.mul(c, k.constant(unitRows));
    at.push_back({});
    auto rows = [&](Value count) {
      k.loop(k.constant(0), count, [&](Value r) {
        at.back() = k.add(firstRow, r);
        k.store(y, Index(dims, at, k.add(start, r)), k.loadAt(scratch, k.add(from, r), f32));
      });
    };
    // A constant number of rows becomes straight vector code.
    Value left = k.sub(k.constant(outputs), firstRow), whole = k.constant(height);
    if (outputs >= height)
      k.when(k.less(k.sub(whole, k.constant(1)), left), [&] { rows(whole); });
    if (outputs % height)
      k.when(k.less(left, whole), [&] { rows(left); });
  });
}

static Dim unitsOf(Lowering &lowering, const LinearPlan &plan) {
  return lowering.dims.constant((plan.layout.rows + unitRows - 1) / unitRows);
}

static Dim workOf(Lowering &lowering, const LinearPlan &plan) {
  Dimensions &dims = lowering.dims; // two products take about as long as one scalar operation
  return dims.mul(plan.tokens, dims.constant(plan.layout.rows * plan.layout.columns / 2));
}

void qcc::emitPackedLinear(Lowering &lowering, const LinearPlan &plan, int columns, const Activations &activations) {
  Kernel k(lowering, ("linear_" + llvm::StringRef(plan.format.name) + (columns == 1 ? "_token" : "_tokens")).str(),
           lowering.loc);
  int lanes = Simd::lanesOf(Simd::isaOf(lowering.facts, plan.integer));
  int vectors = int(PackedLayout::tileRows) / lanes;
  LinearTile tile(k, plan, vectors, columns, activations);
  Value scratch = k.threadScratch(columns * unitRows * 4);
  SmallVector<int64_t> lane;
  for (int v = 0; v < vectors; ++v)
    lane.push_back(v * lanes);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    Value firstRow = k.mul(unit, k.constant(unitRows)), firstTile = k.mul(unit, k.constant(2));
    auto panel = [&](Value index) {
      tile.setPanel(index);
      Value count = k.min(k.constant(2), k.sub(k.constant(plan.layout.tiles()), firstTile));
      k.loop(k.constant(0), plan.layout.tiles() % 2 ? count : k.constant(2), [&](Value t) {
        SmallVector<Value> tiles(vectors, tile.tileAddress(k.add(firstTile, t)));
        SmallVector<Value> acc = tile.addPacked(tiles, lane);
        Value inUnit = k.mul(t, k.constant(PackedLayout::tileRows));
        tile.multiplyRowScales(acc, k.add(firstRow, inUnit));
        tile.keep(acc, scratch, inUnit);
      });
      storeUnit(k, plan, scratch, k.mul(index, k.constant(columns)), columns, firstRow, unitRows);
    };
    if (constantOf(plan.tokens) == 1 || columns == 1)
      panel(k.constant(0));
    else
      k.loop(k.constant(0), k.dim(lowering.dims.ceilDiv(plan.tokens, columns)), panel);
  });
  k.launch(unitsOf(lowering, plan), workOf(lowering, plan));
}

/// Registers of rows that a panel has: whole tiles of the layout, 32 rows of AVX-512, else 16.
static int panelVectors(int lanes) { return std::max(2, int(PackedLayout::tileRows) / lanes); }

int64_t qcc::panelLinearScratch(const TargetFacts &facts, const LinearPlan &plan) {
  int lanes = Simd::lanesOf(Simd::isaOf(facts, plan.integer));
  if (!plan.integer && plan.layout.codeBits == 32)
    return 0; // multiplied as they stand
  int64_t rowBytes = plan.integer ? paddedColumns(plan.layout) + plan.layout.blocks() * 8 : plan.layout.columns * 4;
  return panelVectors(lanes) * lanes * rowBytes;
}

void qcc::emitPanelLinear(Lowering &lowering, const LinearPlan &plan, int columns, const Activations &activations) {
  Kernel k(lowering, ("linear_" + llvm::StringRef(plan.format.name) + "_panels").str(), lowering.loc);
  int lanes = Simd::lanesOf(Simd::isaOf(lowering.facts, plan.integer));
  int vectors = panelVectors(lanes);
  LinearTile tile(k, plan, vectors, columns, activations);
  int64_t rows = tile.rows();
  bool decodes = tile.needsDecode();
  Value scratch = k.threadScratch(columns * unitRows * 4), operands, rowScales, rowZeros;
  if (decodes)
    operands = k.threadScratch(tile.panelBytes());
  if (plan.integer && plan.layout.scaleBytes)
    rowScales = k.threadScratch(plan.layout.blocks() * rows * 4);
  if (plan.integer && plan.layout.hasZero)
    rowZeros = k.threadScratch(plan.layout.blocks() * rows * 4);
  SmallVector<int64_t> lane;
  for (int v = 0; v < vectors; ++v)
    lane.push_back(int64_t(v) * lanes % PackedLayout::tileRows);
  // A unit is one panel of rows: the sums of its tokens go out before the next panel is decoded.
  Dim units = lowering.dims.constant((plan.layout.rows + rows - 1) / rows);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    Value firstRow = k.mul(unit, k.constant(rows));
    SmallVector<Value> tiles;
    Value base = k.div(firstRow, k.constant(PackedLayout::tileRows));
    for (int v = 0; v < vectors; ++v)
      tiles.push_back(tile.tileAddress(k.add(base, k.constant(int64_t(v) * lanes / PackedLayout::tileRows))));
    if (decodes)
      tile.decode(tiles, lane, operands, rowScales, rowZeros);
    k.loop(k.constant(0), k.dim(lowering.dims.ceilDiv(plan.tokens, columns)), [&](Value index) {
      tile.setPanel(index);
      SmallVector<Value> acc = decodes ? tile.addDecoded(operands, rowScales, rowZeros) : tile.addPacked(tiles, lane);
      tile.multiplyRowScales(acc, firstRow);
      tile.keep(acc, scratch, k.constant(0));
      storeUnit(k, plan, scratch, k.mul(index, k.constant(columns)), columns, firstRow, rows);
    });
  });
  k.launch(units, workOf(lowering, plan));
}
