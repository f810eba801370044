#include "Streamed.h"
#include "qcc/Target/DeviceAttention.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxLanes = 32; // query rows of one unit, over all its heads
static constexpr int64_t keyBlock = 64; // scores 8 KiB; a block of transposed keys of 128 is 32 KiB
static constexpr int64_t unroll = 4;
static constexpr int64_t packedLanes = 16; // lanes from which transposing a block of keys is repaid
static constexpr int64_t maxScratch = 1 << 16;
static constexpr int64_t chunkKeys = 1024; // keys of a unit where keys are split
static constexpr int64_t enoughUnits = 16; // units from which keys are not split: several for each of a few threads

StoredRows StoredRows::of(Lowering &lowering, Value tensor, Dim heads, Dim size, int64_t half) {
  Dimensions &d = lowering.dims;
  SmallVector<Dim> dims = dimsOf(tensor.getType());
  StoredRows rows;
  rows.storage = lowering.storage(tensor);
  rows.element = lowering.storedElement(tensor);
  rows.layout = lowering.rowLayout(tensor);
  if (rows.layout)
    size = d.constant(rows.layout->bytes());
  if (dims.size() == 3) {
    rows.head = size;
    rows.position = d.mul(heads, size);
    rows.batch = d.mul(lowering.storedLength(tensor, 1), rows.position);
  } else {
    rows.position = size;
    rows.head = d.mul(lowering.storedLength(tensor, dims.size() - 2), size);
    rows.batch = d.mul(heads, rows.head);
  }
  rows.offset = half ? d.mul(dims[1], rows.batch) : d.constant(0);
  return rows;
}

StoredRows StoredRows::make(Lowering &lowering, Type element, Dim batch, Dim heads, Dim positions, Dim size) {
  Dimensions &d = lowering.dims;
  StoredRows rows;
  rows.storage = lowering.allocate(d.product({batch, heads, positions, size, d.constant(storageBytes(element))}));
  rows.element = element;
  rows.offset = d.constant(0), rows.position = size;
  rows.head = d.mul(positions, size), rows.batch = d.mul(heads, rows.head);
  return rows;
}

LogicalResult qcc::requireEqual(Infer &infer, ArrayRef<std::pair<Dim, Dim>> pairs) {
  for (auto [a, b] : pairs) {
    auto x = constantOf(a), y = constantOf(b);
    if (x && y && *x != *y)
      return infer.error("has operands whose lengths do not fit: " + Twine(*x) + " and " + Twine(*y));
    infer.requireEqual(a, b);
  }
  return success();
}

