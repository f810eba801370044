#include "qcc/Target/FloatTiles.h"
#include "WindowRows.h"
#include "qcc/Target/DeviceTiles.h"

using namespace mlir;
using namespace qcc;

static int lanesOf(const Lowering &lowering, const FloatTiles &tiles) {
  return WindowRows::lanesFor(Simd::lanesOf(Simd::isaOf(lowering.facts, /*integer=*/false)),
                              tiles.window.across.output);
}

/// Where the first element of all tiles of a channel of an image stands; the next elements follow `channels` x tiles
/// further.
static Value tilesAt(Simd &s, Value base, const FloatTiles &tiles, int64_t channels, Value image, Value channel) {
  Kernel &k = s.k;
  Value number = k.add(k.mul(image, k.constant(16 * channels)), channel);
  return s.at(base, k.mul(number, k.constant(tiles.count() * 4)));
}

void qcc::emitTiles(Lowering &lowering, const FloatTiles &tiles, int64_t channels,
                    std::function<Value(Kernel &)> planes, Value storage) {
  if (lowering.facts.device)
    return emitDeviceTiles(lowering, tiles, channels, planes, storage);
  Dimensions &dims = lowering.dims;
  const KnownAxis &down = tiles.window.down, &across = tiles.window.across;
  Kernel k(lowering, "tiles", lowering.loc);
  Simd s(k, /*integer=*/false, lanesOf(lowering, tiles));
  WindowRows rows(s, tiles.window);
  SmallVector<Dim> space = {tiles.images, dims.constant(channels)};
  auto sub = [&](Value a, Value b) -> Value { return arith::SubFOp::create(s.b, a, b); };
  auto add = [&](Value a, Value b) -> Value { return arith::AddFOp::create(s.b, a, b); };
  // Bᵀ of a column or row
  auto transform = [&](ArrayRef<Value> d) -> SmallVector<Value> {
    return {sub(d[0], d[2]), add(d[1], d[2]), sub(d[2], d[1]), sub(d[1], d[3])};
  };
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, space);
    Value plane = s.at(planes(k), k.mul(unit, k.constant(down.input * across.input * 4)));
    Value to = tilesAt(s, k.argument(storage), tiles, channels, at[0], at[1]);
    k.loop(k.constant(0), k.constant(down.output), [&](Value y) {
      SmallVector<Value> lines = rows.lines(plane, y, 1);
      rows.forGroups(1, [&](Value first, std::optional<int64_t> known, int64_t) {
        SmallVector<Value> columns[4]; // after the transformation of columns: by column
        for (int64_t j = 0; j < 4; ++j) {
          SmallVector<Value> column;
          for (Value line : lines)
            column.push_back(rows.load(line, first, known, 0, j));
          columns[j] = transform(column);
        }
        Value tile = k.add(k.mul(y, k.constant(across.output)), k.mul(first, k.constant(s.lanes)));
        Value address = s.at(to, k.mul(tile, k.constant(4))), mask = rows.mask(known, 0);
        for (int64_t i = 0; i < 4; ++i) {
          SmallVector<Value> elements = transform({columns[0][i], columns[1][i], columns[2][i], columns[3][i]});
          for (int64_t j = 0; j < 4; ++j) {
            Value place = s.at(address, (i * 4 + j) * channels * tiles.count() * 4);
            if (mask)
              LLVM::MaskedStoreOp::create(s.b, elements[j], place, mask, 4);
            else
              s.store(elements[j], place, 4);
          }
        }
      });
    });
  });
  Dim units = dims.product(space);
  k.launch(units, dims.mul(units, dims.constant(16 * tiles.count())));
}

namespace {
class TileResults {
public:
  TileResults(Kernel &kernel, const FloatTiles &tiles, int64_t channels, const TileStore &store, int lanes,
              bool storesWide)
      : k(kernel), s(kernel, /*integer=*/false, lanes), tiles(tiles), channels(channels), store(store) {
    if (!storesWide)
      row = k.threadScratch(s.lanes * 4);
  }

  void writeUnit(Value sums, Value imageIndex, Value channelIndex) {
    image = imageIndex, channel = channelIndex;
    from = tilesAt(s, sums, tiles, channels, image, channel);
    int64_t perRow = tiles.window.across.output, whole = tiles.width / (2 * s.lanes);
    k.loop(k.constant(0), k.constant(tiles.window.down.output), [&](Value y) {
      k.loop(k.constant(0), k.constant(whole), [&](Value v) { writeVector(y, v, 2 * s.lanes); });
      if (whole * s.lanes < perRow)
        writeVector(y, k.constant(whole), tiles.width - whole * 2 * s.lanes);
    });
  }

private:
  Value sub(Value a, Value c) { return arith::SubFOp::create(s.b, a, c); }
  Value add(Value a, Value c) { return arith::AddFOp::create(s.b, a, c); }

