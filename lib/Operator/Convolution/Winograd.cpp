// qcc.Winograd: a 3 x 3 convolution whose weights are transformed tiles.
#include "Register.h"
#include "Window.h"
#include "qcc/Target/FloatTiles.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

/// `y` is the length of the results along an axis of the input.
static KnownAxis tilesOf(int64_t input, int64_t y, int64_t before) {
  return {input, /*kernel=*/4, /*output=*/(y + 1) / 2, /*stride=*/2, /*dilation=*/1, before};
}

static LogicalResult inferWinograd(Infer &infer) {
  auto pads = infer.intsAttr("pads");
  if (infer.inputs() < 2 || infer.rank(0) != 4 || infer.rank(1) != 3 || !pads || pads->size() != 4)
    return infer.error("takes an operand of four dimensions, transformed weights and pads");
  SmallVector<Dim> result = infer.dims(0);
  Dimensions &d = infer.dim();
  result[1] = infer.dims(1)[1];
  for (int i : {0, 1})
    result[i + 2] = d.add(result[i + 2], d.constant((*pads)[i] + (*pads)[i + 2] - 2));
  infer.result(0, result, infer.element(0));
  return success();
}

static LogicalResult lowerWinograd(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> input = node.dims(0), result = node.outputDims(), weights = node.dims(1);
  auto pads = *node.intsAttr("pads");
  int64_t outputs = *constantOf(weights[1]), channels = *constantOf(weights[2]);
  FloatTiles tiles;
  tiles.height = *constantOf(result[2]), tiles.width = *constantOf(result[3]);
  tiles.window.down = tilesOf(*constantOf(input[2]), tiles.height, pads[0]);
  tiles.window.across = tilesOf(*constantOf(input[3]), tiles.width, pads[1]);
  tiles.window.outside = [](Kernel &k) { return k.constantF32(0); };
  tiles.images = input[0];
  auto room = [&](int64_t planes) {
    return lowering.allocate(dims.mul(input[0], dims.constant(16 * planes * tiles.count() * 4)));
  };
  Value transformed = room(channels), sums = room(outputs);
  emitTiles(lowering, tiles, channels, [&](Kernel &k) { return k.pointer(node.input(0)); }, transformed);

  Contraction product;
  product.batches = {input[0], dims.constant(16)};
  product.rows = weights[1], product.columns = dims.constant(tiles.count()), product.depth = weights[2];
  product.accumulator = node.element(0);
  product.leftIsContiguous = product.rightIsContiguous = true;
  product.left = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value step) {
    return k.load(node.input(1), {batch[1], row, step});
  };
  auto place = [&](Kernel &k, ArrayRef<Value> batch, int64_t planes, Value plane, Value tile) {
    Value element = k.add(k.mul(batch[0], k.constant(16)), batch[1]);
    Value number = k.add(k.mul(element, k.constant(planes)), plane);
    return k.add(k.mul(number, k.constant(tiles.count())), tile);
  };
  product.right = [&](Kernel &k, ArrayRef<Value> batch, Value step, Value column) {
    return k.loadAt(k.argument(transformed), place(k, batch, channels, step, column), product.accumulator);
  };
  product.store = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value column, Value sum) {
    k.storeAt(k.argument(sums), place(k, batch, outputs, row, column), product.accumulator, sum);
  };
  emitContraction(lowering, "tile_products", product);

  emitTileResults(lowering, tiles, outputs, sums,
                  [&](Kernel &k, Value image, Value channel, Value y, Value x, Value sum) {
                    if (node.has(2))
                      sum = plus(k, sum, k.load(node.input(2), channel));
                    k.store(node.output(), {image, channel, y, x}, sum);
                  });
  return success();
}

void qcc::registerWinograd(OperatorRegistry &registry) {
  registry.add("qcc", "Winograd", inferWinograd, lowerWinograd, /*acceptsEpilogue=*/true);
}
