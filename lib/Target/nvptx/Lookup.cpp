// Rows of a packed weight by their numbers: what a tied embedding reads.
#include "Decode.h"
#include "Linear.h"
#include "qcc/Tile/Bounds.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t blockThreads = 128;

LogicalResult qcc::lowerDeviceLookup(qnt::LookupOp op, Lowering &lowering) {
  auto weight = op.getWeight().getDefiningOp<qnt::WeightOp>();
  auto format = findFormat(weight.getFormat());
  if (!format)
    return op.emitError(llvm::toString(format.takeError()));
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  PackedLayout layout = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1));
  Value weights = lowering.storage(weight.getResult()), indices = op.getIndices();
  lowering.storage(indices);
  lowering.storage(op.getY());
  SmallVector<Dim> dims = dimsOf(indices.getType());
  // A block for each row that is asked for; a thread decodes a chunk.
  Kernel k(lowering, "lookup_" + format->name, lowering.loc);
  ThreadBlock t(k, blockThreads);
  ThreadDecoder decoder(t, *format, layout);
  Value packed = k.argument(weights), out = k.pointer(op.getY());
  CheckedIndex found = loadIndex(k, indices, Index(dims, k.lo()), k.constant(layout.rows));
  k.check(found.good);
  Value tileRows = k.constant(PackedLayout::tileRows), row = k.rem(found.position, tileRows);
  Value tile = t.at(packed, k.mul(k.div(found.position, tileRows), k.constant(layout.tileBytes())));
  Value to = t.at(out, k.mul(k.lo(), k.constant(layout.columns * 4)));
  Value rowScale;
  if (layout.hasRowScales)
    rowScale = t.load(t.f32, t.at(t.at(packed, layout.rowScalesOffset()), k.mul(found.position, k.constant(4))), 4);
  int64_t step = layout.chunkColumns();
  auto readBlock = [&](Value index, int64_t columns, Value chunk) {
    Value head = t.at(tile, k.mul(index, k.constant(layout.blockBytes(layout.block)))), scale = rowScale, zero;
    if (layout.scaleBytes) {
      Value own = decoder.scale(t.at(head, k.mul(row, k.constant(layout.scaleBytes))), false);
      scale = scale ? Value(arith::MulFOp::create(t.b, own, scale)) : own;
    }
    if (layout.hasZero)
      zero = decoder.zero(t.at(t.at(head, PackedLayout::tileRows * layout.scaleBytes), row));
    Value codes = t.at(t.at(head, layout.codesOffset()), k.mul(row, k.constant(4)));
    for (auto [i, number] : llvm::enumerate(decoder.floats(decoder.load(codes, chunk)))) {
      Value column = k.add(k.mul(chunk, k.constant(step)), k.constant(int64_t(i))), value = number;
      if (zero)
        value = arith::SubFOp::create(t.b, value, zero);
      if (scale)
        value = arith::MulFOp::create(t.b, value, scale);
      auto write = [&] {
        t.store(value, t.at(to, k.mul(k.add(k.mul(index, k.constant(layout.block)), column), k.constant(4))), 4);
      };
      if (columns % step)
        k.when(k.less(column, k.constant(columns)), write);
      else
        write();
    }
  };
  Value perBlock = k.constant(layout.chunks(layout.block));
  k.loop(
      t.thread(), k.constant(layout.fullBlocks() * layout.chunks(layout.block)),
      [&](Value i) { readBlock(k.div(i, perBlock), layout.block, k.rem(i, perBlock)); }, blockThreads);
  if (layout.tail())
    k.loop(
        t.thread(), k.constant(layout.chunks(layout.tail())),
        [&](Value i) { readBlock(k.constant(layout.fullBlocks()), layout.tail(), i); }, blockThreads);
  Dim count = lowering.dims.product(dims);
  k.launch(count, lowering.dims.mul(count, lowering.dims.constant(layout.columns)));
  return success();
}
