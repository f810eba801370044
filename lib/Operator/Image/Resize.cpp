// Resize and Upsample: one axis after another is resampled, the last one into the result.
#include "Register.h"
#include "Sampling.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t chunk = 4096; // consecutive elements that a unit computes

static ResizeMode modeOf(const Node &node) {
  ResizeMode mode;
  StringRef name = node.stringAttr("mode", "nearest");
  mode.kind = name == "nearest" ? ResizeMode::Nearest : name == "cubic" ? ResizeMode::Cubic : ResizeMode::Linear;
  bool old = node.type() == "Upsample" || node.version() < 11;
  mode.coordinates = old ? "asymmetric" : node.stringAttr("coordinate_transformation_mode", "half_pixel");
  mode.nearest = old ? "simple" : node.stringAttr("nearest_mode", "round_prefer_floor");
  if (node.type() == "Upsample")
    mode.nearest = "floor";
  mode.antialias = node.intAttr("antialias", 0) && mode.kind != ResizeMode::Nearest;
  mode.excludeOutside = node.intAttr("exclude_outside", 0) && mode.kind != ResizeMode::Nearest;
  mode.cubic = node.floatAttr("cubic_coeff_a", -0.75);
  mode.extrapolation = node.floatAttr("extrapolation_value", 0);
  return mode;
}

/// The operand that holds the scales; the one behind it the sizes.
static unsigned scalesOperand(const Node &node) { return node.type() == "Upsample" || node.version() < 11 ? 1 : 2; }

static bool usesRoi(const Node &node) { return modeOf(node).coordinates == "tf_crop_and_resize" && node.has(1); }

// ---- Shapes

namespace {
class ResizeInference {
public:
  explicit ResizeInference(Infer &infer) : infer(infer), d(infer.dim()), mode(modeOf(infer)), in(infer.dims(0)) {}
  LogicalResult run();

private:
  LogicalResult checkMode();
  LogicalResult readAxes();
  LogicalResult fromSizes();
  LogicalResult fromScales();
  Dim scaled(Dim length, double scale);
  Dim tapsFor(Dim over, Dim under);
  bool hasList(unsigned i) {
    return infer.has(i) && !llvm::all_of(infer.dims(i), [](Dim n) { return constantOf(n) == 0; });
  }

  Infer &infer;
  Dimensions &d;
  ResizeMode mode;
  SmallVector<Dim> in, out, over, under, taps;
  SmallVector<int64_t> axes;
};
} // namespace

