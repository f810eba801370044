#include "Sweep.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxUnrolledTaps =
    25; // a 5 x 5 kernel: its offsets and weights are constants of the inner loop
static constexpr int64_t maxUnrolledRow = 9;
static constexpr int64_t blockLength = 64; // outputs whose accumulators lie in thread storage

namespace {
struct Tap {
  Value offset, weight;
};

class SweepWriter {
public:
  SweepWriter(Lowering &lowering, Kernel &k, Planes &planes, const Sweep &sweep)
      : dims(lowering.dims), k(k), planes(planes), s(sweep), output(outputDims(sweep.window)),
        kernel(kernelDims(sweep.window)) {
    auto taps = constantOf(dims.product(kernel)), row = constantOf(kernel.back());
    size_t looped = taps && *taps <= maxUnrolledTaps ? 0
                    : row && *row <= maxUnrolledRow  ? kernel.size() - 1
                                                     : kernel.size();
    outer.assign(kernel.begin(), kernel.begin() + looped);
    inner.assign(kernel.begin() + looped, kernel.end());
    if (looped)
      sums = k.threadScratch(blockLength * storageBytes(s.accumulator));
  }

  void write(ArrayRef<Value> unit) {
    this->unit = llvm::to_vector(unit);
    image = s.image(k, unit);
    if (!planes.readsInPlace() && planes.fitsScratch())
      planes.fillScratch(k, image);
    SmallVector<Tap> all;
    if (outer.empty())
      all = taps({});
    k.nest(ArrayRef(output).drop_back(), [&](ArrayRef<Value> at) {
      Value start = k.constant(0);
      for (size_t i = 0; i < at.size(); ++i)
        start = k.add(start, k.mul(at[i], k.dim(planes.step(i))));
      outer.empty() ? writeRow(at, start, all) : writeBlocks(at, start);
    });
  }

private:
  /// The inner taps at the outer ones given.
  SmallVector<Tap> taps(ArrayRef<Value> outerTap) {
    SmallVector<int64_t> lengths;
    int64_t count = 1;
    for (Dim dim : inner)
      lengths.push_back(*constantOf(dim)), count *= lengths.back();
    SmallVector<Tap> result;
    for (int64_t i = 0; i < count; ++i) {
      SmallVector<Value> tap(outerTap), own;
      for (int64_t rest = i, axis = int64_t(lengths.size()); axis-- > 0; rest /= lengths[axis])
        own.insert(own.begin(), k.constant(rest % lengths[axis]));
      llvm::append_range(tap, own);
      result.push_back({planes.offset(k, tap), s.weight ? s.weight(k, unit, k.linearize(tap, kernel)) : Value()});
    }
    return result;
  }

  Value combine(Value sum, Value start, Value o, ArrayRef<Tap> taps) {
    Value at = k.add(start, k.mul(o, k.dim(planes.step(output.size() - 1))));
    for (const Tap &tap : taps)
      sum = s.combine(k, sum, planes.load(k, image, k.add(at, tap.offset)), tap.weight);
    return sum;
  }

  void store(ArrayRef<Value> at, Value o, Value row, Value result) {
    SmallVector<Value> coordinates(unit);
    llvm::append_range(coordinates, at);
    coordinates.push_back(o);
    SmallVector<Dim> shape(s.units);
    llvm::append_range(shape, output);
    s.store(k, Index(shape, coordinates, k.add(row, o)), result);
  }

  /// The element number of the first output of a row.
  Value rowNumber(ArrayRef<Value> at) {
    SmallVector<Value> coordinates(unit);
    llvm::append_range(coordinates, at);
    SmallVector<Dim> shape(s.units);
    shape.append(output.begin(), std::prev(output.end()));
    return k.mul(k.linearize(coordinates, shape), k.dim(output.back()));
  }

  void writeRow(ArrayRef<Value> at, Value start, ArrayRef<Tap> taps) {
    Value row = rowNumber(at);
    k.loop(k.constant(0), k.dim(output.back()),
           [&](Value o) { store(at, o, row, combine(s.initial(k), start, o, taps)); });
  }