static Value exponential(Kernel &k, Value x) { return math::ExpOp::create(k.b, x); }
// LLVM vectorizes a reduction by its own maximum, not by the comparison and selection that arith's becomes.
static Value largest(Kernel &k, Value a, Value b) { return LLVM::MaximumOp::create(k.b, a, b); }
static Value minusInfinity(Kernel &k, Type type) { return lowestNumber(k.b, type); }
static Value minus(Kernel &k, Value a, Value b) { return arith::SubFOp::create(k.b, a, b); }
/// A sum whose order is free, so that it can run in lanes of a vector.
static Value addFreely(Kernel &k, Value a, Value b) {
  return arith::AddFOp::create(k.b, a, b, arith::FastMathFlags::contract | arith::FastMathFlags::reassoc);
}
namespace {
/// Thread scratch where the size is a small constant, otherwise a part of a buffer for each unit.
struct Area {
  Value base;  // in the kernel
  Dim perUnit; // elements, null for scratch
};

class Writer {
public:
  Writer(Lowering &lowering, const StreamedAttention &a)
      : lowering(lowering), d(lowering.dims), a(a), c(accumulatorOf(a.element)),
        k(lowering, "attention", lowering.loc) {
    auto ratio = constantOf(d.floorDiv(a.heads, a.keyHeads));
    if (ratio)
      for (int64_t heads = std::min(*ratio, maxLanes); *ratio % (together = std::max<int64_t>(heads, 1)); --heads)
        ;
    rowsPerUnit = maxLanes / together;
    groups = d.floorDiv(a.heads, d.constant(together));
    blocks = d.ceilDiv(a.rows, rowsPerUnit);
    bytes = storageBytes(c);
  }
  void write();

private:
  Area area(Dim elementsPerLane, Dim units);
  Value at(const Area &area, Value lane, Dim width) { return k.mul(lane, k.dim(width)); }
  void unit(Value number);
  void loadQueries();
  void keysFrom(Value start, Value count);
  void scoresByDot(Value count);
  void scoresByColumns(Value count);
  void weigh(Value lane, Value start, Value count);
  void accumulate(Value lanes, Value columns, Value depth, llvm::function_ref<Value(Value lane, Value step)> left,
                  llvm::function_ref<Value(Value step, Value column)> right, Value sums, Value stride);
  void finish(Value chunk);
  void combine();
  Value get(Value base, Value i) { return k.loadAt(base, i, c); }
  void put(Value base, Value i, Value value) { k.storeAt(base, i, c, value); }
  Value number(double value) { return numberConstant(k.b, c, value); }
  void zeros(Value base, Value from, Value to) {
    Value zero = number(0);
    k.loop(from, to, [&](Value i) { put(base, i, zero); });
  }
  /// Makes rows [start, start + count) of keys or values ready to be read.
  void open(const StoredRows &rows, Value data, Value first, Value start, Value count, Dim size);
  /// Element `i` of row `t` of those.
  Value element(Value t, Value i) {
    Value place = k.add(opened.first, k.add(k.mul(t, opened.stride), i));
    if (opened.isDecoded)
      return castNumber(k.b, k.loadAt(decoded, place, k.b.getF32Type()), k.b.getF32Type(), c);
    if (opened.rows->layout)
      return opened.rows->load(k, opened.data, k.add(opened.first, k.mul(t, opened.stride)), i, c);
    return opened.rows->load(k, opened.data, k.constant(0), place, c);
  }
  Value rowOf(Value lane) { return k.add(firstRow, k.div(lane, k.constant(together))); }
  Value headOf(Value lane) { return k.add(firstHead, k.rem(lane, k.constant(together))); }

  Lowering &lowering;
  Dimensions &d;
  const StreamedAttention &a;
  Type c;
  Kernel k;
  int64_t together = 1, rowsPerUnit, bytes; // heads of a unit, and its rows
  Dim groups, blocks, chunks, chunkLength;
  Value partial; // of the host: maximum, sum and weighted values of each row and chunk
  SmallVector<std::pair<Value, Value>> perUnit;

  Area queryArea, resultArea;
  Value scores, panel, maxima, sums; // scratch
  Value decoded;                     // rows of a format as float32; null where they are read one element at a time
  struct {
    const StoredRows *rows;
    Value data, first, stride;
    bool isDecoded;
  } opened;
  Value queries, results; // bases of this unit
  Value keyData, valueData, keyStart, valueStart;
  Value batch, firstHead, firstRow, lanes, position;
};
} // namespace

Area Writer::area(Dim width, Dim units) {
  auto known = constantOf(width);
  if (known && *known * maxLanes * bytes <= maxScratch)
    return {k.threadScratch(*known * maxLanes * bytes), Dim()};
  Dim each = d.mul(width, d.constant(maxLanes));
  return {k.argument(lowering.allocate(d.product({units, each, d.constant(bytes)}))), each};
}

