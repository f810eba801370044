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

SmallVector<std::pair<Dim, Dim>> Part::conditions(Dimensions &d) const {
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
  return equal;
}

StoredRows qcc::allPositions(Lowering &lowering, const Part &part, Value past, Value present, int64_t half,
                             Extension e) {
  Dimensions &d = lowering.dims;
  if (!past && !present && !part.bias && !e.firstPosition && !e.source)
    return part.stored(lowering);
  e.batch = part.batch, e.heads = part.heads, e.size = part.size, e.added = part.rows;
  e.half = half;
  if (!e.source)
    e.source = [&](Kernel &k, Value b, Value h, Value row, Value i) { return part.load(k, b, h, row, i); };
  e.equal.append(part.conditions(d));
  if (past) {
    SmallVector<Dim> dims = dimsOf(past.getType());
    unsigned from = dims.size() - 4;
    e.past = past;
    e.equal.append(
        {{dims[from], e.batch}, {dims[from + 1], e.heads}, {dims[from + 2], e.before}, {dims[from + 3], e.size}});
    if (present && lowering.isState(past) && !lowering.isState(present))
      lowering.alias(present, past);
  }
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

void qcc::requireBias(StreamedAttention &a, Dimensions &d, Value bias) {
  SmallVector<Dim> dims = dimsOf(bias.getType()), space = {a.batch, a.heads, a.rows, a.keys};
  for (unsigned i = 0; i < 4; ++i) {
    bool broadcasts = i < 2;
    if (broadcasts && constantOf(dims[i]) == 1)
      continue;
    a.equal.push_back({broadcasts ? d.ifEqual(dims[i], d.constant(1), space[i], dims[i]) : dims[i], space[i]});
  }
}
