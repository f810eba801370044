#include "qcc/Tile/Contraction.h"
#include "qcc/Target/DeviceContraction.h"
#include "qcc/Target/FloatContraction.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t rowTile = 32, columnTile = 128,
                         depthTile = 64; // sums 16 KiB, a tile of the right operand 32 KiB in f32
static constexpr int64_t unroll = 4;

Value qcc::multiply(Kernel &k, Value x, Value y) {
  if (isa<FloatType>(getElementTypeOrSelf(x.getType())))
    return arith::MulFOp::create(k.b, x, y, arith::FastMathFlags::contract);
  return k.b.createOrFold<arith::MulIOp>(x, y);
}

Value qcc::plus(Kernel &k, Value x, Value y) {
  if (isa<FloatType>(getElementTypeOrSelf(x.getType())))
    return arith::AddFOp::create(k.b, x, y, arith::FastMathFlags::contract);
  return k.b.createOrFold<arith::AddIOp>(x, y);
}

Type qcc::accumulatorOf(Type element) { return isFloat(element) ? computeType(element) : element; }

namespace {
class TileWriter {
public:
  TileWriter(Kernel &k, const Contraction &c)
      : k(k), c(c), sums(k.threadScratch(rowTile * columnTile * storageBytes(c.accumulator))) {
    if (!c.rightIsContiguous)
      panel = k.threadScratch(depthTile * columnTile * storageBytes(c.accumulator));
  }

  void write(ArrayRef<Value> batch, Value rowStart, Value columnStart) {
    this->batch = llvm::to_vector(batch), this->rowStart = rowStart, this->columnStart = columnStart;
    rows = k.min(k.constant(rowTile), k.sub(k.dim(c.rows), rowStart));
    columns = k.min(k.constant(columnTile), k.sub(k.dim(c.columns), columnStart));
    Value zero = numberConstant(k.b, c.accumulator, 0);
    k.loop(k.constant(0), rows, [&](Value r) {
      k.loop(k.constant(0), columns, [&](Value j) { k.storeAt(sums, at(r, j), c.accumulator, zero); });
    });
    k.loop(
        k.constant(0), k.dim(c.depth),
        [&](Value start) {
          depthStart = start;
          depth = k.min(k.constant(depthTile), k.sub(k.dim(c.depth), start));
          if (panel)
            pack();
          inSteps(rows, constantOf(c.rows), [&](Value r, int64_t count) {
            auto known = constantOf(c.depth);
            inSteps(depth, known && *known <= depthTile ? known : std::nullopt,
                    [&](Value d, int64_t steps) { multiplyTile(r, count, d, steps); });
          });
        },
        depthTile);
    k.loop(k.constant(0), rows, [&](Value r) {
      k.loop(k.constant(0), columns, [&](Value j) {
        c.store(k, batch, k.add(rowStart, r), k.add(columnStart, j), k.loadAt(sums, at(r, j), c.accumulator));
      });
    });
  }

private:
  Value at(Value line, Value column) { return k.add(k.mul(line, k.constant(columnTile)), column); }

  /// body(i, 4) over the multiples of four below `count`, body(i, 1) over the rest. `known` is the whole length, where
  /// it is a constant that `count` is cut from.
  void inSteps(Value count, std::optional<int64_t> known, llvm::function_ref<void(Value, int64_t)> body) {
    Value whole = k.mul(k.div(count, k.constant(unroll)), k.constant(unroll));
    if (!known || *known >= unroll)
      k.loop(k.constant(0), whole, [&](Value i) { body(i, unroll); }, unroll);
    if (!known || *known % unroll)
      k.loop(whole, count, [&](Value i) { body(i, 1); });
  }

  void pack() {
    auto element = [&](Value d, Value j) {
      k.storeAt(panel, at(d, j), c.accumulator, c.right(k, batch, k.add(depthStart, d), k.add(columnStart, j)));
    };
    if (c.rightIsTransposed)
      k.loop(k.constant(0), columns, [&](Value j) { k.loop(k.constant(0), depth, [&](Value d) { element(d, j); }); });
    else
      k.loop(k.constant(0), depth, [&](Value d) { k.loop(k.constant(0), columns, [&](Value j) { element(d, j); }); });
  }

  void multiplyTile(Value r, int64_t count, Value d, int64_t steps) {
    SmallVector<Value> left, line, step;
    for (int64_t s = 0; s < steps; ++s)
      step.push_back(k.add(d, k.constant(s)));
    for (int64_t i = 0; i < count; ++i) {
      line.push_back(k.add(r, k.constant(i)));
      for (int64_t s = 0; s < steps; ++s)
        left.push_back(c.left(k, batch, k.add(rowStart, line[i]), k.add(depthStart, step[s])));
    }
    k.loop(k.constant(0), columns, [&](Value j) {
      SmallVector<Value> right;
      for (Value s : step)
        right.push_back(panel ? k.loadAt(panel, at(s, j), c.accumulator)
                              : c.right(k, batch, k.add(depthStart, s), k.add(columnStart, j)));
      for (int64_t i = 0; i < count; ++i) {
        Value sum = k.loadAt(sums, at(line[i], j), c.accumulator);
        for (int64_t s = 0; s < steps; ++s)
          sum = plus(k, sum, multiply(k, left[i * steps + s], right[s]));
        k.storeAt(sums, at(line[i], j), c.accumulator, sum);
      }
    });
  }

  Kernel &k;
  const Contraction &c;
  SmallVector<Value> batch;
  Value sums, panel, rowStart, columnStart, depthStart, rows, columns, depth;
};
} // namespace

void qcc::emitContraction(Lowering &lowering, StringRef name, const Contraction &c) {
  if (lowering.facts.device)
    return emitDeviceContraction(lowering, name, c);
  if (c.accumulator.isF32())
    return emitFloatContraction(lowering, name, c);
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> space = c.batches;
  space.append({dims.ceilDiv(c.rows, rowTile), dims.ceilDiv(c.columns, columnTile)});
  Kernel k(lowering, name, lowering.loc);
  TileWriter tile(k, c);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, space);
    Value column = k.mul(at.pop_back_val(), k.constant(columnTile)),
          row = k.mul(at.pop_back_val(), k.constant(rowTile));
    tile.write(at, row, column);
  });
  Dim work = dims.product({dims.product(c.batches), c.rows, c.columns, c.depth});
  k.launch(dims.product(space), work);
}
