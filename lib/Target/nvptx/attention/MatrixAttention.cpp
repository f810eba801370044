// Attention on the matrix instructions of warps: each has 16 queries, and their scores stay in its registers.
#include "AttentionTile.h"
#include "dialects/qnt/Qnt.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t warpQueries = 16, blockThreads = matrixQueries / warpQueries * 32;
static constexpr int64_t depth = 16;  // of a product: elements of a key, or keys
static constexpr int64_t columns = 8; // of a product: keys, or elements of a value
static constexpr int64_t skew = 8;    // elements behind a row, so that eight rows begin in different banks

static int64_t lineOf(int64_t size) { return llvm::alignTo(size, depth) + skew; }
/// Keys of one step: fewer where rows are long, so that two blocks have room.
static int64_t keyTileOf(const StreamedAttention &a) {
  return std::max(*constantOf(a.size), *constantOf(a.valueSize)) > 128 ? 32 : 64;
}

namespace {
class MatrixTiles : public AttentionTile {
public:
  MatrixTiles(Lowering &lowering, const StreamedAttention &a, const AttentionCut &cut, Type type)
      : AttentionTile(lowering, a, cut, type.isBF16() ? "attention_bf16" : "attention_f16", matrixQueries,
                      blockThreads),
        type(type), pair(VectorType::get(2, type)), keyTile(keyTileOf(a)), line(lineOf(size)),
        valueLine(lineOf(valueSize)) {}

  void write();

private:
  using Registers = SmallVector<Value>;

  int64_t steps() const { return (line - skew) / depth; }
  int64_t valueTiles() const { return (valueLine - skew) / columns; }
  void fill(Value area, int64_t rows, int64_t width, int64_t line, llvm::function_ref<Value(Value, Value)> element);
  Registers keysFrom(Value start, ValueRange state);
  Value packed(Value low, Value high);
  /// Four 8 by 8 tiles; `row` and `column` say where this lane's row of one of them begins.
  Registers loadTiles(Value area, int64_t line, Value row, Value column, bool transposed);
  Registers multiplied(ArrayRef<Value> left, ArrayRef<Value> right, ArrayRef<Value> sums);

  Type type;
  VectorType pair;
  int64_t keyTile, line, valueLine; // lines in elements
  Value storedQueries, storedKeys, storedValues, scale;
  Value inTile, highHalf, upperTile; // of the lane: its row of a tile, and the bits of the tile's number
  Value quad;
  SmallVector<Value> mine, row, head; // of the lane's two queries
};
} // namespace

Value MatrixTiles::packed(Value low, Value high) {
  Value both = LLVM::PoisonOp::create(b, pair);
  for (auto [i, number] : llvm::enumerate(ArrayRef<Value>{low, high}))
    both = LLVM::InsertElementOp::create(b, both, arith::TruncFOp::create(b, type, number), t.integer(int64_t(i)));
  return both;
}

/// area[r][c] = element(r, c), and 0 from `width` on.
void MatrixTiles::fill(Value area, int64_t rows, int64_t width, int64_t line,
                       llvm::function_ref<Value(Value, Value)> element) {
  int64_t perRow = (line - skew) / 2, total = rows * perRow, unroll = total % (4 * blockThreads) ? 2 : 4;
  bool isWhole = width == 2 * perRow;
  k.loop(
      t.thread(), k.constant(total),
      [&](Value first) {
        SmallVector<Value> places, pairs;
        for (int64_t i = 0; i < unroll; ++i) { // what is read is on its way before any of it is needed
          Value n = k.add(first, k.constant(i * blockThreads));
          Value r = k.div(n, k.constant(perRow)), c = k.mul(k.rem(n, k.constant(perRow)), k.constant(2));
          auto at = [&](Value c) {
            if (isWhole)
              return element(r, c);
            Value x = element(r, k.min(c, k.constant(width - 1)));
            return k.select(k.less(c, k.constant(width)), x, k.constantF32(0));
          };
          pairs.push_back(packed(at(c), at(k.add(c, k.constant(1)))));
          places.push_back(t.at(area, k.mul(k.add(k.mul(r, k.constant(line)), c), k.constant(2))));
        }
        for (auto [x, to] : llvm::zip(pairs, places))
          t.store(x, to, 4);
      },
      unroll * blockThreads);
}

MatrixTiles::Registers MatrixTiles::loadTiles(Value area, int64_t line, Value row, Value column, bool transposed) {
  Value place = t.at(area, k.mul(k.add(k.mul(row, k.constant(line)), column), k.constant(2)));
  auto four = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(4, t.i32));
  StringRef name = transposed ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3"
                              : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3";
  Value all = t.intrinsic(four, name, place);
  Registers result;
  for (int i = 0; i < 4; ++i)
    result.push_back(LLVM::ExtractValueOp::create(b, all, i));
  return result;
}

