#include "Planes.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxScratchBytes = 1 << 17; // half of a usual second-level cache

Planes::Planes(Lowering &lowering, Value tensor, const Window &window, Type type, bool inPlace)
    : lowering(lowering), dims(lowering.dims), tensor(tensor), window(window), type(type), inPlace(inPlace),
      shape(dimsOf(tensor.getType())) {
  Type element = cast<ShapedType>(tensor.getType()).getElementType();
  read = [=](Kernel &k, Value value) { return castNumber(k.b, value, element, type); };
  outside = [=](Kernel &k) { return numberConstant(k.b, type, 0); };
  for (const WindowAxis &axis : window) {
    // Taps of a kernel that is no longer than a stride reach only the first phases.
    auto kernel = constantOf(axis.kernel);
    int64_t count = kernel && axis.dilation == 1 ? std::min(*kernel, axis.stride) : axis.stride;
    phases.push_back(dims.constant(count));
    Dim reach = dims.mul(dims.sub(axis.kernel, dims.constant(1)), dims.constant(axis.dilation));
    positions.push_back(dims.add(axis.output, dims.floorDiv(reach, dims.constant(axis.stride))));
  }
}

Dim Planes::size() const {
  return inPlace ? dims.product(ArrayRef(shape).drop_front(2))
                 : dims.mul(dims.product(phases), dims.product(positions));
}

Dim Planes::step(unsigned axis) const {
  if (inPlace)
    return dims.mul(dims.product(ArrayRef(shape).drop_front(axis + 3)), dims.constant(window[axis].stride));
  return dims.product(ArrayRef(positions).drop_front(axis + 1));
}

Dim Planes::span() const {
  Dim result = dims.constant(1);
  for (size_t i = 0; i < window.size(); ++i)
    result = dims.add(result, dims.mul(dims.sub(window[i].output, dims.constant(1)), step(i)));
  return result;
}

bool Planes::isContiguous() const { return constantOf(step(window.size() - 1)) == 1; }

Value Planes::offset(Kernel &k, ArrayRef<Value> tap) const {
  Value phase = k.constant(0), at = k.constant(0);
  for (size_t i = 0; i < window.size(); ++i) {
    Value position = k.mul(tap[i], k.constant(window[i].dilation));
    if (inPlace) {
      at = k.add(at, k.mul(position, k.dim(dims.product(ArrayRef(shape).drop_front(i + 3)))));
      continue;
    }
    Value stride = k.constant(window[i].stride);
    at = k.add(at, k.mul(k.div(position, stride), k.dim(step(i))));
    phase = k.add(k.mul(phase, k.dim(phases[i])), k.rem(position, stride));
  }
  return inPlace ? at : k.add(at, k.mul(phase, k.dim(dims.product(positions))));
}

/// The rows of one plane of the copy: phases, and positions without the last axis.
SmallVector<Dim> Planes::rowSpace() const {
  SmallVector<Dim> space(phases);
  space.append(positions.begin(), std::prev(positions.end()));
  return space;
}

void Planes::copyRow(Kernel &k, Value image, ArrayRef<Value> row, Value base, Value start) const {
  size_t last = window.size() - 1;
  Value zero = k.constant(0), length = k.dim(positions[last]), inside, line = image;
  SmallVector<Value> from; // the input position of the row's first element, on each axis
  for (size_t i = 0; i < window.size(); ++i) {
    Value position = k.sub(row[i], k.dim(window[i].before));
    if (i < last)
      position = k.add(position, k.mul(row[window.size() + i], k.constant(window[i].stride)));
    from.push_back(position);
    line = k.add(k.mul(line, k.dim(window[i].input)), i < last ? position : zero);
    if (i == last)
      break;
    Value above = k.less(position, k.dim(window[i].input)), below = k.less(position, zero);
    Value here = k.select(below, arith::ConstantOp::create(k.b, k.b.getBoolAttr(false)), above);
    inside = inside ? k.select(inside, here, inside) : here;
  }
  // Elements [first, end) of the row are in the input.
  int64_t stride = window[last].stride;
  auto ceilDiv = [&](Value value) {
    return k.div(k.max(k.add(value, k.constant(stride - 1)), zero), k.constant(stride));
  };
  Value first = k.min(ceilDiv(k.sub(zero, from[last])), length);
  Value end = k.max(k.min(ceilDiv(k.sub(k.dim(window[last].input), from[last])), length), first);
  if (inside) {
    first = k.select(inside, first, length);
    end = k.select(inside, end, length);
  }
  SmallVector<Value> source = {k.div(image, k.dim(shape[1])), k.rem(image, k.dim(shape[1]))};
  llvm::append_range(source, from);
  Value padding = outside(k);
  k.loop(zero, first, [&](Value i) { k.storeAt(base, k.add(start, i), type, padding); });
  k.loop(first, end, [&](Value i) {
    source.back() = k.add(from[last], k.mul(i, k.constant(stride)));
    k.storeAt(base, k.add(start, i), type, read(k, k.load(tensor, Index(shape, source, k.add(line, source.back())))));
  });
  k.loop(end, length, [&](Value i) { k.storeAt(base, k.add(start, i), type, padding); });
}