void Writer::write() {
  // Few units over many keys: the keys are split too, and a second kernel puts the parts together.
  Dim whole = d.product({a.batch, groups, blocks});
  chunks = d.ifNegative(d.sub(whole, d.constant(enoughUnits)), d.max(d.ceilDiv(a.keys, chunkKeys), d.constant(1)),
                        d.constant(1));
  bool splits = constantOf(chunks) != 1;
  chunkLength = d.ifEqual(chunks, d.constant(1), a.keys, d.constant(chunkKeys));
  SmallVector<Dim> space = {a.batch, groups, blocks, chunks};
  Dim units = d.product(space);
  Dim width = d.add(a.valueSize, d.constant(2));
  if (splits) {
    Dim all = d.product({a.batch, a.heads, a.rows, chunks, width, d.constant(bytes)});
    partial = lowering.allocate(d.ifEqual(chunks, d.constant(1), d.constant(bytes), all));
  }
  queryArea = area(a.size, units);
  resultArea = area(a.valueSize, units);
  scores = k.threadScratch(maxLanes * keyBlock * bytes);
  maxima = k.threadScratch(maxLanes * bytes), sums = k.threadScratch(maxLanes * bytes);
  auto rows = constantOf(a.rows), size = constantOf(a.size);
  if (size && *size * keyBlock * bytes <= maxScratch && !(rows && *rows * together < packedLanes))
    panel = k.threadScratch(*size * keyBlock * bytes);
  Dim widest = d.constant(std::max(constantOf(a.size).value_or(0), constantOf(a.valueSize).value_or(0)));
  if ((a.key.layout || a.value.layout) && *constantOf(widest) * keyBlock * 4 <= maxScratch)
    decoded = k.threadScratch(*constantOf(widest) * keyBlock * 4);
  keyData = k.argument(a.key.storage), valueData = k.argument(a.value.storage);
  k.loop(k.lo(), k.hi(), [&](Value number) {
    SmallVector<Value> place = k.delinearize(number, space);
    batch = place[0];
    firstHead = k.mul(place[1], k.constant(together));
    // Later blocks of rows see more keys when attention is causal: every range of units gets early and late ones.
    Value half = k.div(place[2], k.constant(2)), last = k.sub(k.dim(blocks), k.constant(1));
    Value odd =
        k.b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ne, k.rem(place[2], k.constant(2)), k.constant(0));
    Value block = a.after < 0 ? place[2] : k.select(odd, k.sub(last, half), half);
    firstRow = k.mul(block, k.constant(rowsPerUnit));
    lanes = k.mul(k.min(k.constant(rowsPerUnit), k.sub(k.dim(a.rows), firstRow)), k.constant(together));
    auto baseOf = [&](const Area &area) -> Value {
      if (!area.perUnit)
        return area.base;
      Value offset = k.mul(number, k.dim(area.perUnit));
      return LLVM::GEPOp::create(k.b, area.base.getType(), storageType(c), area.base, ArrayRef<LLVM::GEPArg>{offset});
    };
    queries = baseOf(queryArea), results = baseOf(resultArea);
    unit(place[3]);
  });
  k.launch(units, d.product({a.batch, a.heads, a.rows, a.keys, d.add(a.size, a.valueSize)}));
  if (splits)
    combine();
}

void Writer::unit(Value chunk) {
  Value ratio = k.dim(d.floorDiv(a.heads, a.keyHeads));
  Value keyHead = k.div(firstHead, ratio), zero = k.constant(0);
  keyStart = a.key.start(k, batch, keyHead, zero), valueStart = a.value.start(k, batch, keyHead, zero);
  loadQueries();
  k.loop(zero, lanes, [&](Value lane) {
    put(maxima, lane, minusInfinity(k, c));
    put(sums, lane, number(0));
  });
  zeros(results, zero, k.mul(lanes, k.dim(a.valueSize)));

  position = a.firstPosition ? a.firstPosition(k, batch) : zero;
  Value begin = zero, end = k.dim(a.keys);
  if (a.visibleKeys)
    end = k.min(end, a.visibleKeys(k, batch));
  Value first = k.add(position, firstRow);
  if (a.after >= 0) {
    Value last = k.add(first, k.div(k.sub(lanes, k.constant(1)), k.constant(together)));
    end = k.min(end, k.add(last, k.constant(a.after + 1)));
  }
  if (a.before >= 0)
    begin = k.max(begin, k.sub(first, k.constant(a.before)));
  if (constantOf(chunks) != 1) {
    Value from = k.mul(chunk, k.dim(chunkLength));
    begin = k.max(begin, from), end = k.min(end, k.add(from, k.dim(chunkLength)));
  }
  k.loop(begin, end, [&](Value start) { keysFrom(start, k.min(k.constant(keyBlock), k.sub(end, start))); }, keyBlock);
  finish(chunk);
}

