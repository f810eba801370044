#include "Axes.h"

using namespace mlir;
using namespace qcc;

Axes::Axes(Lowering &lowering, Value tensor, ArrayRef<Dim> isReduced)
    : tensor(tensor), shape(dimsOf(tensor.getType())),
      byNumber(!lowering.isFused(tensor) || lowering.isLinear(tensor, shape)) {
  Dimensions &d = lowering.dims;
  Dim one = d.constant(1), zero = d.constant(0);
  Dim before; // whether the last axis so far is reduced
  for (auto [length, flag] : llvm::zip(shape, isReduced)) {
    if (byNumber && constantOf(length) == 1)
      continue;
    if (byNumber && before == flag && constantOf(flag)) {
      for (Dim *part : {&dims.back(), constantOf(flag) == 1 ? &reduced.back() : &kept.back()})
        *part = d.mul(*part, length);
      continue;
    }
    dims.push_back(length);
    kept.push_back(d.ifEqual(flag, zero, length, one));
    reduced.push_back(d.ifEqual(flag, zero, one, length));
    before = flag;
  }
  if (dims.empty())
    for (auto *lengths : {&dims, &kept, &reduced})
      lengths->push_back(one);
}

Axes::Axes(Lowering &lowering, Value tensor, Dim axis)
    : tensor(tensor), shape(dimsOf(tensor.getType())), byNumber(true) {
  Dimensions &d = lowering.dims;
  Dim one = d.constant(1), outer = one, length = one, inner = one;
  axis = d.ifNegative(axis, d.add(axis, d.constant(int64_t(shape.size()))), axis);
  for (auto [i, dim] : llvm::enumerate(shape)) {
    Dim place = d.constant(int64_t(i));
    outer = d.mul(outer, d.ifNegative(d.sub(place, axis), dim, one));
    length = d.mul(length, d.ifEqual(place, axis, dim, one));
    inner = d.mul(inner, d.ifNegative(d.sub(axis, place), dim, one));
  }
  dims = {outer, length, inner}, kept = {outer, one, inner}, reduced = {one, length, one};
  lowering.storage(tensor);
}

bool Axes::lastIsKept() const { return constantOf(reduced.back()) == 1 && constantOf(kept.back()) != 1; }

static SmallVector<Value> sum(Kernel &k, ArrayRef<Value> keptAt, ArrayRef<Value> reducedAt) {
  SmallVector<Value> at;
  for (auto [x, y] : llvm::zip(keptAt, reducedAt))
    at.push_back(k.add(x, y));
  return at;
}

Value Axes::load(Kernel &k, ArrayRef<Value> keptAt, ArrayRef<Value> reducedAt) const {
  if (shape.empty())
    return k.load(tensor, ArrayRef<Value>());
  SmallVector<Value> at = sum(k, keptAt, reducedAt);
  return k.load(tensor, byNumber ? Index(shape, k.linearize(at, dims)) : Index(shape, at));
}

Value Axes::number(Kernel &k, ArrayRef<Value> keptAt, ArrayRef<Value> reducedAt) const {
  return k.linearize(sum(k, keptAt, reducedAt), dims);
}

size_t Axes::reducedAxis() const {
  for (size_t i = 0; i < reduced.size(); ++i)
    if (constantOf(reduced[i]) != 1)
      return i;
  return reduced.size() - 1;
}

SmallVector<Dim> qcc::oneAxis(const Dimensions &dims, int64_t rank, int64_t axis, int64_t count) {
  SmallVector<Dim> flags(rank, dims.constant(0));
  std::fill_n(flags.begin() + axis, count, dims.constant(1));
  return flags;
}
