// Attention as tiles of queries and keys in shared memory, under a softmax that runs along the keys.
#include "AttentionTile.h"
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
/// The kernel for tiles of `down * each` queries, each with `across` threads.
class QueryTiles : public AttentionTile {
public:
  QueryTiles(Lowering &lowering, const StreamedAttention &a, const AttentionCut &cut, int64_t each)
      : AttentionTile(lowering, a, cut, "attention", down * each, blockThreads), each(each) {}

  /// Bytes of shared memory; with an area of their own for values, or in that of the keys.
  static int64_t sharedBytes(const StreamedAttention &a, int64_t each, bool apart) {
    int64_t line = lineOf(*constantOf(a.size)), values = columnsOf(*constantOf(a.valueSize));
    int64_t pairs = apart ? line + values : std::max(line, values);
    return 4 * (down * each * (line + keyTile + skew) + keyTile * pairs);
  }

  void write();

private:
  static int64_t lineOf(int64_t size) { return llvm::alignTo(size, 4) + skew; }
  static int64_t columnsOf(int64_t size) { return llvm::alignTo(size, columnStep); }

  SmallVector<Value> keysFrom(Value start, ValueRange state);
  void fill(Value area, int64_t rows, int64_t width, int64_t padded, int64_t line,
            llvm::function_ref<Value(Value, Value)> element);

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

  int64_t each;                        // queries of a thread
  Value stored, keys, values, weights; // shared
  Value column;                        // of the threads that share a query
  SmallVector<Value> mine, row, head;  // of each of the thread's queries
};
} // namespace