/// sums + left * right: 16 rows, 8 columns, a depth of 16.
MatrixTiles::Registers MatrixTiles::multiplied(ArrayRef<Value> left, ArrayRef<Value> right, ArrayRef<Value> sums) {
  auto four = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(4, t.f32));
  Registers result(sums);
  auto call = [&](StringRef name, ArrayRef<Value> x, ArrayRef<Value> y) {
    SmallVector<Value> operands;
    for (Value word : llvm::concat<const Value>(x, y))
      operands.push_back(type.isF16() && word.getType() != pair    ? Value(LLVM::BitcastOp::create(b, pair, word))
                         : type.isBF16() && word.getType() == pair ? Value(LLVM::BitcastOp::create(b, t.i32, word))
                                                                   : word);
    operands.append(result.begin(), result.end());
    Value all = t.intrinsic(four, name, operands);
    for (int i = 0; i < 4; ++i)
      result[i] = LLVM::ExtractValueOp::create(b, all, i);
  };
  if (type.isBF16())
    call("llvm.nvvm.mma.m16n8k16.row.col.bf16", left, right);
  else if (lowering.facts.device->capability >= 80)
    call("llvm.nvvm.mma.m16n8k16.row.col.f32.f32", left, right);
  else
    for (int half = 0; half < 2; ++half)
      call("llvm.nvvm.mma.m16n8k8.row.col.f32.f32", left.slice(2 * half, 2), right.slice(half, 1));
  return result;
}

void MatrixTiles::write() {
  storedQueries = t.shared(queries * line * 2);
  storedKeys = t.shared(keyTile * line * 2);
  storedValues = t.shared(keyTile * valueLine * 2);
  begin();
  scale = scaleOf(k, a, t.f32);
  fill(storedQueries, queries, size, line, [&](Value query, Value i) {
    query = present(query);
    Value x = a.query(k, batch, headOf(query), rowOf(query), i);
    return castNumber(b, x, x.getType(), t.f32);
  });
  quad = k.rem(t.lane(), k.constant(4));
  inTile = k.rem(t.lane(), k.constant(8));
  highHalf = k.rem(k.div(t.lane(), k.constant(8)), k.constant(2)), upperTile = k.div(t.lane(), k.constant(16));
  for (int64_t i = 0; i < 2; ++i) {
    Value inWarp = k.add(k.div(t.lane(), k.constant(4)), k.constant(8 * i));
    mine.push_back(k.add(k.mul(t.warp(), k.constant(warpQueries)), inWarp));
    row.push_back(rowOf(present(mine[i]))), head.push_back(headOf(present(mine[i])));
  }
  // Carried: each query's largest score, its sum of weights as far as this lane has seen them, its columns.
  Registers state(2, lowestNumber(b, t.f32));
  state.append(size_t(2 + 4 * valueTiles()), k.constantF32(0));
  state = k.loop(from, end, state, [&](Value start, ValueRange now) { return keysFrom(start, now); }, keyTile);

  Value isFirst = k.equal(quad, k.constant(0));
  for (int64_t i = 0; i < 2; ++i)
    finish(mine[i], isFirst, state[i], t.sumOverLanes(state[2 + i], 3), [&](auto body) {
      for (int64_t n = 0; n < valueTiles(); ++n)
        for (int64_t half = 0; half < 2; ++half) {
          Value column = k.add(k.mul(quad, k.constant(2)), k.constant(n * columns + half));
          Value sum = state[4 + 4 * n + 2 * i + half];
          if ((n + 1) * columns <= valueSize)
            body(column, sum);
          else
            k.when(k.less(column, k.constant(valueSize)), [&] { body(column, sum); });
        }
    });
}

