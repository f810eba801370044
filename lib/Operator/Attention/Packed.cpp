#include "Packed.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

Type Part::element() const { return cast<ShapedType>(tensor.getType()).getElementType(); }

Value Part::load(Kernel &k, Value b, Value h, Value row, Value i) const {
  Value value;
  Value inHeads = k.add(k.mul(h, k.dim(size)), i);
  if (form == Heads)
    value = k.load(tensor, {b, h, row, i});
  else if (form == Packed)
    value = k.load(tensor, {b, row, h, k.constant(part), i});
  else
    value = k.load(tensor, {b, row, k.add(k.dim(first), inHeads)});
  return bias ? plus(k, value, k.load(bias, {k.add(k.dim(biasFirst), inHeads)})) : value;
}

StoredRows Part::stored(Lowering &lowering) const {
  Dimensions &d = lowering.dims;
  if (form == Heads)
    return StoredRows::of(lowering, tensor, heads, size);
  SmallVector<Dim> dims = dimsOf(tensor.getType());
  StoredRows result;
  result.storage = lowering.storage(tensor);
  result.element = element();
  if (form == Packed) {
    result.offset = d.mul(d.constant(part), size);
    result.head = d.mul(dims[3], size);
    result.position = d.mul(dims[2], result.head);
  } else {
    result.offset = first, result.head = size, result.position = dims[2];
  }
  result.batch = d.mul(dims[1], result.position);
  return result;
}

LogicalResult Part::require(Infer &infer) const {
  Dimensions &d = infer.dim();
  SmallVector<Dim> dims = dimsOf(tensor.getType());
  SmallVector<std::pair<Dim, Dim>> equal = {{dims[0], batch}, {dims[form == Heads ? 2 : 1], rows}};
  Dim elements = d.mul(heads, size), end = d.add(first, elements);
  if (form == Heads)
    equal.append({{dims[1], heads}, {dims[3], size}});
  else if (form == Packed)
    equal.append({{dims[2], heads}, {dims[4], size}});
  else
    equal.push_back({d.max(dims[2], end), dims[2]});
  if (bias) {
    Dim length = dimsOf(bias.getType())[0];
    equal.push_back({d.max(length, d.add(biasFirst, elements)), length});
  }
  return requireEqual(infer, equal);
}

StoredRows qcc::allPositions(Lowering &lowering, const Part &part, Value past, Value present, int64_t half,
                             Extension e) {
  if (!past && !present && !part.bias && !e.firstPosition && !e.source)
    return part.stored(lowering);
  e.batch = part.batch, e.heads = part.heads, e.size = part.size, e.added = part.rows;
  e.half = half;
  e.type = part.element();
  if (!e.source)
    e.source = [&](Kernel &k, Value b, Value h, Value row, Value i) { return part.load(k, b, h, row, i); };
  e.past = past;
  if (past && present && lowering.isState(past) && !lowering.isState(present))
    lowering.alias(present, past);
  e.present = present ? StoredRows::of(lowering, present, part.heads, part.size, half)
                      : StoredRows::make(lowering, part.element(), part.batch, part.heads, e.after, part.size);
  emitExtension(lowering, e);
  return e.present;
}

Value qcc::addBias(Kernel &k, Value bias, ArrayRef<Value> at, Value score) {
  SmallVector<Dim> dims = dimsOf(bias.getType());
  SmallVector<Value> place(at);
  for (unsigned i : {0u, 1u}) {
    Value last = k.sub(k.dim(dims[i]), k.constant(1));
    place[i] = constantOf(dims[i]) == 1 ? k.constant(0) : k.min(place[i], last);
  }
  return plus(k, score, k.load(bias, place));
}

LogicalResult qcc::requirePast(Infer &infer, unsigned past, const Part &part, Dim before) {
  if (!infer.has(past))
    return success();
  SmallVector<Dim> dims = infer.dims(past);
  ArrayRef<Dim> last = ArrayRef<Dim>(dims).take_back(4);
  if (dims.size() == 5 && failed(requireEqual(infer, {{dims[0], infer.dim().constant(2)}})))
    return failure();
  return requireEqual(infer, {{last[0], part.batch}, {last[1], part.heads}, {last[2], before}, {last[3], part.size}});
}

LogicalResult qcc::requireBias(Infer &infer, unsigned bias, const Part &query, Dim keys) {
  if (!infer.has(bias))
    return success();
  Dimensions &d = infer.dim();
  SmallVector<Dim> dims = infer.dims(bias);
  auto orOne = [&](Dim dim, Dim length) { return d.ifEqual(dim, d.constant(1), length, dim); };
  return requireEqual(infer, {{orOne(dims[0], query.batch), query.batch},
                              {orOne(dims[1], query.heads), query.heads},
                              {dims[2], query.rows},
                              {dims[3], keys}});
}