LogicalResult ResizeInference::checkMode() {
  StringRef name = infer.stringAttr("mode", "nearest");
  if (!llvm::is_contained({"nearest", "linear", "bilinear", "cubic"}, name))
    return infer.error("has the unknown mode '" + name + "'");
  if (!llvm::is_contained({"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                           "tf_crop_and_resize"},
                          mode.coordinates))
    return infer.unsupported("it transforms coordinates by '" + mode.coordinates + "'");
  if (!llvm::is_contained({"simple", "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}, mode.nearest))
    return infer.error("has the unknown nearest mode '" + mode.nearest + "'");
  return success();
}

LogicalResult ResizeInference::readAxes() {
  int64_t rank = int64_t(in.size());
  axes = infer.intsAttr("axes").value_or(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  for (int64_t &axis : axes) {
    auto normal = infer.axis(axis, rank);
    if (failed(normal))
      return failure();
    axis = *normal;
  }
  return success();
}

/// floor(length * scale), computed as ONNX's shape inference does where the length is known.
Dim ResizeInference::scaled(Dim length, double scale) {
  if (auto known = constantOf(length))
    return d.constant(int64_t(std::floor(float(*known) * float(scale))));
  int exponent = 0;
  int64_t digits = int64_t(std::ldexp(std::frexp(scale, &exponent), 24)); // scale = digits * 2^(exponent - 24)
  int64_t shift = 24 - exponent;
  while (shift > 0 && digits % 2 == 0)
    digits /= 2, --shift;
  Dim product = d.mul(length, d.constant(shift < 0 ? digits << -shift : digits));
  return shift > 0 ? d.floorDiv(product, d.constant(int64_t(1) << shift)) : product;
}

/// How many elements a result mixes when the scale is over / under: the filter is stretched where that is below 1.
Dim ResizeInference::tapsFor(Dim over, Dim under) {
  int64_t reach = mode.kind == ResizeMode::Nearest ? 0 : mode.kind == ResizeMode::Linear ? 1 : 2;
  if (!mode.antialias)
    return d.constant(reach ? 2 * reach : 1);
  Dim wide = d.mul(under, d.constant(reach));
  Dim elements = d.floorDiv(d.add(wide, d.sub(over, d.constant(1))), over);
  return d.mul(d.constant(2), d.max(d.constant(reach), elements));
}

LogicalResult ResizeInference::fromSizes() {
  auto sizes = infer.shapeOperand(scalesOperand(infer) + 1, "sizes", int64_t(axes.size()));
  if (failed(sizes))
    return failure();
  if (sizes->size() != axes.size())
    return infer.error("has " + Twine(sizes->size()) + " sizes for " + Twine(axes.size()) + " axes");
  for (Dim &size : *sizes) {
    if (constantOf(size).value_or(0) < 0)
      return infer.error("has the size " + Twine(*constantOf(size)));
    size = d.isRuntime(size) ? d.max(size, d.constant(0)) : size;
  }
  StringRef policy = infer.stringAttr("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch") {
    for (auto [axis, size] : llvm::zip(axes, *sizes)) {
      out[axis] = size;
      over.push_back(size), under.push_back(in[axis]);
    }
    return success();
  }
  // One scale, size / length of the axis where that is the smallest or largest.
  Dim bestSize = sizes->front(), bestLength = in[axes.front()];
  for (auto [axis, size] : llvm::drop_begin(llvm::zip(axes, *sizes))) {
    Dim difference = d.sub(d.mul(size, bestLength), d.mul(bestSize, in[axis]));
    bool smallest = policy == "not_larger";
    Dim nextSize = smallest ? d.ifNegative(difference, size, bestSize) : d.ifNegative(difference, bestSize, size);
    bestLength =
        smallest ? d.ifNegative(difference, in[axis], bestLength) : d.ifNegative(difference, bestLength, in[axis]);
    bestSize = nextSize;
  }
  Dim two = d.constant(2);
  for (int64_t axis : axes) { // to the nearest length, half of one up
    out[axis] = d.floorDiv(d.add(d.mul(two, d.mul(bestSize, in[axis])), bestLength), d.mul(two, bestLength));
    over.push_back(bestSize), under.push_back(bestLength);
  }
  return success();
}

LogicalResult ResizeInference::fromScales() {
  unsigned operand = scalesOperand(infer);
  std::optional<SmallVector<double>> scales;
  if (infer.type() == "Upsample" && infer.version() < 9)
    scales = infer.floatsAttr("scales");
  else if (auto constant = infer.has(operand) ? infer.constant(operand) : std::nullopt)
    scales = constant->numbers();
  else if (!infer.has(operand))
    return infer.error("has neither scales nor sizes");
  if (scales && scales->size() != axes.size())
    return infer.error("has " + Twine(scales->size()) + " scales for " + Twine(axes.size()) + " axes");
  if (!scales) {
    infer.requireEqual(infer.dims(operand)[0], d.constant(int64_t(axes.size())));
    for (int64_t axis : axes)
      out[axis] = infer.counted("resized");
    for (size_t i = 0; i < axes.size(); ++i)
      taps.push_back(mode.antialias ? infer.counted("taps") : tapsFor(d.constant(1), d.constant(1)));
    return success();
  }
  for (auto [axis, scale] : llvm::zip(axes, *scales)) {
    if (!(scale > 0 && scale < 1 << 20))
      return infer.error("has a scale that is not positive");
    if (usesRoi(infer)) {
      auto roi = infer.constant(1);
      auto numbers = roi ? roi->numbers() : std::nullopt;
      if (!numbers || numbers->size() != 2 * axes.size())
        return infer.unsupported("its region of interest is no constant where scales decide the size: give it sizes");
    }
    out[axis] = scaled(in[axis], scale);
    int64_t reach = mode.kind == ResizeMode::Linear ? 1 : 2;
    taps.push_back(mode.antialias ? d.constant(2 * std::max(reach, int64_t(std::ceil(double(reach) / scale))))
                                  : tapsFor(d.constant(1), d.constant(1)));
  }
  return success();
}

LogicalResult ResizeInference::run() {
  for (unsigned i = 1; i < infer.inputs(); ++i)
    if (infer.has(i) && infer.rank(i) != 1)
      return infer.error("has an operand " + Twine(i) + " that is no list");
  if (failed(checkMode()) || failed(readAxes()))
    return failure();
  out = in;
  bool bySizes = infer.type() == "Resize" && hasList(scalesOperand(infer) + 1);
  if (failed(bySizes ? fromSizes() : fromScales()))
    return failure();
  if (bySizes)
    for (auto [a, b] : llvm::zip(over, under))
      taps.push_back(tapsFor(a, b));
  if (usesRoi(infer))
    infer.requireEqual(infer.dims(1)[0], d.constant(2 * int64_t(axes.size())));
  for (int64_t axis : axes) // something to take results from; scales make nothing of nothing
    if (bySizes && out[axis] != in[axis])
      infer.requireEqual(d.max(in[axis], d.min(out[axis], d.constant(1))), in[axis]);
  infer.resolve("axes", llvm::map_to_vector(axes, [&](int64_t axis) { return d.constant(axis); }));
  infer.resolve("over", over), infer.resolve("under", under), infer.resolve("taps", taps);
  infer.result(0, out, infer.element(0));
  return success();
}

static LogicalResult inferResize(Infer &infer) { return ResizeInference(infer).run(); }

// ---- Lowering

namespace {
class ResizeWriter {
public:
  ResizeWriter(const Node &node, Lowering &lowering);
  void write();

private:
  void countLengths();
  void readAxes();
  void copyNearest();
  void mixRows(const ResizeAxis &axis, const SamplingTable &table, Value from, Type fromElement, Value to,
               Type toElement, Dim rows, Dim run);
  void mixColumns(const ResizeAxis &axis, const SamplingTable &table, Value from, Type fromElement, Value to,
                  Type toElement, Dim rows);
  void finish(Kernel &k, Value base, Value at, Type element, Value sum);

  const Node &node;
  Lowering &lowering;
  Dimensions &d;
  ResizeMode mode;
  Type element, mixed; // of the tensor; in which elements are mixed
  SmallVector<Dim> in, out;
  SmallVector<ResizeAxis> axes;
  ResizeOperands operands;
};
} // namespace

ResizeWriter::ResizeWriter(const Node &node, Lowering &lowering)
    : node(node), lowering(lowering), d(lowering.dims), mode(modeOf(node)), element(node.element(0)), in(node.dims(0)),
      out(node.outputDims()) {
  bool isWide = element.getIntOrFloatBitWidth() > 32 || (element.isInteger() && element.getIntOrFloatBitWidth() > 16);
  Builder b(element.getContext());
  mixed = isWide ? b.getF64Type() : b.getF32Type();
}

void ResizeWriter::readAxes() {
  auto given = *node.resolved("axes"), taps = *node.resolved("taps");
  auto over = node.resolved("over").value_or(SmallVector<Dim>()),
       under = node.resolved("under").value_or(SmallVector<Dim>());
  std::optional<SmallVector<double>> scales = node.floatsAttr("scales");
  unsigned operand = scalesOperand(node);
  if (auto constant = node.constant(operand); constant && over.empty())
    scales = constant->numbers();
  operands.roi = usesRoi(node) ? node.input(1) : Value();
  operands.roiAxes = unsigned(given.size());
  if (!scales && over.empty())
    operands.scales = node.input(operand);
  for (auto [i, number] : llvm::enumerate(given)) {
    ResizeAxis axis;
    axis.axis = unsigned(*constantOf(number)), axis.position = unsigned(i);
    axis.in = in[axis.axis], axis.out = out[axis.axis], axis.taps = taps[i];
    if (!over.empty())
      axis.scaleOver = over[i], axis.scaleUnder = under[i];
    else if (scales)
      axis.scale = (*scales)[i];
    bool same =
        axis.in == axis.out && (axis.scale ? *axis.scale == 1 : axis.scaleOver && axis.scaleOver == axis.scaleUnder);
    if (!same || operands.roi)
      axes.push_back(axis);
  }
}

/// Makes the lengths of the result, and of antialiasing filters, known where the scales are data.
void ResizeWriter::countLengths() {
  auto counts = node.resolved("counts");
  if (!counts)
    return;
  auto given = *node.resolved("axes");
  Value numbers = lowering.allocate(d.constant(8 * int64_t(counts->size())));
  Kernel k(lowering, "resize_lengths", lowering.loc);
  Value scales = node.input(scalesOperand(node)), base = k.argument(numbers);
  Type f64 = k.b.getF64Type(), f32 = k.b.getF32Type(), i64 = k.b.getI64Type();
  for (auto [i, axis] : llvm::enumerate(given)) {
    Value scale = castNumber(k.b, k.load(scales, {k.constant(int64_t(i))}), node.element(scalesOperand(node)), f32);
    Value length = castNumber(k.b, k.dim(in[*constantOf(axis)]), i64, f32);
    Real product = floor(Real(k.b, length) * Real(k.b, scale));
    Value good = k.both(Real(k.b, scale) > 0, product < 0x1p40);
    k.check(good);
    Value result =
        k.select(good, castNumber(k.b, select(good, product, Real(k.b, numberConstant(k.b, f32, 0))).value(), f32, i64),
                 k.constant(0));
    k.storeAt(base, k.constant(int64_t(i)), i64, result);
    if (!mode.antialias)
      continue;
    Real wide(k.b, castNumber(k.b, scale, f32, f64));
    double reach = mode.kind == ResizeMode::Linear ? 1 : 2;
    Real elements =
        (Real(k.b, numberConstant(k.b, f64, reach)) / select(good, wide, Real(k.b, numberConstant(k.b, f64, 1))))
            .unary<math::CeilOp>();
    Value taps = k.min(castNumber(k.b, elements.value(), f64, i64), k.constant(1 << 20));
    k.storeAt(base, k.constant(int64_t(given.size() + i)), i64,
              k.mul(k.constant(2), k.max(taps, k.constant(int64_t(reach)))));
  }
  k.launch(d.constant(1), d.constant(1));
  for (auto [i, symbol] : llvm::enumerate(*counts))
    lowering.define(symbol, lowering.read(numbers, lowering.host.getI64Type(), int64_t(i)));
}

/// Every result is one element: rows are found by their axes' tables, and taken apart along the last one.
void ResizeWriter::copyNearest() {
  SmallVector<SamplingTable> tables(out.size());
  std::optional<int64_t> stretch; // of the last axis, where it repeats elements
  for (const ResizeAxis &axis : axes) {
    bool isLast = axis.axis == out.size() - 1;
    if (isLast && repeatsElements(mode, axis))
      stretch = stretchOf(d, axis);
    if (!isLast || !stretch)
      tables[axis.axis] = makeSamplingTable(lowering, mode, axis, operands, mixed);
  }
  Value source = node.input(0);
  lowering.storage(source);
  ArrayRef<Dim> outer = ArrayRef<Dim>(out).drop_back();
  Kernel k(lowering, "resize_nearest", lowering.loc);
  Value base = k.pointer(node.output());
  auto lookUp = [&](unsigned axis, Value x) {
    if (!tables[axis].elements)
      return x;
    Value found = k.loadAt(k.argument(tables[axis].elements), x, k.b.getI32Type());
    return Value(arith::ExtSIOp::create(k.b, k.b.getI64Type(), found));
  };
  auto isOutside = [&](unsigned axis, Value x, Value before) {
    if (!tables[axis].outside)
      return before;
    Value mark = k.loadAt(k.argument(tables[axis].outside), x, k.b.getI1Type());
    return before ? Value(arith::OrIOp::create(k.b, before, mark)) : mark;
  };
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, outer);
    Value outside, width = k.dim(out.back()), to = k.mul(unit, width);
    for (size_t i = 0; i < outer.size(); ++i) {
      outside = isOutside(unsigned(i), at[i], outside);
      at[i] = lookUp(unsigned(i), at[i]);
    }
    at.push_back(k.constant(0));
    Value from = k.linearize(at, in);
    unsigned last = unsigned(out.size()) - 1;
    if (stretch)
      return k.loop(k.constant(0), k.dim(in.back()), [&](Value x) {
        for (int64_t r = 0; r < *stretch; ++r)
          k.move(source, Index(in, k.add(from, x)), base,
                 k.add(to, k.add(k.mul(x, k.constant(*stretch)), k.constant(r))));
      });
    k.loop(k.constant(0), width, [&](Value x) {
      Index element(in, k.add(from, lookUp(last, x)));
      if (!outside && !tables[last].outside)
        return k.move(source, element, base, k.add(to, x));
      Value value = k.load(source, element), fill = numberConstant(k.b, this->element, mode.extrapolation);
      k.storeAt(base, k.add(to, x), this->element, k.select(isOutside(last, x, outside), fill, value));
    });
  });
  k.launch(d.product(outer), d.product(out));
}

/// Stores a mixed value as an element: integers are rounded and clamped.
void ResizeWriter::finish(Kernel &k, Value base, Value at, Type to, Value sum) {
  if (to != mixed && !isFloat(to)) {
    Type wide = k.b.getF64Type();
    Real value = Real(k.b, castNumber(k.b, sum, mixed, wide)).unary<math::RoundEvenOp>();
    auto bound = [&](Value limit) { return Real(k.b, castNumber(k.b, limit, to, wide)); };
    Real low = bound(lowestNumber(k.b, to)), high = bound(highestNumber(k.b, to));
    value = select(value < low, low, select(value > high, high, value));
    return k.storeAt(base, at, to, castNumber(k.b, value.value(), wide, to));
  }
  k.storeAt(base, at, to, castNumber(k.b, sum, mixed, to));
}

/// Mixes whole runs of elements behind the axis.
void ResizeWriter::mixRows(const ResizeAxis &axis, const SamplingTable &table, Value from, Type fromElement, Value to,
                           Type toElement, Dim rows, Dim run) {
  Dim chunks = d.ceilDiv(run, chunk);
  Kernel k(lowering, "resize_rows", lowering.loc);
  Value source = k.argument(from), target = k.argument(to), elements = k.argument(table.elements);
  Value weights = k.argument(table.weights), length = k.dim(run);
  auto taps = constantOf(axis.taps);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, {rows, axis.out, chunks});
    Value begin = k.mul(at[2], k.constant(chunk)), end = k.min(k.add(begin, k.constant(chunk)), length);
    Value start = k.mul(k.add(k.mul(at[0], k.dim(axis.out)), at[1]), length);
    auto tap = [&](Value t) { // weight, and the first element of the run
      Value entry = k.add(k.mul(t, k.dim(axis.out)), at[1]);
      Value row = arith::ExtSIOp::create(k.b, k.b.getI64Type(), k.loadAt(elements, entry, k.b.getI32Type()));
      return std::pair(k.loadAt(weights, entry, mixed), k.mul(k.add(k.mul(at[0], k.dim(axis.in)), row), length));
    };
    auto product = [&](std::pair<Value, Value> t, Value i) {
      Value value = castNumber(k.b, k.loadAt(source, k.add(t.second, i), fromElement), fromElement, mixed);
      return Real(k.b, value) * Real(k.b, t.first);
    };
    Value outside = table.outside ? k.loadAt(k.argument(table.outside), at[1], k.b.getI1Type()) : Value();
    auto done = [&](Real sum) {
      return outside ? select(outside, Real(k.b, numberConstant(k.b, mixed, mode.extrapolation)), sum) : sum;
    };
    if (taps && *taps <= 8) {
      SmallVector<std::pair<Value, Value>> all;
      for (int64_t t = 0; t < *taps; ++t)
        all.push_back(tap(k.constant(t)));
      return k.loop(begin, end, [&](Value i) {
        Real sum = product(all[0], i);
        for (size_t t = 1; t < all.size(); ++t)
          sum = sum + product(all[t], i);
        finish(k, target, k.add(start, i), toElement, done(sum).value());
      });
    }
    k.loop(begin, end, [&](Value i) {
      Value sum = k.loop(k.constant(0), k.dim(axis.taps), ValueRange(numberConstant(k.b, mixed, 0)),
                         [&](Value t, ValueRange carried) {
                           return SmallVector<Value>{(Real(k.b, carried[0]) + product(tap(t), i)).value()};
                         })[0];
      finish(k, target, k.add(start, i), toElement, done(Real(k.b, sum)).value());
    });
  });
  k.launch(d.product({rows, axis.out, chunks}), d.product({rows, axis.out, run, axis.taps}));
}

