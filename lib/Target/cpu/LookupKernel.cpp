// Rows of a packed weight by their numbers: what a tied embedding reads.
#include "../nvptx/Linear.h"
#include "Decode.h"
#include "qcc/Target/Linear.h"
#include "qcc/Tile/Bounds.h"

using namespace mlir;
using namespace qcc;

namespace {
/// Decodes one row of a matrix whose tiles hold 16 of them: a register at a time, of which one lane is kept.
class RowReader {
public:
  RowReader(Kernel &kernel, const Format &format, const PackedLayout &layout, Value packed)
      : k(kernel), s(kernel, /*integer=*/false), b(kernel.b), layout(layout), decoder(s, format, layout),
        packed(kernel.argument(packed)), scratch(kernel.threadScratch(s.lanes * 4)) {}

  /// Stores row `position` at `to`.
  void read(Value position, Value to) {
    Value tileRows = k.constant(PackedLayout::tileRows), lanes = k.constant(s.lanes);
    Value row = k.rem(position, tileRows);
    lane = k.rem(row, lanes);
    first = k.sub(row, lane);
    Value tile = s.at(packed, k.mul(k.div(position, tileRows), k.constant(layout.tileBytes())));
    rowScale = {};
    if (layout.hasRowScales)
      rowScale = s.load(s.f32, s.at(s.at(packed, layout.rowScalesOffset()), k.mul(position, k.constant(4))), 4);
    k.loop(k.constant(0), k.constant(layout.fullBlocks()), [&](Value index) {
      readBlock(s.at(tile, k.mul(index, k.constant(layout.blockBytes(layout.block)))), layout.block,
                s.at(to, k.mul(index, k.constant(layout.block * 4))));
    });
    if (layout.tail())
      readBlock(s.at(tile, layout.fullBlocks() * layout.blockBytes(layout.block)), layout.tail(),
                s.at(to, layout.fullBlocks() * layout.block * 4));
  }

private:
  Value ofLane(Value numbers) {
    s.store(numbers, scratch, 4);
    return s.load(s.f32, s.at(scratch, k.mul(lane, k.constant(4))), 4);
  }

  void readBlock(Value head, int64_t columns, Value to) {
    Value scale = rowScale, zero;
    if (layout.scaleBytes) {
      Value own = ofLane(decoder.scales(s.at(head, k.mul(first, k.constant(layout.scaleBytes))), false));
      scale = scale ? Value(arith::MulFOp::create(b, own, scale)) : own;
    }
    if (layout.hasZero)
      zero = ofLane(decoder.zeros(s.at(s.at(head, PackedLayout::tileRows * layout.scaleBytes), first)));
    Value codes = s.at(s.at(head, layout.codesOffset()), k.mul(first, k.constant(4)));
    auto chunk = [&](Value index, int64_t count) {
      Value from = s.at(codes, k.mul(index, k.constant(layout.chunkBytes())));
      Value out = s.at(to, k.mul(index, k.constant(layout.chunkColumns() * 4)));
      SmallVector<Value> numbers = decoder.floats(decoder.load(from));
      for (int64_t i = 0; i < count; ++i) {
        Value number = ofLane(numbers[i]);
        if (zero)
          number = arith::SubFOp::create(b, number, zero);
        if (scale)
          number = arith::MulFOp::create(b, number, scale);
        s.store(number, s.at(out, i * 4), 4);
      }
    };
    int64_t whole = columns / layout.chunkColumns();
    k.loop(k.constant(0), k.constant(whole), [&](Value index) { chunk(index, layout.chunkColumns()); });
    if (columns % layout.chunkColumns())
      chunk(k.constant(whole), columns % layout.chunkColumns());
  }

  Kernel &k;
  Simd s;
  ImplicitLocOpBuilder &b;
  const PackedLayout &layout;
  Decoder decoder;
  Value packed, scratch, lane, first, rowScale;
};
} // namespace

LogicalResult qcc::lowerLookup(qnt::LookupOp op, Lowering &lowering) {
  if (lowering.facts.device)
    return lowerDeviceLookup(op, lowering);
  auto weight = op.getWeight().getDefiningOp<qnt::WeightOp>();
  auto format = findFormat(weight.getFormat());
  if (!format)
    return op.emitError(llvm::toString(format.takeError()));
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  PackedLayout layout = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1));
  Value packed = lowering.storage(weight.getResult()), indices = op.getIndices();
  lowering.storage(indices);
  lowering.storage(op.getY());
  SmallVector<Dim> dims = dimsOf(indices.getType());
  Kernel k(lowering, "lookup_" + format->name, lowering.loc);
  RowReader reader(k, *format, layout, packed);
  Value out = k.pointer(op.getY()), yes = arith::ConstantOp::create(k.b, k.b.getBoolAttr(true));
  checkedLoop(k, k.lo(), k.hi(), yes, [&](Value i) {
    CheckedIndex at = loadIndex(k, indices, Index(dims, i), k.constant(layout.rows));
    Value to = LLVM::GEPOp::create(k.b, out.getType(), k.b.getI8Type(), out,
                                   ArrayRef<LLVM::GEPArg>{k.mul(i, k.constant(layout.columns * 4))});
    reader.read(at.position, to);
    return at.good;
  });
  Dim count = lowering.dims.product(dims);
  constexpr int64_t workPerElement = 4; // a register is decoded for one lane
  k.launch(count, lowering.dims.mul(count, lowering.dims.constant(layout.columns * workPerElement)));
  return success();
}
