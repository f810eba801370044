// Attention as tiles of queries and keys in shared memory, under a softmax that runs along the keys.
#include "ThreadBlock.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qcc/Target/DeviceAttention.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t blockThreads = 128;
static constexpr int64_t across = 8;                   // threads that share a query, lanes of one warp
static constexpr int64_t down = blockThreads / across; // queries that have threads of their own
static constexpr int64_t keyTile = 32;                 // keys of one step
static constexpr int64_t columnStep = 4 * across;      // columns of the result that a query's threads have at once
static constexpr int64_t skew = 4;                     // numbers behind a row, so that rows begin in different banks
static constexpr int64_t smallArea = 48 << 10;         // shared memory of which several blocks have room
static constexpr int64_t maxColumns = 256;             // of a head
static constexpr int64_t chunkKeys = 256;              // of a block where keys are split
static constexpr int64_t enoughUnits = 128;            // blocks from which they are not

namespace {
/// How one attention is cut into units: (batch, group of heads that share keys, tile of queries, chunk of keys).
struct Cut {
  int64_t together = 1; // heads of a unit
  Dim groups, chunks, chunkLength;
  Value partial; // of the host: maximum, sum and weighted values of each row and chunk, where there are several
};

/// The kernel for tiles of `down * each` queries.
class QueryTiles {
public:
  QueryTiles(Lowering &lowering, const StreamedAttention &a, const Cut &cut, int64_t each)
      : lowering(lowering), d(lowering.dims), a(a), cut(cut), each(each), size(*constantOf(a.size)),
        valueSize(*constantOf(a.valueSize)), k(lowering, "attention", lowering.loc), t(k, blockThreads), b(k.b) {}

  /// Bytes of shared memory; with an area of their own for values, or in that of the keys.
  static int64_t sharedBytes(const StreamedAttention &a, int64_t each, bool apart) {
    int64_t line = lineOf(*constantOf(a.size)), values = columnsOf(*constantOf(a.valueSize));
    int64_t pairs = apart ? line + values : std::max(line, values);
    return 4 * (down * each * (line + keyTile + skew) + keyTile * pairs);
  }

  void write();
  Dim units() const { return d.product({a.batch, cut.groups, tiles(), cut.chunks}); }
  void launch() { k.launch(units(), d.product({a.batch, a.heads, a.rows, a.keys, d.add(a.size, a.valueSize)})); }

private:
  static int64_t lineOf(int64_t size) { return llvm::alignTo(size, 4) + skew; }
  static int64_t columnsOf(int64_t size) { return llvm::alignTo(size, columnStep); }
  Dim tiles() const { return d.ceilDiv(a.rows, down * each / cut.together); }

  SmallVector<Value> keysFrom(Value start, ValueRange state);
  SmallVector<Value> products(llvm::function_ref<Value(int64_t, Value)> left, int64_t rights,
                              llvm::function_ref<Value(int64_t, Value)> right);
  Value score(int64_t query, Value key, Value product);
  void fill(Value area, int64_t rows, int64_t width, int64_t padded, int64_t line,
            llvm::function_ref<Value(Value, Value)> element);
  void finish(ValueRange state, Value chunk);

