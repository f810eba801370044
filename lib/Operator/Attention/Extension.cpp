// New positions behind those of a cache.
#include "Streamed.h"

using namespace mlir;
using namespace qcc;

/// Whether the blocks of a row are written by units of their own on a device.
static bool sharesRow(const RowLayout &layout) { return layout.tail() == 0; }

/// Writes a row in its format, or on a device its block `own`: the elements are needed twice, and computed once.
static void writeRow(Kernel &k, const RowLayout &layout, Value to, Value place, Value own, Value scratch,
                     llvm::function_ref<Value(Value)> source) {
  Type f32 = k.b.getF32Type();
  bool isBlock = own && sharesRow(layout);
  Value first = isBlock ? k.mul(own, k.constant(layout.block)) : k.constant(0);
  k.loop(k.constant(0), k.constant(isBlock ? layout.block : layout.size),
         [&](Value i) { k.storeAt(scratch, i, f32, source(k.add(first, i))); });
  if (isBlock)
    RowCodec(k, layout).writeBlock(to, place, own, scratch);
  else
    RowCodec(k, layout).write(to, place, scratch);
}

/// Makes a row zero; on a device the unit of its first block does.
static void clearRow(Kernel &k, const RowLayout &layout, Value to, Value place, Value own) {
  auto clear = [&] { RowCodec(k, layout).clear(to, place); };
  own ? k.when(k.equal(own, k.constant(0)), clear) : clear();
}

void qcc::emitExtension(Lowering &lowering, const Extension &e) {
  Dimensions &d = lowering.dims;
  Kernel k(lowering, "append", lowering.loc);
  Type element = e.present.element;
  bool inPlace = e.past && lowering.storage(e.past) == e.present.storage;
  Value to = k.argument(e.present.storage), zero = k.constant(0), size = k.dim(e.size);
  auto firstPosition = [&](Value b) { return e.firstPosition ? e.firstPosition(k, b) : k.dim(e.before); };
  const RowLayout *layout = e.present.layout;
  Value scratch =
      layout ? k.threadScratch(4 * (lowering.facts.device && sharesRow(*layout) ? layout->block : layout->size))
             : Value();
  // On a device, each element of a row is a unit of its own, and each block of a row that has a layout.
  Value ownElement;
  auto eachElement = [&](llvm::function_ref<void(Value)> body) {
    ownElement ? body(ownElement) : k.loop(zero, size, body);
  };
  auto addRow = [&](Value b, Value h, Value row, Value position) {
    Value place = e.present.start(k, b, h, position);
    if (layout)
      return writeRow(k, *layout, to, place, ownElement, scratch,
                      [&](Value i) { return castNumber(k.b, e.source(k, b, h, row, i), e.type, k.b.getF32Type()); });
    eachElement([&](Value i) {
      Value value = castNumber(k.b, e.source(k, b, h, row, i), e.type, element);
      k.storeAt(to, k.add(place, i), element, value);
    });
  };
  // In place only the new rows are written, each by a unit of its own, and where entries of the batch end at different
  // positions, what is behind the past and not new. Otherwise every row of the present is.
  bool ragged = inPlace && e.firstPosition;
  Dim further = d.sub(e.after, e.before);
  SmallVector<Dim> space = {e.batch, e.heads, ragged ? d.max(e.added, further) : inPlace ? e.added : e.after};
  Dim work = d.mul(d.product(space), e.size);
  if (lowering.facts.device)
    space.push_back(layout ? d.constant(sharesRow(*layout) ? layout->blocks() : 1) : e.size);
  auto when = [&](Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise = nullptr) {
    auto choice = scf::IfOp::create(k.b, condition, /*withElseRegion=*/bool(otherwise));
    OpBuilder::InsertionGuard guard(k.b);
    k.b.setInsertionPointToStart(choice.thenBlock());
    then();
    if (otherwise) {
      k.b.setInsertionPointToStart(choice.elseBlock());
      otherwise();
    }
  };
  k.loop(k.lo(), k.hi(), [&](Value number) {
    SmallVector<Value> at = k.delinearize(number, space);
    Value b = at[0], h = at[1], row = at[2], first = firstPosition(b);
    if (lowering.facts.device)
      ownElement = at[3];
    auto clear = [&](Value position) {
      Value place = e.present.start(k, b, h, position);
      if (layout)
        return clearRow(k, *layout, to, place, ownElement);
      Value nothing = numberConstant(k.b, element, 0);
      eachElement([&](Value i) { k.storeAt(to, k.add(place, i), element, nothing); });
    };
    auto isNew = [&](Value position) {
      return arith::CmpIOp::create(k.b, arith::CmpIPredicate::ult, k.sub(position, first), k.dim(e.added));
    };
    if (inPlace && !ragged)
      return addRow(b, h, row, k.add(first, row));
    if (ragged) {
      when(k.less(row, k.dim(e.added)), [&] { addRow(b, h, row, k.add(first, row)); });
      return when(k.less(row, k.dim(further)), [&] {
        Value position = k.add(k.dim(e.before), row);
        when(isNew(position), [] {}, [&] { clear(position); });
      });
    }
    auto keep = [&] {
      SmallVector<Dim> dims = {e.batch, e.heads, e.before, e.size};
      Value place = e.present.start(k, b, h, row);
      eachElement([&](Value i) {
        Value from = k.linearize({b, h, row, i}, dims);
        if (e.half)
          from = k.add(from, k.dim(d.product(dims)));
        k.storeAt(to, k.add(place, i), element, k.loadAt(k.pointer(e.past), from, element));
      });
    };
    when(
        isNew(row), [&] { addRow(b, h, k.sub(row, first), row); },
        [&] {
          if (!e.past)
            return clear(row);
          when(k.less(row, k.dim(e.before)), keep, [&] { clear(row); });
        });
  });
  k.launch(d.product(space), work);
}