  /// The mask of the first `count` lanes; null where that is all.
  Value firstLanes(int64_t count) {
    if (count >= s.lanes)
      return {};
    SmallVector<bool> lanes;
    for (int64_t i = 0; i < s.lanes; ++i)
      lanes.push_back(i < count);
    auto type = VectorType::get(s.lanes, s.b.getI1Type());
    return arith::ConstantOp::create(s.b, DenseElementsAttr::get(type, ArrayRef<bool>(lanes)));
  }

  /// The results of vector `v` of the tiles of a row: `columns` columns are wanted.
  void writeVector(Value y, Value v, int64_t columns) {
    Value tile = k.add(k.mul(y, k.constant(tiles.window.across.output)), k.mul(v, k.constant(s.lanes)));
    Value address = s.at(from, k.mul(tile, k.constant(4))), mask = firstLanes((columns + 1) / 2);
    SmallVector<Value> upper, lower; // after the transformation of columns
    for (int64_t j = 0; j < 4; ++j) {
      SmallVector<Value> m;
      for (int64_t i = 0; i < 4; ++i) {
        Value place = s.at(address, (i * 4 + j) * channels * tiles.count() * 4);
        m.push_back(mask ? Value(LLVM::MaskedLoadOp::create(s.b, s.floats, place, mask, s.splat(0.0f), 4))
                         : s.load(s.floats, place, 4));
      }
      upper.push_back(add(add(m[0], m[1]), m[2]));
      lower.push_back(sub(sub(m[1], m[2]), m[3]));
    }
    Value line = k.mul(y, k.constant(2)), below = k.add(line, k.constant(1));
    Value x = k.mul(v, k.constant(2 * s.lanes));
    writeRow(upper, line, x, columns);
    if (tiles.height % 2)
      k.when(k.less(below, k.constant(tiles.height)), [&] { writeRow(lower, below, x, columns); });
    else
      writeRow(lower, below, x, columns);
  }

  void writeRow(ArrayRef<Value> m, Value y, Value x, int64_t columns) {
    Value even = add(add(m[0], m[1]), m[2]), odd = sub(sub(m[1], m[2]), m[3]);
    for (int64_t half = 0; half < 2; ++half) {
      int64_t count = std::min<int64_t>(columns - half * s.lanes, s.lanes);
      if (count <= 0)
        return;
      SmallVector<int64_t> order;
      for (int64_t i = 0; i < s.lanes; ++i)
        order.push_back((half * s.lanes + i) / 2 + (i % 2) * s.lanes);
      Value values = vector::ShuffleOp::create(s.b, even, odd, order);
      Value start = k.add(x, k.constant(half * s.lanes));
      auto code = [&](Value at, Value result) { store(k, image, channel, y, at, result); };
      if (!row) {
        emitWide(s, start, values, firstLanes(count), code);
        continue;
      }
      s.store(values, row, 4);
      k.loop(k.constant(0), k.constant(count), [&](Value i) { code(k.add(start, i), k.loadAt(row, i, s.f32)); });
    }
  }

  Kernel &k;
  Simd s;
  const FloatTiles &tiles;
  const int64_t channels;
  const TileStore &store;
  Value row, image, channel, from;
};
} // namespace

void qcc::emitTileResults(Lowering &lowering, const FloatTiles &tiles, int64_t channels, Value sums,
                          const TileStore &store) {
  if (lowering.facts.device)
    return emitDeviceTileResults(lowering, tiles, channels, sums, store);
  Dimensions &dims = lowering.dims;
  int lanes = lanesOf(lowering, tiles);
  bool storesWide;
  {
    Kernel probe(lowering, "probe", lowering.loc);
    Simd simd(probe, /*integer=*/false, lanes);
    Value zero = probe.constant(0);
    storesWide = isWide(simd, [&](Value x, Value result) { store(probe, zero, zero, zero, x, result); });
  }
  Kernel k(lowering, "tile_results", lowering.loc);
  TileResults results(k, tiles, channels, store, lanes, storesWide);
  SmallVector<Dim> space = {tiles.images, dims.constant(channels)};
  Value base = k.argument(sums);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, space);
    results.writeUnit(base, at[0], at[1]);
  });
  Dim units = dims.product(space);
  k.launch(units, dims.mul(units, dims.constant(16 * tiles.count())));
}
