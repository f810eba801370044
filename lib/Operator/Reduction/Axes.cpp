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

bool Axes::lastIsKept() const { return constantOf(reduced.back()) == 1 && constantOf(kept.back()) != 1; }

Value Axes::load(Kernel &k, ArrayRef<Value> keptAt, ArrayRef<Value> reducedAt) const {
  SmallVector<Value> at;
  for (auto [x, y] : llvm::zip(keptAt, reducedAt))
    at.push_back(k.add(x, y));
  if (shape.empty())
    return k.load(tensor, ArrayRef<Value>());
  return k.load(tensor, byNumber ? Index(shape, k.linearize(at, dims)) : Index(shape, at));
}

Line::Line(Dimensions &dims, ArrayRef<Dim> shape, int64_t axis, int64_t axes)
    : outer(dims.product(shape.take_front(axis))), length(dims.product(shape.slice(axis, axes))),
      inner(dims.product(shape.drop_front(axis + axes))) {}

Value Line::number(Kernel &k, Value outerAt, Value at, Value innerAt) const {
  return k.add(k.mul(k.add(k.mul(outerAt, k.dim(length)), at), k.dim(inner)), innerAt);
}
