// Contractions in tiles of sums, whose operands pass through shared memory.
#include "ThreadBlock.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qcc/Target/DeviceContraction.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t side = 16; // a block is `side` by `side` threads
static constexpr int64_t blockThreads = side * side;
static constexpr int64_t depthStep = 16;
static constexpr int64_t skew = 4;           // numbers behind a line, so that lines begin in different banks
static constexpr int64_t enoughBlocks = 128; // that keep a device busy

namespace {
/// A block of threads computes a tile of (side * down) rows and (side * across) columns, each thread down * across sums
/// of it.
class SumTile {
public:
  SumTile(Kernel &kernel, const Contraction &c, int64_t down, int64_t across)
      : k(kernel), t(kernel, blockThreads), b(kernel.b), c(c), down(down), across(across),
        bytes(storageBytes(c.accumulator)), type(computeType(c.accumulator)) {}

  void write(ArrayRef<Value> batch, Value rowStart, Value columnStart);

private:
  /// One operand's part of the tile: [depthStep][side * each], the numbers of a thread next to each other in groups.
  struct Panel {
    int64_t each;
    bool alongDepth; // whether neighbouring threads read neighbours along the depth
    Value area, start, last;
    std::function<Value(Value step, Value i)> element;
    int64_t group() const { return std::min<int64_t>(each, 4); }
    int64_t line() const { return side * each + skew; }
  };
  Panel panel(int64_t each, bool alongDepth, Value start, Dim length, std::function<Value(Value, Value)> element) {
    Value area = t.shared(depthStep * (side * each + skew) * bytes);
    return {each, alongDepth, area, start, k.sub(k.dim(length), k.constant(1)), std::move(element)};
  }
  SmallVector<Value> read(const Panel &p, Value step);
  void put(const Panel &p, ArrayRef<Value> numbers);
  SmallVector<Value> get(const Panel &p, Value step, Value part);
  std::pair<Value, Value> placeOf(const Panel &p, int64_t i);
  /// The place in the tile of a thread's number i.
  Value placeOf(const Panel &p, Value part, int64_t i) {
    return k.add(k.mul(part, k.constant(p.group())), k.constant(i / p.group() * side * p.group() + i % p.group()));
  }

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  const Contraction &c;
  int64_t down, across, bytes;
  Type type;
};
} // namespace

/// (step, position) of the number that this thread reads as its i-th one.
std::pair<Value, Value> SumTile::placeOf(const Panel &p, int64_t i) {
  int64_t length = p.alongDepth ? depthStep : side * p.each;
  Value number = k.add(t.thread(), k.constant(i * blockThreads));
  Value inner = k.rem(number, k.constant(length)), outer = k.div(number, k.constant(length));
  return p.alongDepth ? std::pair(inner, outer) : std::pair(outer, inner);
}

SmallVector<Value> SumTile::read(const Panel &p, Value step) {
  SmallVector<Value> result;
  Value last = k.sub(k.dim(c.depth), k.constant(1)), zero = numberConstant(b, c.accumulator, 0);
  for (int64_t i = 0; i < p.each; ++i) {
    auto [d, position] = placeOf(p, i);
    Value at = k.add(step, d);
    Value number = p.element(k.min(at, last), k.min(k.add(p.start, position), p.last));
    result.push_back(constantOf(c.depth).value_or(1) % depthStep ? k.select(k.less(last, at), zero, number) : number);
  }
  return result;
}

void SumTile::put(const Panel &p, ArrayRef<Value> numbers) {
  for (auto [i, number] : llvm::enumerate(numbers)) {
    auto [d, position] = placeOf(p, int64_t(i));
    k.storeAt(p.area, k.add(k.mul(d, k.constant(p.line())), position), c.accumulator, number);
  }
}

SmallVector<Value> SumTile::get(const Panel &p, Value step, Value part) {
  SmallVector<Value> result;
  bool wide = bytes == 4 && p.group() > 1;
  for (int64_t i = 0; i < p.each; i += wide ? p.group() : 1) {
    Value at = k.add(k.mul(step, k.constant(p.line())), placeOf(p, part, i));
    if (!wide) {
      result.push_back(k.loadAt(p.area, at, c.accumulator));
      continue;
    }
    Value loaded = t.load(VectorType::get({p.group()}, type), t.at(p.area, k.mul(at, k.constant(bytes))),
                          unsigned(p.group() * bytes));
    for (int64_t j = 0; j < p.group(); ++j)
      result.push_back(vector::ExtractOp::create(b, loaded, j));
  }
  return result;
}