void Writer::loadQueries() {
  Value scale = scaleOf(k, a, c);
  k.loop(k.constant(0), lanes, [&](Value lane) {
    Value base = k.mul(lane, k.dim(a.size)), row = rowOf(lane), head = headOf(lane);
    k.loop(k.constant(0), k.dim(a.size),
           [&](Value i) { put(queries, k.add(base, i), multiply(k, a.query(k, batch, head, row, i), scale)); });
  });
}

void Writer::open(const StoredRows &rows, Value data, Value first, Value start, Value count, Dim size) {
  Value stride = k.dim(rows.position);
  opened = {&rows, data, k.add(first, k.mul(start, stride)), stride, rows.layout && decoded};
  if (!opened.isDecoded)
    return;
  // All lanes read a row: it is decoded once, into what the cache nearest to the core holds.
  RowCodec codec(k, *rows.layout);
  Value width = k.dim(size);
  k.loop(k.constant(0), count,
         [&](Value t) { codec.read(data, k.add(opened.first, k.mul(t, stride)), decoded, k.mul(t, width)); });
  opened.first = k.constant(0), opened.stride = width;
}

void Writer::keysFrom(Value start, Value count) {
  open(a.key, keyData, keyStart, start, count, a.size);
  if (!panel) {
    scoresByDot(count);
  } else {
    Value few = k.less(lanes, k.constant(packedLanes));
    auto choice = scf::IfOp::create(k.b, few, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(k.b);
    k.b.setInsertionPointToStart(choice.thenBlock());
    scoresByDot(count);
    k.b.setInsertionPointToStart(choice.elseBlock());
    scoresByColumns(count);
  }
  k.loop(k.constant(0), lanes, [&](Value lane) { weigh(lane, start, count); });
  open(a.value, valueData, valueStart, start, count, a.valueSize);
  accumulate(
      lanes, k.dim(a.valueSize), count,
      [&](Value lane, Value step) { return get(scores, k.add(k.mul(lane, k.constant(keyBlock)), step)); },
      [&](Value step, Value column) { return element(step, column); }, results, k.dim(a.valueSize));
}

/// Each score as a sum along the key: a key is read once for all lanes.
void Writer::scoresByDot(Value count) {
  Value size = k.dim(a.size), zero = k.constant(0);
  k.loop(zero, count, [&](Value t) {
    auto some = [&](Value lane, int64_t many) {
      SmallVector<Value> from;
      for (int64_t i = 0; i < many; ++i)
        from.push_back(k.mul(k.add(lane, k.constant(i)), size));
      SmallVector<Value> dots = k.loop(zero, size, SmallVector<Value>(many, number(0)), [&](Value i, ValueRange sums) {
        Value key = element(t, i);
        SmallVector<Value> next;
        for (int64_t j = 0; j < many; ++j)
          next.push_back(addFreely(k, sums[j], multiply(k, get(queries, k.add(from[j], i)), key)));
        return next;
      });
      for (int64_t i = 0; i < many; ++i)
        put(scores, k.add(k.mul(k.add(lane, k.constant(i)), k.constant(keyBlock)), t), dots[i]);
    };
    Value whole = k.mul(k.div(lanes, k.constant(unroll)), k.constant(unroll));
    k.loop(zero, whole, [&](Value lane) { some(lane, unroll); }, unroll);
    k.loop(whole, lanes, [&](Value lane) { some(lane, 1); });
  });
}

/// The scores of many lanes: the block of keys is transposed, so that vectors run along the keys.
void Writer::scoresByColumns(Value count) {
  Value zero = k.constant(0), size = k.dim(a.size), stride = k.constant(keyBlock);
  k.loop(zero, count,
         [&](Value t) { k.loop(zero, size, [&](Value i) { put(panel, k.add(k.mul(i, stride), t), element(t, i)); }); });
  zeros(scores, zero, k.mul(lanes, stride));
  accumulate(
      lanes, count, size, [&](Value lane, Value step) { return get(queries, k.add(k.mul(lane, size), step)); },
      [&](Value step, Value column) { return get(panel, k.add(k.mul(step, stride), column)); }, scores, stride);
}

/// sums(lane, column) += sum over step of left * right, four lanes by four steps at a time over contiguous columns.
void Writer::accumulate(Value lanes, Value columns, Value depth, llvm::function_ref<Value(Value, Value)> left,
                        llvm::function_ref<Value(Value, Value)> right, Value sums, Value stride) {
  Value zero = k.constant(0);
  auto inSteps = [&](Value count, llvm::function_ref<void(Value, int64_t)> body) {
    Value whole = k.mul(k.div(count, k.constant(unroll)), k.constant(unroll));
    k.loop(zero, whole, [&](Value i) { body(i, unroll); }, unroll);
    k.loop(whole, count, [&](Value i) { body(i, 1); });
  };
  inSteps(lanes, [&](Value lane, int64_t manyLanes) {
    inSteps(depth, [&](Value step, int64_t manySteps) {
      SmallVector<Value> factors, lines;
      for (int64_t i = 0; i < manyLanes; ++i) {
        Value at = k.add(lane, k.constant(i));
        lines.push_back(k.mul(at, stride));
        for (int64_t s = 0; s < manySteps; ++s)
          factors.push_back(left(at, k.add(step, k.constant(s))));
      }
      k.loop(zero, columns, [&](Value column) {
        SmallVector<Value> values;
        for (int64_t s = 0; s < manySteps; ++s)
          values.push_back(right(k.add(step, k.constant(s)), column));
        for (int64_t i = 0; i < manyLanes; ++i) {
          Value place = k.add(lines[i], column), sum = get(sums, place);
          for (int64_t s = 0; s < manySteps; ++s)
            sum = plus(k, sum, multiply(k, factors[i * manySteps + s], values[s]));
          put(sums, place, sum);
        }
      });
    });
  });
}

/// Makes the scores of a lane its weights under the largest score so far, by which what was summed before is corrected.
void Writer::weigh(Value lane, Value start, Value count) {
  Value zero = k.constant(0), from = zero, to = count, line = k.mul(lane, k.constant(keyBlock));
  Value row = rowOf(lane), head = headOf(lane), here = k.sub(k.add(position, row), start);
  if (a.after >= 0)
    to = k.max(zero, k.min(to, k.add(here, k.constant(a.after + 1))));
  if (a.before >= 0)
    from = k.min(to, k.max(zero, k.sub(here, k.constant(a.before))));
  if (a.before >= 0)
    zeros(scores, line, k.add(line, from));
  if (a.after >= 0)
    zeros(scores, k.add(line, to), k.add(line, count));
  Value best = k.loop(from, to, ValueRange{minusInfinity(k, c)}, [&](Value t, ValueRange carried) {
    Value place = k.add(line, t), score = get(scores, place);
    if (a.softcap != 0 || a.bias) {
      score = capped(k, a, score, c);
      if (a.bias)
        score = a.bias(k, batch, head, row, k.add(start, t), score);
      put(scores, place, score);
    }
    return SmallVector<Value>{largest(k, carried[0], score)};
  })[0];
  Value before = get(maxima, lane), now = largest(k, before, best), shift = shiftOf(k, now, c);
  Value correction = exponential(k, minus(k, before, shift));
  Value sum = k.loop(from, to, ValueRange{number(0)}, [&](Value t, ValueRange carried) {
    Value place = k.add(line, t), weight = exponential(k, minus(k, get(scores, place), shift));
    put(scores, place, weight);
    return SmallVector<Value>{addFreely(k, carried[0], weight)};
  })[0];
  put(maxima, lane, now);
  put(sums, lane, plus(k, multiply(k, get(sums, lane), correction), sum));
  Value base = k.mul(lane, k.dim(a.valueSize));
  k.loop(base, k.add(base, k.dim(a.valueSize)),
         [&](Value i) { put(results, i, multiply(k, get(results, i), correction)); });
}

void Writer::finish(Value chunk) {
  Value size = k.dim(a.valueSize), zero = k.constant(0);
  auto whole = [&] {
    k.loop(zero, lanes, [&](Value lane) {
      Value row = rowOf(lane), head = headOf(lane), base = k.mul(lane, size);
      Value factor = normalizer(k, a, head, get(maxima, lane), get(sums, lane), c);
      k.loop(zero, size,
             [&](Value i) { a.store(k, batch, head, row, i, multiply(k, get(results, k.add(base, i)), factor)); });
    });
  };
  if (constantOf(chunks) == 1)
    return whole();
  Value single = arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, k.dim(chunks), k.constant(1));
  auto choice = scf::IfOp::create(k.b, single, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(k.b);
  k.b.setInsertionPointToStart(choice.thenBlock());
  whole();
  k.b.setInsertionPointToStart(choice.elseBlock());
  Value parts = k.argument(partial);
  k.loop(zero, lanes, [&](Value lane) {
    Value place = k.linearize({batch, headOf(lane), rowOf(lane), chunk}, {a.batch, a.heads, a.rows, chunks});
    Value to = k.mul(place, k.add(size, k.constant(2))), base = k.mul(lane, size);
    put(parts, to, get(maxima, lane));
    put(parts, k.add(to, k.constant(1)), get(sums, lane));
    to = k.add(to, k.constant(2));
    k.loop(zero, size, [&](Value i) { put(parts, k.add(to, i), get(results, k.add(base, i))); });
  });
}

void Writer::combine() {
  Kernel k(lowering, "attention_parts", lowering.loc);
  SmallVector<Dim> space = {a.batch, a.heads, a.rows};
  Value parts = k.argument(partial), zero = k.constant(0), count = k.dim(chunks), size = k.dim(a.valueSize);
  Value width = k.add(size, k.constant(2));
  k.loop(k.lo(), k.hi(), [&](Value number) {
    SmallVector<Value> at = k.delinearize(number, space);
    Value line = k.mul(k.mul(number, count), width);
    auto part = [&](Value chunk, Value field) { return k.add(k.add(line, k.mul(chunk, width)), field); };
    Value one = k.constant(1), two = k.constant(2);
    Value max = k.loop(zero, count, ValueRange{minusInfinity(k, c)}, [&](Value chunk, ValueRange carried) {
      return SmallVector<Value>{largest(k, carried[0], k.loadAt(parts, part(chunk, zero), c))};
    })[0];
    Value shift = shiftOf(k, max, c);
    // The sums are gathered in the first chunk's place, once its own are corrected.
    Value total = k.loop(zero, count, ValueRange{numberConstant(k.b, c, 0)}, [&](Value chunk, ValueRange carried) {
      Value correction = exponential(k, minus(k, k.loadAt(parts, part(chunk, zero), c), shift));
      Value isFirst = arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, chunk, zero);
      Value from = part(chunk, two), to = part(zero, two);
      k.loop(zero, size, [&](Value i) {
        Value gathered = k.select(isFirst, numberConstant(k.b, c, 0), k.loadAt(parts, k.add(to, i), c));
        Value value = multiply(k, correction, k.loadAt(parts, k.add(from, i), c));
        k.storeAt(parts, k.add(to, i), c, plus(k, gathered, value));
      });
      Value sum = k.loadAt(parts, part(chunk, one), c);
      return SmallVector<Value>{plus(k, carried[0], multiply(k, sum, correction))};
    })[0];
    Value factor = normalizer(k, a, at[1], max, total, c);
    k.loop(zero, size, [&](Value i) {
      Value sum = k.loadAt(parts, k.add(part(zero, two), i), c);
      a.store(k, at[0], at[1], at[2], i, multiply(k, sum, factor));
    });
  });
  Dim work = d.product({a.batch, a.heads, a.rows, chunks, a.valueSize});
  Value several = arith::CmpIOp::create(lowering.host, lowering.loc, arith::CmpIPredicate::ne, lowering.size(chunks),
                                        lowering.size(d.constant(1)));
  auto choice = scf::IfOp::create(lowering.host, lowering.loc, several, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(lowering.host);
  lowering.host.setInsertionPointToStart(choice.thenBlock());
  k.launch(d.product(space), work);
}

void qcc::emitAttention(Lowering &lowering, const StreamedAttention &attention) {
  if (!lowering.facts.device || !emitDeviceAttention(lowering, attention))
    Writer(lowering, attention).write();
}

void qcc::emitScores(Lowering &lowering, const StreamedAttention &a, ScoreMode mode, Value result) {
  Dimensions &d = lowering.dims;
  Type c = accumulatorOf(a.element);
  Kernel k(lowering, "attention_scores", lowering.loc);
  SmallVector<Dim> space = {a.batch, a.heads, a.rows};
  Value keyData = k.argument(a.key.storage), zero = k.constant(0);
  Type element = cast<ShapedType>(result.getType()).getElementType();
  Value out = k.pointer(result), count = k.dim(a.keys);
  k.loop(k.lo(), k.hi(), [&](Value number) {
    SmallVector<Value> at = k.delinearize(number, space);
    Value b = at[0], head = at[1], row = at[2], line = k.mul(number, count);
    Value keyHead = k.div(head, k.dim(d.floorDiv(a.heads, a.keyHeads)));
    Value start = a.key.start(k, b, keyHead, zero);
    Value position = k.add(a.firstPosition ? a.firstPosition(k, b) : zero, row);
    Value visible = a.visibleKeys ? a.visibleKeys(k, b) : count;
    auto scoreOf = [&](Value t) {
      Value base = k.add(start, k.mul(t, k.dim(a.key.position)));
      Value score = k.loop(zero, k.dim(a.size), ValueRange{numberConstant(k.b, c, 0)}, [&](Value i, ValueRange sum) {
        Value key = a.key.load(k, keyData, base, i, c);
        return SmallVector<Value>{addFreely(k, sum[0], multiply(k, a.query(k, b, head, row, i), key))};
      })[0];
      score = multiply(k, score, scaleOf(k, a, c));
      if (mode == ScoreMode::Product)
        return score;
      score = capped(k, a, score, c);
      if (mode == ScoreMode::Capped)
        return score;
      if (a.bias)
        score = a.bias(k, b, head, row, t, score);
      Value allowed = k.less(t, visible);
      auto require = [&](Value condition) { allowed = k.b.createOrFold<arith::AndIOp>(allowed, condition); };
      if (a.after >= 0)
        require(k.less(t, k.add(position, k.constant(a.after + 1))));
      if (a.before >= 0)
        require(k.less(k.sub(position, k.constant(a.before + 1)), t));
      return k.select(allowed, score, minusInfinity(k, c));
    };
    if (mode != ScoreMode::Softmax)
      return k.loop(zero, count, [&](Value t) { k.storeAt(out, k.add(line, t), element, scoreOf(t)); });
    // The scores are computed again rather than kept: what is stored may be narrower.
    Value max = k.loop(zero, count, ValueRange{minusInfinity(k, c)}, [&](Value t, ValueRange carried) {
      return SmallVector<Value>{largest(k, carried[0], scoreOf(t))};
    })[0];
    Value shift = shiftOf(k, max, c);
    Value total = k.loop(zero, count, ValueRange{numberConstant(k.b, c, 0)}, [&](Value t, ValueRange sum) {
      return SmallVector<Value>{addFreely(k, sum[0], exponential(k, minus(k, scoreOf(t), shift)))};
    })[0];
    Value factor = normalizer(k, a, head, max, total, c);
    k.loop(zero, count, [&](Value t) {
      k.storeAt(out, k.add(line, t), element, multiply(k, exponential(k, minus(k, scoreOf(t), shift)), factor));
    });
  });
  k.launch(d.product(space), d.product({d.product(space), a.keys, a.size}));
}