  void writeBlocks(ArrayRef<Value> at, Value start) {
    Value row = rowNumber(at), zero = k.constant(0), length = k.dim(output.back());
    k.loop(
        zero, length,
        [&](Value block) {
          Value count = k.min(k.constant(blockLength), k.sub(length, block));
          k.loop(zero, count, [&](Value i) { k.storeAt(sums, i, s.accumulator, s.initial(k)); });
          k.nest(outer, [&](ArrayRef<Value> tap) {
            SmallVector<Tap> own = taps(tap);
            k.loop(zero, count, [&](Value i) {
              Value sum = k.loadAt(sums, i, s.accumulator);
              k.storeAt(sums, i, s.accumulator, combine(sum, start, k.add(block, i), own));
            });
          });
          k.loop(zero, count, [&](Value i) { store(at, k.add(block, i), row, k.loadAt(sums, i, s.accumulator)); });
        },
        blockLength);
  }

  Dimensions &dims;
  Kernel &k;
  Planes &planes;
  const Sweep &s;
  SmallVector<Dim> output, kernel, outer, inner; // kernel = outer, looped over, and inner, unrolled
  SmallVector<Value> unit;
  Value image, sums;
};
} // namespace

/// Emits the sweep in vectors where it is one over float32 as it stands in memory.
static bool emitWideSweep(Lowering &lowering, StringRef name, const Planes &planes, const Sweep &sweep) {
  size_t rank = sweep.window.size();
  auto window = sweep.accumulator.isF32() ? planes.floatWindow() : std::nullopt;
  if (!window)
    return false;
  FloatSweep wide;
  Dimensions &dims = lowering.dims;
  wide.window = *window, wide.units = sweep.units;
  wide.work = dims.product(
      {dims.product(sweep.units), dims.product(outputDims(sweep.window)), dims.product(kernelDims(sweep.window))});
  wide.plane = [&](Kernel &k, ArrayRef<Value> unit) { return planes.address(k, sweep.image(k, unit)); };
  wide.initial = sweep.initial, wide.weight = sweep.weight, wide.combine = sweep.combine;
  SmallVector<Dim> shape(sweep.units);
  llvm::append_range(shape, outputDims(sweep.window));
  wide.store = [&, shape](Kernel &k, ArrayRef<Value> unit, Value y, Value x, Value result) {
    SmallVector<Value> at(unit);
    if (rank == 2)
      at.push_back(y);
    at.push_back(x);
    sweep.store(k, Index(shape, at), result);
  };
  return emitFloatSweep(lowering, name, wide);
}

/// A thread for each result, so that neighbours in a row are read and written side by side.
static void emitDeviceSweep(Lowering &lowering, StringRef name, const Planes &planes, const Sweep &sweep) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> shape(sweep.units), kernel = kernelDims(sweep.window);
  llvm::append_range(shape, outputDims(sweep.window));
  Dim taps = dims.product(kernel);
  planes.store();
  Kernel k(lowering, name, lowering.loc);
  SmallVector<Value> at = k.delinearize(k.lo(), shape);
  ArrayRef<Value> unit = ArrayRef(at).take_front(sweep.units.size()), position = ArrayRef(at).drop_front(unit.size());
  Value image = sweep.image(k, unit);
  Value result = k.loop(k.constant(0), k.dim(taps), sweep.initial(k), [&](Value tap, ValueRange so) {
    Value element = planes.direct(k, image, position, k.delinearize(tap, kernel));
    Value weight = sweep.weight ? sweep.weight(k, unit, tap) : Value();
    return SmallVector<Value>{sweep.combine(k, so[0], element, weight)};
  })[0];
  sweep.store(k, Index(shape, at, k.lo()), result);
  k.launch(dims.product(shape), dims.mul(dims.product(shape), taps));
}

void qcc::emitSweep(Lowering &lowering, StringRef name, Planes &planes, const Sweep &sweep) {
  if (lowering.facts.device)
    return emitDeviceSweep(lowering, name, planes, sweep);
  if (emitWideSweep(lowering, name, planes, sweep))
    return;
  if (!planes.readsInPlace() && !planes.fitsScratch())
    planes.fill();
  Dimensions &dims = lowering.dims;
  Dim units = dims.product(sweep.units);
  Kernel k(lowering, name, lowering.loc);
  SweepWriter writer(lowering, k, planes, sweep);
  k.loop(k.lo(), k.hi(), [&](Value unit) { writer.write(k.delinearize(unit, sweep.units)); });
  k.launch(units,
           dims.product({units, dims.product(outputDims(sweep.window)), dims.product(kernelDims(sweep.window))}));
}