MatrixTiles::Registers MatrixTiles::keysFrom(Value start, ValueRange state) {
  auto positionOf = [&](Value key) { return k.min(k.add(start, key), k.sub(end, k.constant(1))); };
  t.barrier(); // what stands there has been read
  fill(storedKeys, keyTile, size, line, [&](Value r, Value i) { return key(positionOf(r), i); });
  fill(storedValues, keyTile, valueSize, valueLine, [&](Value r, Value i) { return value(positionOf(r), i); });
  t.barrier();

  // Of a tile of keys: (query g, keys 2t and 2t + 1), then the same of query g + 8, with g = lane / 4 and t = lane % 4.
  int64_t keyTiles = keyTile / columns;
  Registers scores(size_t(4 * keyTiles), k.constantF32(0));
  auto four = [](Registers &all, int64_t tile) { return MutableArrayRef(all).slice(size_t(4 * tile), 4); };
  Value leftRow = k.add(k.mul(t.warp(), k.constant(warpQueries)), k.add(inTile, k.mul(highHalf, k.constant(8))));
  for (int64_t s = 0; s < steps(); ++s) {
    Value step = k.constant(s * depth);
    Registers left =
        loadTiles(storedQueries, line, leftRow, k.add(step, k.mul(upperTile, k.constant(8))), /*transposed=*/false);
    for (int64_t n = 0; n < keyTiles; n += 2) {
      Value keyRow = k.add(k.constant(n * columns), k.add(inTile, k.mul(upperTile, k.constant(8))));
      Registers right = loadTiles(storedKeys, line, keyRow, k.add(step, k.mul(highHalf, k.constant(8))), false);
      for (int64_t i = 0; i < 2; ++i)
        llvm::copy(multiplied(left, ArrayRef(right).slice(size_t(2 * i), 2), four(scores, n + i)),
                   four(scores, n + i).begin());
    }
  }

  Registers next(state);
  for (int64_t i = 0; i < 2; ++i) {
    Value largest = state[i];
    for (int64_t n = 0; n < keyTiles; ++n)
      for (int64_t half = 0; half < 2; ++half) {
        Value &x = scores[4 * n + 2 * i + half];
        Value number = k.add(start, k.add(k.mul(quad, k.constant(2)), k.constant(n * columns + half)));
        x = score(head[i], row[i], number, multiply(k, x, scale));
        largest = larger(largest, x);
      }
    for (int bit : {2, 1})
      largest = larger(largest, t.shuffleXor(largest, bit));
    Value shift = shiftOf(k, largest, t.f32), correction = power(minus(state[i], shift));
    Value sum = times(state[2 + i], correction);
    for (int64_t n = 0; n < keyTiles; ++n)
      for (int64_t half = 0; half < 2; ++half) {
        Value &x = scores[4 * n + 2 * i + half];
        x = power(minus(x, shift));
        sum = arith::AddFOp::create(b, sum, x);
      }
    next[i] = largest, next[2 + i] = sum;
    for (int64_t n = 0; n < valueTiles(); ++n)
      for (int64_t half = 0; half < 2; ++half) {
        Value &x = next[4 + 4 * n + 2 * i + half];
        x = times(x, correction);
      }
  }

  // Scores as they lie in the registers are the left operand of the product with values.
  for (int64_t s = 0; s < keyTile / depth; ++s) {
    Registers left;
    for (int64_t i = 0; i < 4; ++i) {
      size_t at = size_t(4 * (2 * s + i / 2) + 2 * (i % 2));
      left.push_back(packed(scores[at], scores[at + 1]));
    }
    Value valueRow = k.add(k.constant(s * depth), k.add(inTile, k.mul(highHalf, k.constant(8))));
    for (int64_t n = 0; n < valueTiles(); n += 2) {
      Value column = k.add(k.constant(n * columns), k.mul(upperTile, k.constant(8)));
      Registers right = loadTiles(storedValues, valueLine, valueRow, column, /*transposed=*/true);
      for (int64_t i = 0; i < 2; ++i) {
        auto sums = MutableArrayRef(next).slice(size_t(4 + 4 * (n + i)), 4);
        llvm::copy(multiplied(left, ArrayRef(right).slice(size_t(2 * i), 2), sums), sums.begin());
      }
    }
  }
  return next;
}

static int64_t sharedBytes(const StreamedAttention &a) {
  int64_t line = lineOf(*constantOf(a.size)), keys = keyTileOf(a);
  return 2 * ((matrixQueries + keys) * line + keys * lineOf(*constantOf(a.valueSize)));
}

Type qcc::matrixTypeOf(Lowering &lowering, const StreamedAttention &a) {
  int capability = lowering.facts.device->capability;
  Type type = a.element;
  if (a.key.element != type || a.value.element != type)
    type = Float32Type::get(type.getContext());
  if (type.isF32()) {
    // Programs of integers keep it: their results are those of every other target.
    bool any = false, areNarrowFloats = true;
    lowering.sourceModule().walk([&](qnt::LinearOp linear) {
      any = true;
      areNarrowFloats &= linear.getAct() != "f32" && !linear.getAct().starts_with("int8");
    });
    type = any && areNarrowFloats ? Type(BFloat16Type::get(type.getContext())) : Type();
  }
  if (!type || !(type.isF16() || (type.isBF16() && capability >= 80)))
    return {};
  return sharedBytes(a) <= lowering.facts.device->sharedBytes ? type : Type();
}

std::unique_ptr<AttentionTile> qcc::writeMatrixAttention(Lowering &lowering, const StreamedAttention &a,
                                                         const AttentionCut &cut, Type type) {
  auto tiles = std::make_unique<MatrixTiles>(lowering, a, cut, type);
  tiles->write();
  return tiles;
}