  Value number(const StoredRows &rows, Value data, Value start, Value position, Value i) {
    return rows.load(k, data, k.add(start, k.mul(position, k.dim(rows.position))), i, t.f32);
  }
  Value place(Value area, Value row, int64_t line, Value column) {
    return t.at(area, k.mul(k.add(k.mul(row, k.constant(line)), column), k.constant(4)));
  }
  SmallVector<Value> four(Value address) {
    Value loaded = t.load(VectorType::get({4}, t.f32), address, 16);
    SmallVector<Value> result;
    for (int64_t i = 0; i < 4; ++i)
      result.push_back(vector::ExtractOp::create(b, loaded, i));
    return result;
  }
  Value power(Value x) { // the hardware's own, within 2 units in the last place
    return t.intrinsic(t.f32, "llvm.nvvm.ex2.approx.f32", Value(arith::MulFOp::create(b, x, k.constantF32(M_LOG2E))));
  }
  Value minus(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value larger(Value x, Value y) { return LLVM::MaximumOp::create(b, x, y); }
  Value rowOf(Value query) { return k.add(firstRow, k.div(query, k.constant(cut.together))); }
  Value headOf(Value query) { return k.add(firstHead, k.rem(query, k.constant(cut.together))); }

  Lowering &lowering;
  Dimensions &d;
  const StreamedAttention &a;
  const Cut &cut;
  int64_t each, size, valueSize; // queries of a thread; lengths of keys and values
  Kernel k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  Value queries, keys, values, weights; // shared
  Value keyData, valueData, keyStart, valueStart;
  Value batch, firstHead, firstRow, count, position, end;
  Value column;                           // of the threads that share a query
  SmallVector<Value> mine, row, head, at; // of each of the thread's queries, where they stand among the tile's
};
} // namespace

void QueryTiles::write() {
  int64_t rows = down * each, line = lineOf(size);
  bool apart = sharedBytes(a, each, true) <= smallArea;
  queries = t.shared(rows * line * 4);
  weights = t.shared(rows * (keyTile + skew) * 4);
  int64_t valueBytes = keyTile * columnsOf(valueSize) * 4;
  keys = t.shared(std::max(keyTile * line * 4, apart ? 0 : valueBytes));
  values = apart ? t.shared(valueBytes) : keys;
  keyData = k.argument(a.key.storage), valueData = k.argument(a.value.storage);

  SmallVector<Value> unit = k.delinearize(k.lo(), {a.batch, cut.groups, tiles(), cut.chunks});
  batch = unit[0], firstHead = k.mul(unit[1], k.constant(cut.together));
  // Late tiles see the most keys where attention is causal: they begin first.
  Value tile = a.after < 0 ? unit[2] : k.sub(k.sub(k.dim(tiles()), k.constant(1)), unit[2]);
  int64_t rowsPerTile = rows / cut.together;
  firstRow = k.mul(tile, k.constant(rowsPerTile));
  Value present = k.min(k.constant(rowsPerTile), k.sub(k.dim(a.rows), firstRow));
  count = k.mul(present, k.constant(cut.together));
  Value zero = k.constant(0), last = k.sub(count, k.constant(1));
  Value keyHead = k.div(firstHead, k.dim(d.floorDiv(a.heads, a.keyHeads)));
  keyStart = a.key.start(k, batch, keyHead, zero), valueStart = a.value.start(k, batch, keyHead, zero);

  Value scale = scaleOf(k, a, t.f32);
  fill(queries, rows, size, llvm::alignTo(size, 4), line, [&](Value query, Value i) {
    query = k.min(query, last);
    Value x = a.query(k, batch, headOf(query), rowOf(query), i);
    return multiply(k, castNumber(b, x, x.getType(), t.f32), scale);
  });
  column = k.rem(t.thread(), k.constant(across));
  for (int64_t i = 0; i < each; ++i) {
    mine.push_back(k.add(k.div(t.thread(), k.constant(across)), k.constant(down * i)));
    at.push_back(k.min(mine[i], last));
    row.push_back(rowOf(at[i])), head.push_back(headOf(at[i]));
  }
  position = a.firstPosition ? a.firstPosition(k, batch) : zero;
  Value begin = zero;
  end = k.dim(a.keys);
  if (a.visibleKeys)
    end = k.min(end, a.visibleKeys(k, batch));
  Value first = k.add(position, firstRow);
  if (a.after >= 0)
    end = k.min(end, k.add(k.add(first, present), k.constant(a.after)));
  if (a.before >= 0)
    begin = k.max(begin, k.sub(first, k.constant(a.before)));
  if (constantOf(cut.chunks) != 1) {
    Value from = k.mul(unit[3], k.dim(cut.chunkLength));
    begin = k.max(begin, from), end = k.min(end, k.add(from, k.dim(cut.chunkLength)));
  }
  // Carried: each query's largest score, its sum of weights as far as this thread has seen them, its columns.
  SmallVector<Value> state(each, lowestNumber(b, t.f32));
  state.append(each * (1 + columnsOf(valueSize) / across), k.constantF32(0));
  state = k.loop(begin, end, state, [&](Value start, ValueRange now) { return keysFrom(start, now); }, keyTile);
  finish(state, unit[3]);
}

/// area[r][c] = element(r, c), and 0 from `width` to `padded`.
void QueryTiles::fill(Value area, int64_t rows, int64_t width, int64_t padded, int64_t line,
                      llvm::function_ref<Value(Value, Value)> element) {
  int64_t total = rows * padded, unroll = 8;
  while (unroll > 1 && total % (unroll * blockThreads))
    unroll /= 2;
  k.loop(
      t.thread(), k.constant(total),
      [&](Value first) {
        SmallVector<Value> places, loaded;
        for (int64_t i = 0; i < unroll; ++i) { // what is read is on its way before any of it is needed
          Value n = k.add(first, k.constant(i * blockThreads));
          Value r = k.div(n, k.constant(padded)), c = k.rem(n, k.constant(padded));
          places.push_back(place(area, r, line, c));
          Value x = element(r, padded == width ? c : k.min(c, k.constant(width - 1)));
          loaded.push_back(padded == width ? x : k.select(k.less(c, k.constant(width)), x, k.constantF32(0)));
        }
        for (auto [x, to] : llvm::zip(loaded, places))
          t.store(x, to, 4);
      },
      unroll * blockThreads);
}

Value QueryTiles::score(int64_t i, Value key, Value product) {
  Value result = capped(k, a, product, t.f32);
  Value allowed = k.less(key, end);
  if (a.bias)
    result = a.bias(k, batch, head[i], row[i], k.min(key, k.sub(end, k.constant(1))), result);
  Value stand = k.add(position, row[i]);
  if (a.after >= 0)
    allowed = k.both(allowed, k.less(key, k.add(stand, k.constant(a.after + 1))));
  if (a.before >= 0)
    allowed = k.both(allowed, k.less(k.sub(stand, k.constant(a.before + 1)), key));
  return k.select(allowed, result, lowestNumber(b, t.f32));
}

SmallVector<Value> QueryTiles::keysFrom(Value start, ValueRange state) {
  int64_t line = lineOf(size), columns = columnsOf(valueSize), keysEach = keyTile / across;
  bool apart = values != keys;
  Value zero = k.constant(0), last = k.sub(end, k.constant(1));
  auto positionOf = [&](Value key) { return k.min(k.add(start, key), last); };
  auto fillValues = [&] {
    fill(values, keyTile, valueSize, columns, columns,
         [&](Value key, Value i) { return number(a.value, valueData, valueStart, positionOf(key), i); });
  };
  t.barrier(); // what stands there has been read
  fill(keys, keyTile, size, llvm::alignTo(size, 4), line,
       [&](Value key, Value i) { return number(a.key, keyData, keyStart, positionOf(key), i); });
  if (apart)
    fillValues();
  t.barrier();

  SmallVector<Value> products(each * keysEach, k.constantF32(0));
  products = k.loop(
      zero, k.constant(llvm::alignTo(size, 4)), products,
      [&](Value i, ValueRange sums) {
        SmallVector<SmallVector<Value>> key, query;
        SmallVector<Value> next(sums);
        for (int64_t j = 0; j < keysEach; ++j)
          key.push_back(four(place(keys, k.add(column, k.constant(across * j)), line, i)));
        for (int64_t q = 0; q < each; ++q)
          query.push_back(four(place(queries, mine[q], line, i)));
        for (int64_t q = 0; q < each; ++q)
          for (int64_t j = 0; j < keysEach; ++j)
            for (int64_t e = 0; e < 4; ++e)
              next[q * keysEach + j] = t.fma(query[q][e], key[j][e], next[q * keysEach + j]);
        return next;
      },
      4);
  if (!apart) {
    t.barrier();
    fillValues();
  }
  SmallVector<Value> next(state);
  int64_t perQuery = columns / across;
  auto sums = MutableArrayRef(next).drop_front(2 * each);
  for (int64_t q = 0; q < each; ++q) {
    SmallVector<Value> scores;
    Value largest = state[q];
    for (int64_t j = 0; j < keysEach; ++j) {
      Value key = k.add(start, k.add(column, k.constant(across * j)));
      scores.push_back(score(q, key, products[q * keysEach + j]));
      largest = larger(largest, scores.back());
    }
    for (int bit = across / 2; bit > 0; bit /= 2)
      largest = larger(largest, t.shuffleXor(largest, bit));
    Value shift = shiftOf(k, largest, t.f32), correction = power(minus(state[q], shift));
    Value sum = arith::MulFOp::create(b, state[each + q], correction);
    for (int64_t j = 0; j < keysEach; ++j) {
      Value weight = power(minus(scores[j], shift));
      sum = arith::AddFOp::create(b, sum, weight);
      t.store(weight, place(weights, mine[q], keyTile + skew, k.add(column, k.constant(across * j))), 4);
    }
    next[q] = largest, next[each + q] = sum;
    for (Value &x : sums.slice(q * perQuery, perQuery))
      x = arith::MulFOp::create(b, x, correction);
  }
  t.barrier(); // the values are there, and the weights

  SmallVector<Value> weighted = k.loop(
      zero, k.constant(keyTile), ValueRange(sums),
      [&](Value key, ValueRange now) {
        SmallVector<Value> result(now);
        SmallVector<SmallVector<Value>> weight;
        for (int64_t q = 0; q < each; ++q)
          weight.push_back(four(place(weights, mine[q], keyTile + skew, key)));
        for (int64_t e = 0; e < 4; ++e)
          for (int64_t c = 0; c < perQuery; c += 4) {
            Value i = k.add(k.mul(column, k.constant(4)), k.constant(c * across));
            SmallVector<Value> value = four(place(values, k.add(key, k.constant(e)), columns, i));
            for (int64_t q = 0; q < each; ++q)
              for (int64_t v = 0; v < 4; ++v) {
                Value &sum = result[q * perQuery + c + v];
                sum = t.fma(weight[q][e], value[v], sum);
              }
          }
        return result;
      },
      4);
  llvm::copy(weighted, sums.begin());
  return next;
}

void QueryTiles::finish(ValueRange state, Value chunk) {
  int64_t perQuery = columnsOf(valueSize) / across;
  Value isFirst = k.equal(column, k.constant(0));
  for (int64_t q = 0; q < each; ++q) {
    Value largest = state[q], total = t.sumOverLanes(state[each + q], across - 1);
    auto eachColumn = [&](llvm::function_ref<void(Value, Value)> body) {
      for (int64_t c = 0; c < perQuery; ++c) {
        Value i = k.add(k.mul(column, k.constant(4)), k.constant(c / 4 * columnStep + c % 4));
        Value sum = state[2 * each + q * perQuery + c];
        if ((c / 4 + 1) * columnStep <= valueSize)
          body(i, sum);
        else
          k.when(k.less(i, k.constant(valueSize)), [&] { body(i, sum); });
      }
    };
    auto whole = [&] {
      Value factor = normalizer(k, a, head[q], largest, total, t.f32);
      eachColumn([&](Value i, Value sum) { a.store(k, batch, head[q], row[q], i, multiply(k, sum, factor)); });
    };
    auto part = [&] {
      Value parts = k.argument(cut.partial);
      Value number = k.linearize({batch, head[q], row[q], chunk}, {a.batch, a.heads, a.rows, cut.chunks});
      Value to = k.mul(number, k.constant(valueSize + 2));
      k.when(isFirst, [&] {
        k.storeAt(parts, to, t.f32, largest);
        k.storeAt(parts, k.add(to, k.constant(1)), t.f32, total);
      });
      to = k.add(to, k.constant(2));
      eachColumn([&](Value i, Value sum) { k.storeAt(parts, k.add(to, i), t.f32, sum); });
    };
    k.when(k.less(mine[q], count), [&] {
      if (constantOf(cut.chunks) == 1)
        return whole();
      Value single = k.equal(k.dim(cut.chunks), k.constant(1));
      k.when(single, whole);
      k.when(arith::XOrIOp::create(b, single, arith::ConstantOp::create(b, b.getBoolAttr(true))), part);
    });
  }
}

/// Puts the chunks' parts of each number of the result together.
static void combineParts(Lowering &lowering, const StreamedAttention &a, const Cut &cut) {
  Dimensions &d = lowering.dims;
  Kernel k(lowering, "attention_parts", lowering.loc);
  Type f32 = k.b.getF32Type();
  SmallVector<Dim> space = {a.batch, a.heads, a.rows, a.valueSize};
  SmallVector<Value> at = k.delinearize(k.lo(), space);
  Value parts = k.argument(cut.partial), zero = k.constant(0), count = k.dim(cut.chunks);
  Value width = k.add(k.dim(a.valueSize), k.constant(2));
  Value line = k.mul(k.mul(k.linearize(ArrayRef(at).drop_back(), ArrayRef(space).drop_back()), count), width);
  auto part = [&](Value chunk, Value field) {
    return k.loadAt(parts, k.add(k.add(line, k.mul(chunk, width)), field), f32);
  };
  Value max = k.loop(zero, count, lowestNumber(k.b, f32), [&](Value chunk, ValueRange carried) {
    return SmallVector<Value>{LLVM::MaximumOp::create(k.b, carried[0], part(chunk, zero))};
  })[0];
  Value shift = shiftOf(k, max, f32), none = k.constantF32(0);
  SmallVector<Value> sums = k.loop(zero, count, ValueRange{none, none}, [&](Value chunk, ValueRange carried) {
    Value difference = arith::SubFOp::create(k.b, part(chunk, zero), shift);
    Value correction = math::ExpOp::create(k.b, difference);
    return SmallVector<Value>{plus(k, carried[0], multiply(k, correction, part(chunk, k.constant(1)))),
                              plus(k, carried[1], multiply(k, correction, part(chunk, k.add(at[3], k.constant(2)))))};
  });
  Value factor = normalizer(k, a, at[1], max, sums[0], f32);
  a.store(k, at[0], at[1], at[2], at[3], multiply(k, sums[1], factor));
  Value several = arith::CmpIOp::create(lowering.host, lowering.loc, arith::CmpIPredicate::ne,
                                        lowering.size(cut.chunks), lowering.size(d.constant(1)));
  Value units = lowering.size(d.product(space)), work = lowering.size(d.mul(d.product(space), cut.chunks));
  lowering.branch(several, [&] { k.launch(units, work); }, [] {});
}

bool qcc::emitDeviceAttention(Lowering &lowering, const StreamedAttention &a) {
  Dimensions &d = lowering.dims;
  auto size = constantOf(a.size), valueSize = constantOf(a.valueSize);
  if (!accumulatorOf(a.element).isF32() || !size || !valueSize || *size < 1 || *valueSize < 1 || *size > maxColumns ||
      *valueSize > maxColumns)
    return false;
  int64_t most = *valueSize > 128 ? 2 : 4; // the columns of more queries do not fit the registers
  while (most > 1 && QueryTiles::sharedBytes(a, most, false) > lowering.facts.device->sharedBytes)
    most /= 2;
  Cut cut;
  if (auto ratio = constantOf(d.floorDiv(a.heads, a.keyHeads)); ratio && *ratio > 0)
    for (cut.together = std::min(*ratio, down); *ratio % cut.together;)
      --cut.together;
  cut.groups = d.floorDiv(a.heads, d.constant(cut.together));
  Dim whole = d.product({a.batch, cut.groups, d.ceilDiv(a.rows, down * most / cut.together)});
  cut.chunks = d.ifNegative(d.sub(whole, d.constant(enoughUnits)), d.max(d.ceilDiv(a.keys, chunkKeys), d.constant(1)),
                            d.constant(1));
  cut.chunkLength = d.ifEqual(cut.chunks, d.constant(1), a.keys, d.constant(chunkKeys));
  bool splits = constantOf(cut.chunks) != 1;
  if (splits) {
    Dim all = d.product({a.batch, a.heads, a.rows, cut.chunks, d.constant(4 * (*valueSize + 2))});
    cut.partial = lowering.allocate(d.ifEqual(cut.chunks, d.constant(1), d.constant(4), all));
  }
  auto rows = constantOf(a.rows);
  int64_t few = down / cut.together; // rows of the smallest tile
  if (rows || most == 1) {
    QueryTiles tiles(lowering, a, cut, rows && *rows <= few ? 1 : most);
    tiles.write();
    tiles.launch();
  } else {
    QueryTiles one(lowering, a, cut, 1), many(lowering, a, cut, most);
    one.write(), many.write();
    Value isFew = arith::CmpIOp::create(lowering.host, lowering.loc, arith::CmpIPredicate::sle, lowering.size(a.rows),
                                        lowering.size(d.constant(few)));
    lowering.branch(isFew, [&] { one.launch(); }, [&] { many.launch(); });
  }
  if (splits)
    combineParts(lowering, a, cut);
  return true;
}
