#include "AttentionTile.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

AttentionTile::AttentionTile(Lowering &lowering, const StreamedAttention &a, const AttentionCut &cut, StringRef name,
                             int64_t queries, int64_t threads)
    : lowering(lowering), a(a), cut(cut), queries(queries), size(*constantOf(a.size)),
      valueSize(*constantOf(a.valueSize)), k(lowering, name, lowering.loc), t(k, threads), b(k.b) {}

void AttentionTile::launch() {
  Dimensions &d = lowering.dims;
  k.launch(d.product({a.batch, cut.groups, tiles(), cut.chunks}),
           d.product({a.batch, a.heads, a.rows, a.keys, d.add(a.size, a.valueSize)}));
}

void AttentionTile::begin() {
  Dimensions &d = lowering.dims;
  keyData = k.argument(a.key.storage), valueData = k.argument(a.value.storage);
  SmallVector<Value> unit = k.delinearize(k.lo(), {a.batch, cut.groups, tiles(), cut.chunks});
  batch = unit[0], firstHead = k.mul(unit[1], k.constant(cut.together)), chunk = unit[3];
  // Late tiles see the most keys where attention is causal: they begin first.
  Value tile = a.after < 0 ? unit[2] : k.sub(k.sub(k.dim(tiles()), k.constant(1)), unit[2]);
  int64_t rows = queries / cut.together;
  firstRow = k.mul(tile, k.constant(rows));
  Value presentRows = k.min(k.constant(rows), k.sub(k.dim(a.rows), firstRow));
  count = k.mul(presentRows, k.constant(cut.together));
  Value zero = k.constant(0), keyHead = k.div(firstHead, k.dim(d.floorDiv(a.heads, a.keyHeads)));
  keyStart = a.key.start(k, batch, keyHead, zero), valueStart = a.value.start(k, batch, keyHead, zero);

  position = a.firstPosition ? a.firstPosition(k, batch) : zero;
  from = zero, end = k.dim(a.keys);
  if (a.visibleKeys)
    end = k.min(end, a.visibleKeys(k, batch));
  Value first = k.add(position, firstRow);
  if (a.after >= 0)
    end = k.min(end, k.add(k.add(first, presentRows), k.constant(a.after)));
  if (a.before >= 0)
    from = k.max(from, k.sub(first, k.constant(a.before)));
  if (constantOf(cut.chunks) != 1) {
    Value firstOfChunk = k.mul(chunk, k.dim(cut.chunkLength));
    from = k.max(from, firstOfChunk), end = k.min(end, k.add(firstOfChunk, k.dim(cut.chunkLength)));
  }
}

Value AttentionTile::score(Value head, Value row, Value key, Value product) {
  Value result = capped(k, a, product, t.f32);
  Value allowed = k.less(key, end);
  if (a.bias)
    result = a.bias(k, batch, head, row, k.min(key, k.sub(end, k.constant(1))), result);
  Value stand = k.add(position, row);
  if (a.after >= 0)
    allowed = k.both(allowed, k.less(key, k.add(stand, k.constant(a.after + 1))));
  if (a.before >= 0)
    allowed = k.both(allowed, k.less(k.sub(stand, k.constant(a.before + 1)), key));
  return k.select(allowed, result, lowestNumber(b, t.f32));
}

Value AttentionTile::power(Value x) {
  return t.intrinsic(t.f32, "llvm.nvvm.ex2.approx.f32", times(x, k.constantF32(M_LOG2E)));
}

void AttentionTile::finish(Value query, Value isFirst, Value largest, Value total,
                           llvm::function_ref<void(llvm::function_ref<void(mlir::Value, mlir::Value)>)> eachColumn) {
  Value row = rowOf(present(query)), head = headOf(present(query));
  auto whole = [&] {
    Value factor = normalizer(k, a, head, largest, total, t.f32);
    eachColumn([&](Value i, Value sum) { a.store(k, batch, head, row, i, multiply(k, sum, factor)); });
  };
  auto part = [&] {
    Value parts = k.argument(cut.partial);
    Value number = k.linearize({batch, head, row, chunk}, {a.batch, a.heads, a.rows, cut.chunks});
    Value to = k.mul(number, k.constant(valueSize + 2));
    k.when(isFirst, [&] {
      k.storeAt(parts, to, t.f32, largest);
      k.storeAt(parts, k.add(to, k.constant(1)), t.f32, total);
    });
    to = k.add(to, k.constant(2));
    eachColumn([&](Value i, Value sum) { k.storeAt(parts, k.add(to, i), t.f32, sum); });
  };
  k.when(k.less(query, count), [&] {
    if (constantOf(cut.chunks) == 1)
      return whole();
    Value single = k.equal(k.dim(cut.chunks), k.constant(1));
    k.when(single, whole);
    k.when(arith::XOrIOp::create(b, single, arith::ConstantOp::create(b, b.getBoolAttr(true))), part);
  });
}