/// Mixes single elements of each row, along the last axis.
void ResizeWriter::mixColumns(const ResizeAxis &axis, const SamplingTable &table, Value from, Type fromElement,
                              Value to, Type toElement, Dim rows) {
  Kernel k(lowering, "resize_columns", lowering.loc);
  Value source = k.argument(from), target = k.argument(to), elements = k.argument(table.elements);
  Value weights = k.argument(table.weights), zero = k.constant(0), width = k.dim(axis.out);
  auto load = [&](Value at) {
    return Real(k.b, castNumber(k.b, k.loadAt(source, at, fromElement), fromElement, mixed));
  };
  auto stretch = isPeriodic(mode, axis) ? stretchOf(d, axis) : std::nullopt;
  k.loop(k.lo(), k.hi(), [&](Value row) {
    Value first = k.mul(row, k.dim(axis.in)), start = k.mul(row, width);
    auto product = [&](Value t, Value x) {
      Value entry = k.add(k.mul(t, width), x);
      Value at = arith::ExtSIOp::create(k.b, k.b.getI64Type(), k.loadAt(elements, entry, k.b.getI32Type()));
      return Real(k.b, k.loadAt(weights, entry, mixed)) * load(k.add(first, at));
    };
    auto mix = [&](Value x) {
      auto taps = constantOf(axis.taps);
      Value sum;
      if (taps && *taps <= 8) {
        Real all = product(zero, x);
        for (int64_t t = 1; t < *taps; ++t)
          all = all + product(k.constant(t), x);
        sum = all.value();
      } else {
        sum =
            k.loop(zero, k.dim(axis.taps), ValueRange(numberConstant(k.b, mixed, 0)), [&](Value t, ValueRange carried) {
              return SmallVector<Value>{(Real(k.b, carried[0]) + product(t, x)).value()};
            })[0];
      }
      if (table.outside)
        sum = k.select(k.loadAt(k.argument(table.outside), x, k.b.getI1Type()),
                       numberConstant(k.b, mixed, mode.extrapolation), sum);
      finish(k, target, k.add(start, x), toElement, sum);
    };
    if (!stretch)
      return k.loop(zero, width, mix);
    // Between the borders the weights repeat, and neighbours are read in order.
    Value s = k.constant(*stretch), last = k.sub(k.dim(axis.in), k.constant(1));
    k.loop(zero, k.min(s, width), mix);
    k.loop(k.constant(1), last, [&](Value q) {
      Real left = load(k.add(first, k.sub(q, k.constant(1)))), middle = load(k.add(first, q)),
           right = load(k.add(first, k.add(q, k.constant(1))));
      for (int64_t r = 0; r < *stretch; ++r) {
        double shift = mode.coordinates == "asymmetric" ? double(r) / double(*stretch)
                                                        : (double(r) + 0.5) / double(*stretch) - 0.5;
        Real sum = shift < 0 ? left * -shift + middle * (1 + shift) : middle * (1 - shift) + right * shift;
        finish(k, target, k.add(start, k.add(k.mul(q, s), k.constant(r))), toElement, sum.value());
      }
    });
    k.loop(k.max(k.sub(width, s), k.min(s, width)), width, mix);
  });
  k.launch(rows, d.product({rows, axis.out, axis.taps, d.constant(2)}));
}

