#include "Blocks.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t chunk = 4096; // elements of a run that one unit copies

SmallVector<Dim> qcc::pitchesOf(const Dimensions &dims, ArrayRef<Dim> shape) {
  SmallVector<Dim> result(shape.size(), dims.constant(1));
  for (size_t i = shape.size(); i-- > 1;)
    result[i - 1] = dims.mul(result[i], shape[i]);
  return result;
}

namespace {
/// A copy cut into units.
struct Cut {
  const BlockCopy &copy;
  SmallVector<Dim> shape;
  size_t inner; // last axes that are consecutive on both sides
  SmallVector<Dim> space;
  Dim run;
  bool computed; // in place: it needs coordinates

  Cut(Lowering &lowering, const BlockCopy &copy)
      : copy(copy), shape(dimsOf(copy.source.getType())), computed(lowering.isFused(copy.source)) {
    Dimensions &dims = lowering.dims;
    SmallVector<Dim> own = pitchesOf(dims, shape);
    inner = 0;
    while (inner < shape.size() && own[shape.size() - 1 - inner] == copy.pitch[shape.size() - 1 - inner])
      ++inner;
    if (computed)
      inner = std::min<size_t>(inner, 1);
    space.assign(shape.begin(), shape.end() - int64_t(inner));
    run = dims.product(ArrayRef<Dim>(shape).take_back(inner));
    space.push_back(dims.ceilDiv(run, chunk));
  }

  void emit(Kernel &k, Value base, Value unit) const {
    SmallVector<Value> index = k.delinearize(unit, space);
    Value begin = k.mul(index.pop_back_val(), k.constant(chunk));
    Value end = k.min(k.add(begin, k.constant(chunk)), k.dim(run));
    Value target = k.dim(copy.offset);
    for (auto [coordinate, pitch] : llvm::zip(index, copy.pitch))
      target = k.add(target, k.mul(coordinate, k.dim(pitch)));
    index.append(inner, k.constant(0));
    Value start = k.linearize(index, shape);
    k.loop(begin, end, [&](Value i) {
      if (computed && inner)
        index.back() = i;
      Index from = computed ? Index(shape, index, k.add(start, i)) : Index(shape, k.add(start, i));
      k.move(copy.source, from, base, k.add(target, i));
    });
  }
};
} // namespace

void qcc::copyBlocks(Lowering &lowering, StringRef name, Value result, ArrayRef<BlockCopy> copies) {
  Dimensions &dims = lowering.dims;
  Kernel k(lowering, name, lowering.loc);
  Value base = k.pointer(result);
  Dim before = dims.constant(0), work = dims.constant(0);
  for (const BlockCopy &copy : copies) {
    Cut cut(lowering, copy);
    Dim units = dims.product(cut.space);
    Value first = k.dim(before);
    Value from = k.max(k.sub(k.lo(), first), k.constant(0)), to = k.min(k.sub(k.hi(), first), k.dim(units));
    k.loop(from, to, [&](Value unit) { cut.emit(k, base, unit); });
    before = dims.add(before, units);
    work = dims.add(work, dims.product(cut.shape));
  }
  k.launch(before, work);
}