void SumTile::write(ArrayRef<Value> batch, Value rowStart, Value columnStart) {
  Panel left = panel(down, true, rowStart, c.rows, [&](Value d, Value row) { return c.left(k, batch, row, d); });
  Panel right = panel(across, c.rightIsTransposed, columnStart, c.columns,
                      [&](Value d, Value column) { return c.right(k, batch, d, column); });
  Value zero = k.constant(0), depth = k.dim(c.depth);
  Value x = k.rem(t.thread(), k.constant(side)), y = k.div(t.thread(), k.constant(side));
  SmallVector<Value> state(down * across, numberConstant(b, c.accumulator, 0));
  Value isEmpty = k.less(depth, k.constant(1));
  if (constantOf(c.depth).value_or(0) > 0)
    isEmpty = {};
  // What the next step needs is on its way while this one's is multiplied.
  auto next = [&](Value step) {
    SmallVector<Value> numbers = read(left, step);
    llvm::append_range(numbers, read(right, step));
    return numbers;
  };
  SmallVector<Value> numbers;
  if (!isEmpty) {
    numbers = next(zero);
  } else { // nothing may be read of operands without elements
    numbers.assign(down + across, numberConstant(b, c.accumulator, 0));
    SmallVector<Type> types(numbers.size(), type);
    auto choice = scf::IfOp::create(b, types, isEmpty, /*addThenBlock=*/true, /*addElseBlock=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.thenBlock());
    scf::YieldOp::create(b, numbers);
    b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(b, next(zero));
    numbers.assign(choice.result_begin(), choice.result_end());
  }
  llvm::append_range(state, numbers);
  state = k.loop(
      zero, depth, state,
      [&](Value step, ValueRange now) {
        SmallVector<Value> sums(now.take_front(down * across)), read(now.drop_front(down * across));
        put(left, ArrayRef(read).take_front(down));
        put(right, ArrayRef(read).drop_front(down));
        t.barrier();
        read = next(k.add(step, k.constant(depthStep)));
        sums = k.loop(zero, k.constant(depthStep), sums, [&](Value d, ValueRange before) {
          SmallVector<Value> after(before), l = get(left, d, y), r = get(right, d, x);
          for (int64_t i = 0; i < down; ++i)
            for (int64_t j = 0; j < across; ++j) {
              Value &sum = after[i * across + j];
              sum = isa<FloatType>(type) ? t.fma(l[i], r[j], sum) : plus(k, sum, multiply(k, l[i], r[j]));
            }
          return after;
        });
        t.barrier();
        llvm::append_range(sums, read);
        return sums;
      },
      depthStep);
  for (int64_t i = 0; i < down; ++i)
    for (int64_t j = 0; j < across; ++j) {
      Value row = k.add(rowStart, placeOf(left, y, i)), column = k.add(columnStart, placeOf(right, x, j));
      k.when(k.both(k.less(row, k.dim(c.rows)), k.less(column, k.dim(c.columns))),
             [&] { c.store(k, batch, row, column, state[i * across + j]); });
    }
}

/// Sums of a thread along one side: fewer where the tile would reach beyond the matrix.
static int64_t sumsFor(Dim length, int64_t most) {
  auto known = constantOf(length);
  while (known && most > 1 && side * most / 2 >= *known)
    most /= 2;
  return most;
}

void qcc::emitDeviceContraction(Lowering &lowering, llvm::StringRef name, const Contraction &c) {
  Dimensions &dims = lowering.dims;
  int64_t down = sumsFor(c.rows, 4), across = sumsFor(c.columns, 4);
  auto count = [&] {
    return dims.product(
        {dims.product(c.batches), dims.ceilDiv(c.rows, side * down), dims.ceilDiv(c.columns, side * across)});
  };
  auto known = constantOf(count());
  while (known && *known < enoughBlocks && std::max(down, across) > 1) {
    (across >= down ? across : down) /= 2;
    known = constantOf(count());
  }
  SmallVector<Dim> space = c.batches;
  space.append({dims.ceilDiv(c.rows, side * down), dims.ceilDiv(c.columns, side * across)});
  Kernel k(lowering, name, lowering.loc);
  SmallVector<Value> batch = k.delinearize(k.lo(), space);
  Value column = k.mul(batch.pop_back_val(), k.constant(side * across));
  Value row = k.mul(batch.pop_back_val(), k.constant(side * down));
  SumTile(k, c, down, across).write(batch, row, column);
  k.launch(dims.product(space), dims.product({dims.product(c.batches), c.rows, c.columns, c.depth}));
}