void ResizeWriter::write() {
  countLengths();
  readAxes();
  Value source = node.input(0), result = node.output();
  if (axes.empty())
    return lowering.alias(result, source);
  if (mode.kind == ResizeMode::Nearest)
    return copyNearest();
  SmallVector<Dim> shape = in;
  Value from = lowering.storage(source);
  Type fromElement = element;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    shape[axis.axis] = axis.out;
    bool isLast = i + 1 == axes.size();
    Type toElement = isLast ? element : mixed;
    Value to =
        isLast ? lowering.storage(result) : lowering.allocate(d.mul(d.product(shape), d.constant(storageBytes(mixed))));
    ArrayRef<Dim> all(shape);
    Dim rows = d.product(all.take_front(axis.axis)), run = d.product(all.drop_front(axis.axis + 1));
    SamplingTable table = makeSamplingTable(lowering, mode, axis, operands, mixed);
    if (constantOf(run) == 1)
      mixColumns(axis, table, from, fromElement, to, toElement, rows);
    else
      mixRows(axis, table, from, fromElement, to, toElement, rows, run);
    from = to, fromElement = toElement;
  }
}

static LogicalResult lowerResize(const Node &node, Lowering &lowering) {
  ResizeWriter(node, lowering).write();
  return success();
}

void qcc::registerResize(OperatorRegistry &registry) {
  registry.add("", "Resize", inferResize, lowerResize);
  registry.add("", "Upsample", inferResize, lowerResize);
}