void QueryTiles::write() {
  int64_t line = lineOf(size);
  bool apart = sharedBytes(a, each, true) <= smallArea;
  stored = t.shared(queries * line * 4);
  weights = t.shared(queries * (keyTile + skew) * 4);
  int64_t valueBytes = keyTile * columnsOf(valueSize) * 4;
  keys = t.shared(std::max(keyTile * line * 4, apart ? 0 : valueBytes));
  values = apart ? t.shared(valueBytes) : keys;
  begin();
  Value scale = scaleOf(k, a, t.f32);
  fill(stored, queries, size, llvm::alignTo(size, 4), line, [&](Value query, Value i) {
    query = present(query);
    Value x = a.query(k, batch, headOf(query), rowOf(query), i);
    return multiply(k, castNumber(b, x, x.getType(), t.f32), scale);
  });
  column = k.rem(t.thread(), k.constant(across));
  for (int64_t i = 0; i < each; ++i) {
    mine.push_back(k.add(k.div(t.thread(), k.constant(across)), k.constant(down * i)));
    row.push_back(rowOf(present(mine[i]))), head.push_back(headOf(present(mine[i])));
  }
  // Carried: each query's largest score, its sum of weights as far as this thread has seen them, its columns.
  SmallVector<Value> state(each, lowestNumber(b, t.f32));
  state.append(each * (1 + columnsOf(valueSize) / across), k.constantF32(0));
  state = k.loop(from, end, state, [&](Value start, ValueRange now) { return keysFrom(start, now); }, keyTile);

  int64_t perQuery = columnsOf(valueSize) / across;
  Value isFirst = k.equal(column, k.constant(0));
  for (int64_t q = 0; q < each; ++q)
    finish(mine[q], isFirst, state[q], t.sumOverLanes(state[each + q], across - 1), [&](auto body) {
      for (int64_t c = 0; c < perQuery; ++c) {
        Value i = k.add(k.mul(column, k.constant(4)), k.constant(c / 4 * columnStep + c % 4));
        Value sum = state[2 * each + q * perQuery + c];
        if ((c / 4 + 1) * columnStep <= valueSize)
          body(i, sum);
        else
          k.when(k.less(i, k.constant(valueSize)), [&] { body(i, sum); });
      }
    });
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

SmallVector<Value> QueryTiles::keysFrom(Value start, ValueRange state) {
  int64_t line = lineOf(size), columns = columnsOf(valueSize), keysEach = keyTile / across;
  bool apart = values != keys;
  Value zero = k.constant(0), last = k.sub(end, k.constant(1));
  auto positionOf = [&](Value key) { return k.min(k.add(start, key), last); };
  auto fillValues = [&] {
    fill(values, keyTile, valueSize, columns, columns, [&](Value r, Value i) { return value(positionOf(r), i); });
  };
  t.barrier(); // what stands there has been read
  fill(keys, keyTile, size, llvm::alignTo(size, 4), line, [&](Value r, Value i) { return key(positionOf(r), i); });
  if (apart)
    fillValues();
  t.barrier();

  SmallVector<Value> products(each * keysEach, k.constantF32(0));
  products = k.loop(
      zero, k.constant(llvm::alignTo(size, 4)), products,
      [&](Value i, ValueRange sums) {
        SmallVector<SmallVector<Value>> keyParts, query;
        SmallVector<Value> next(sums);
        for (int64_t j = 0; j < keysEach; ++j)
          keyParts.push_back(four(place(keys, k.add(column, k.constant(across * j)), line, i)));
        for (int64_t q = 0; q < each; ++q)
          query.push_back(four(place(stored, mine[q], line, i)));
        for (int64_t q = 0; q < each; ++q)
          for (int64_t j = 0; j < keysEach; ++j)
            for (int64_t e = 0; e < 4; ++e)
              next[q * keysEach + j] = t.fma(query[q][e], keyParts[j][e], next[q * keysEach + j]);
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
      scores.push_back(score(head[q], row[q], key, products[q * keysEach + j]));
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
  if (apart) // the weights are there, of queries that this warp has
    t.warpBarrier();
  else
    t.barrier(); // and the values

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

/// Puts the chunks' parts of each number of the result together.
static void combineParts(Lowering &lowering, const StreamedAttention &a, const AttentionCut &cut) {
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
  AttentionCut cut;
  if (auto ratio = constantOf(d.floorDiv(a.heads, a.keyHeads)); ratio && *ratio > 0)
    for (cut.together = std::min(*ratio, down); *ratio % cut.together;)
      --cut.together;
  cut.groups = d.floorDiv(a.heads, d.constant(cut.together));
  Type matrixType = matrixTypeOf(lowering, a);
  int64_t queries = matrixType ? matrixQueries : down * most;
  Dim whole = d.product({a.batch, cut.groups, d.ceilDiv(a.rows, queries / cut.together)});
  cut.chunks = d.ifNegative(d.sub(whole, d.constant(enoughUnits)), d.max(d.ceilDiv(a.keys, chunkKeys), d.constant(1)),
                            d.constant(1));
  cut.chunkLength = d.ifEqual(cut.chunks, d.constant(1), a.keys, d.constant(chunkKeys));
  bool splits = constantOf(cut.chunks) != 1;
  if (splits) {
    Dim all = d.product({a.batch, a.heads, a.rows, cut.chunks, d.constant(4 * (*valueSize + 2))});
    cut.partial = lowering.allocate(d.ifEqual(cut.chunks, d.constant(1), d.constant(4), all));
  }
  auto rows = constantOf(a.rows);
  auto write = [&](bool ofMany) -> std::unique_ptr<AttentionTile> {
    if (ofMany && matrixType)
      return writeMatrixAttention(lowering, a, cut, matrixType);
    auto tiles = std::make_unique<QueryTiles>(lowering, a, cut, ofMany ? most : 1);
    tiles->write();
    return tiles;
  };
  int64_t few = down / cut.together; // rows of the smallest tile
  if (rows || (most == 1 && !matrixType)) {
    write(!rows || *rows > few)->launch();
  } else {
    auto one = write(false), many = write(true);
    Value isFew = arith::CmpIOp::create(lowering.host, lowering.loc, arith::CmpIPredicate::sle, lowering.size(a.rows),
                                        lowering.size(d.constant(few)));
    lowering.branch(isFew, [&] { one->launch(); }, [&] { many->launch(); });
  }
  if (splits)
    combineParts(lowering, a, cut);
  return true;
}
