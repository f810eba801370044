#include "qcc/Target/DeviceTiles.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

namespace {
/// Where a thread stands: a tile of a channel of an image. Neighbours have neighbouring tiles.
struct Place {
  Place(Kernel &k, const FloatTiles &tiles, int64_t channels) : k(k), tiles(tiles), channels(channels) {
    Dimensions &d = k.lowering.dims;
    space = {tiles.images, d.constant(channels), d.constant(tiles.window.down.output),
             d.constant(tiles.window.across.output)};
    at = k.delinearize(k.lo(), space);
  }
  Value image() const { return at[0]; }
  Value channel() const { return at[1]; }
  Value row() const { return at[2]; }
  Value column() const { return at[3]; }
  /// The number of the tile's element: images x 16 x channels x tiles.
  Value element(int64_t i) const {
    Value plane = k.add(k.mul(k.add(k.mul(at[0], k.constant(16)), k.constant(i)), k.constant(channels)), at[1]);
    Value tile = k.add(k.mul(at[2], k.constant(tiles.window.across.output)), at[3]);
    return k.add(k.mul(plane, k.constant(tiles.count())), tile);
  }
  void launch() const {
    Dim units = k.lowering.dims.product(space);
    k.launch(units, k.lowering.dims.mul(units, k.lowering.dims.constant(16)));
  }

  Kernel &k;
  const FloatTiles &tiles;
  int64_t channels;
  SmallVector<Dim> space;
  SmallVector<Value> at;
};
} // namespace

void qcc::emitDeviceTiles(Lowering &lowering, const FloatTiles &tiles, int64_t channels,
                          const std::function<Value(Kernel &)> &planes, Value storage) {
  Kernel k(lowering, "tiles", lowering.loc);
  Place place(k, tiles, channels);
  const auto &down = tiles.window.down, &across = tiles.window.across;
  Type f32 = k.b.getF32Type();
  Value source = planes(k), to = k.argument(storage);
  Value plane = k.add(k.mul(place.image(), k.constant(channels)), place.channel());
  auto positionOf = [&](Value tile, const KnownAxis &axis, int64_t i) {
    return k.add(k.mul(tile, k.constant(axis.stride)), k.constant(i - axis.before));
  };
  auto isInside = [&](Value position, const KnownAxis &axis) -> Value {
    return arith::CmpIOp::create(k.b, arith::CmpIPredicate::ult, position, k.constant(axis.input));
  };
  auto load = [&](int64_t i, int64_t j) -> Real {
    Value y = positionOf(place.row(), down, i), x = positionOf(place.column(), across, j), zero = k.constant(0);
    Value isRow = isInside(y, down), isColumn = isInside(x, across);
    y = k.select(isRow, y, zero), x = k.select(isColumn, x, zero);
    Value number = k.add(k.mul(k.add(k.mul(plane, k.constant(down.input)), y), k.constant(across.input)), x);
    return {k.b, k.select(k.both(isRow, isColumn), k.loadAt(source, number, f32), tiles.window.outside(k))};
  };
  // Bᵀ of a column or row
  auto transform = [](ArrayRef<Real> d) -> SmallVector<Real> {
    return {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]};
  };
  SmallVector<SmallVector<Real>> columns; // after the transformation of columns
  for (int64_t j = 0; j < 4; ++j)
    columns.push_back(transform({load(0, j), load(1, j), load(2, j), load(3, j)}));
  for (int64_t i = 0; i < 4; ++i)
    for (auto [j, x] : llvm::enumerate(transform({columns[0][i], columns[1][i], columns[2][i], columns[3][i]})))
      k.storeAt(to, place.element(4 * i + int64_t(j)), f32, x.value());
  place.launch();
}

void qcc::emitDeviceTileResults(Lowering &lowering, const FloatTiles &tiles, int64_t channels, Value sums,
                                const TileStore &store) {
  Kernel k(lowering, "tile_results", lowering.loc);
  Place place(k, tiles, channels);
  Value from = k.argument(sums);
  auto load = [&](int64_t i) -> Real { return {k.b, k.loadAt(from, place.element(i), k.b.getF32Type())}; };
  // Aᵀ of a column or row
  auto transform = [](ArrayRef<Real> m) -> SmallVector<Real> { return {m[0] + m[1] + m[2], m[1] - m[2] - m[3]}; };
  SmallVector<SmallVector<Real>> columns;
  for (int64_t j = 0; j < 4; ++j)
    columns.push_back(transform({load(j), load(4 + j), load(8 + j), load(12 + j)}));
  for (int64_t i = 0; i < 2; ++i)
    for (auto [j, result] : llvm::enumerate(transform({columns[0][i], columns[1][i], columns[2][i], columns[3][i]}))) {
      Value y = k.add(k.mul(place.row(), k.constant(2)), k.constant(i));
      Value x = k.add(k.mul(place.column(), k.constant(2)), k.constant(int64_t(j)));
      k.when(k.both(k.less(y, k.constant(tiles.height)), k.less(x, k.constant(tiles.width))),
             [&, result = result] { store(k, place.image(), place.channel(), y, x, result.value()); });
    }
  place.launch();
}