void Planes::fill() {
  SmallVector<Dim> images = {shape[0], shape[1]}, rows = rowSpace();
  Dim total = dims.mul(dims.product(images), size());
  storage = lowering.allocate(dims.mul(total, dims.constant(storageBytes(type))));
  // A unit is an image's rows that share phases and the position on the first axis.
  size_t split = std::min(rows.size(), window.size() + 1);
  SmallVector<Dim> space = {dims.product(images)};
  space.append(rows.begin(), rows.begin() + split);
  Kernel k(lowering, "pad", lowering.loc);
  Value base = k.argument(storage);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> outer = k.delinearize(unit, space);
    k.nest(ArrayRef(rows).drop_front(split), [&](ArrayRef<Value> inner) {
      SmallVector<Value> row(ArrayRef(outer).drop_front());
      llvm::append_range(row, inner);
      Value number = k.add(k.mul(outer[0], k.dim(dims.product(rows))), k.linearize(row, rows));
      copyRow(k, outer[0], row, base, k.mul(number, k.dim(positions.back())));
    });
  });
  k.launch(dims.product(space), total);
}

bool Planes::fitsScratch() const {
  auto elements = constantOf(size());
  return elements && *elements * storageBytes(type) <= maxScratchBytes;
}

void Planes::fillScratch(Kernel &k, Value image) {
  if (!scratch)
    scratch = k.threadScratch(*constantOf(size()) * storageBytes(type));
  SmallVector<Dim> rows = rowSpace();
  k.nest(rows, [&](ArrayRef<Value> row) {
    copyRow(k, image, row, scratch, k.mul(k.linearize(row, rows), k.dim(positions.back())));
  });
}

std::optional<FloatWindow> Planes::floatWindow() const {
  Type element = cast<ShapedType>(tensor.getType()).getElementType();
  if (window.size() > 2 || !type.isF32() || !element.isF32() || lowering.isFused(tensor))
    return std::nullopt;
  auto across = knownAxis(window.back());
  auto down = window.size() == 2 ? knownAxis(window.front()) : KnownAxis();
  Kernel probe(lowering, "probe", lowering.loc);
  Value some = probe.constantF32(0);
  if (!across || !down || read(probe, some) != some)
    return std::nullopt;
  return FloatWindow{*down, *across, outside};
}

Value Planes::address(Kernel &k, Value image) const {
  Value first = k.mul(image, k.dim(dims.product(ArrayRef(shape).drop_front(2))));
  return LLVM::GEPOp::create(k.b, k.pointer(tensor).getType(), type, k.pointer(tensor), ArrayRef<LLVM::GEPArg>{first},
                             LLVM::GEPNoWrapFlags::inbounds);
}

Value Planes::load(Kernel &k, Value image, Value at) const {
  if (scratch)
    return k.loadAt(scratch, at, type);
  Value number = k.add(k.mul(image, k.dim(size())), at);
  return inPlace ? read(k, k.load(tensor, Index(shape, number))) : k.loadAt(k.argument(storage), number, type);
}

Value Planes::direct(Kernel &k, Value image, ArrayRef<Value> at, ArrayRef<Value> tap) const {
  Value number = image, inside;
  for (auto [i, axis] : llvm::enumerate(window)) {
    Value length = k.dim(axis.input);
    Value position = k.add(k.mul(at[i], k.constant(axis.stride)), k.mul(tap[i], k.constant(axis.dilation)));
    position = k.sub(position, k.dim(axis.before));
    if (!inPlace) { // a negative position is a large unsigned one
      Value here = arith::CmpIOp::create(k.b, arith::CmpIPredicate::ult, position, length);
      inside = inside ? k.both(inside, here) : here;
      position = k.select(here, position, k.constant(0));
    }
    number = k.add(k.mul(number, length), position);
  }
  Value element = read(k, k.load(tensor, Index(shape, number)));
  return inside ? k.select(inside, element, outside(k)) : element;
}
