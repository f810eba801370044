// Samples of a tensor at points that are data.
#include "Register.h"
#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

namespace {
enum class Sampling { Nearest, Linear, Cubic };
} // namespace

static Sampling samplingOf(const Node &node) {
  StringRef mode = node.stringAttr("mode", "linear");
  return mode == "nearest" ? Sampling::Nearest : mode.ends_with("cubic") ? Sampling::Cubic : Sampling::Linear;
}

static LogicalResult inferGridSample(Infer &infer) {
  SmallVector<Dim> in = infer.dims(0), grid = infer.dims(1);
  StringRef mode = infer.stringAttr("mode", "linear"), padding = infer.stringAttr("padding_mode", "zeros");
  if (!llvm::is_contained({"nearest", "linear", "bilinear", "cubic", "bicubic"}, mode) ||
      !llvm::is_contained({"zeros", "border", "reflection"}, padding))
    return infer.error("has the unknown mode '" + mode + "' or padding '" + padding + "'");
  if (in.size() < 3 || grid.size() != in.size())
    return infer.error("has operands of the ranks " + Twine(in.size()) + " and " + Twine(grid.size()));
  if (!isFloat(infer.element(0)) || !isFloat(infer.element(1)))
    return infer.unsupported("its operands are not floating-point");
  Dimensions &d = infer.dim();
  infer.requireEqual(in[0], grid[0]);
  infer.requireEqual(grid.back(), d.constant(int64_t(in.size()) - 2));
  for (Dim length : ArrayRef<Dim>(in).drop_front(2))
    infer.requireEqual(d.max(length, d.constant(1)), length);
  SmallVector<Dim> result = {in[0], in[1]};
  result.append(grid.begin() + 1, grid.end() - 1);
  infer.result(0, result, infer.element(0));
  return success();
}

namespace {
/// The sampling of one spatial axis at one point.
class AxisSampler {
public:
  AxisSampler(Kernel &k, const Node &node, Dim length)
      : k(k), padding(node.stringAttr("padding_mode", "zeros")), alignCorners(node.intAttr("align_corners", 0) != 0),
        length(k.dim(length)) {}

  struct Tap {
    Value element; // within the axis
    Value inside;  // i1, null when it always is
    Value weight;  // null for 1
  };

  SmallVector<Tap> taps(Real normalized, Sampling sampling) {
    Type type = normalized.type();
    Real n = Real(k.b, arith::SIToFPOp::create(k.b, type, length));
    low = alignCorners ? Real(k.b, numberConstant(k.b, type, 0)) : Real(k.b, numberConstant(k.b, type, -0.5));
    high = alignCorners ? n - 1 : n - 0.5;
    Real x = alignCorners ? (normalized + 1) / 2 * (n - 1) : ((normalized + 1) * n - 1) / 2;
    if (sampling == Sampling::Nearest)
      x = x.unary<math::RoundEvenOp>();
    if (padding == "border")
      x = clamp(x, low - low, n - 1);
    else if (padding == "reflection")
      x = reflect(x);
    x = clamp(x, low - 4, high + 4); // far outside is outside; NaN too
    if (sampling == Sampling::Nearest)
      return {tap(x, {})};
    Real base = floor(x), t = x - base;
    if (sampling == Sampling::Linear)
      return {tap(base, Real(k.b, numberConstant(k.b, type, 1)) - t), tap(base + 1, t)};
    // Keys' cubic convolution with a = -0.75.
    constexpr double a = -0.75;
    auto far = [&](Real d) { return ((d * a - 5 * a) * d + 8 * a) * d - 4 * a; };
    auto near = [&](Real d) { return (d * (a + 2) - (a + 3)) * d * d + 1; };
    Real rest = Real(k.b, numberConstant(k.b, type, 1)) - t;
    return {tap(base - 1, far(t + 1)), tap(base, near(t)), tap(base + 1, near(rest)), tap(base + 2, far(rest + 1))};
  }

private:
  Real clamp(Real x, Real from, Real to) { return select(x > from, select(x < to, x, to), from); }

  /// Mirrors at the borders until x is between them.
  Real reflect(Real x) {
    Real range = high - low, zero = low - low;
    Real distance = select(x < low, low - x, select(x > high, x - high, zero));
    distance = select(distance < 1e18, distance, zero); // nothing sensible is as far away; NaN is not either
    Real safe = select(range > 0, range, low - low + 1);
    Real turns = floor(distance / safe), rest = distance - turns * safe;
    Value even = (turns - floor(turns / 2) * 2) == 0;
    Value below = x < low, outside = arith::OrIOp::create(k.b, below, x > high);
    Value fromLow = k.equal(even, below);
    Real mirrored = select(fromLow, low + rest, high - rest);
    return select(range > 0, select(outside, mirrored, x), low);
  }

  Tap tap(Real position, std::optional<Real> weight) {
    Tap result;
    Real p = position;
    if (padding == "reflection") {
      p = reflect(p);
      p = select(p < 0, p.unary<math::CeilOp>(), floor(p)); // towards zero
    }
    Value number = arith::FPToSIOp::create(k.b, k.b.getI64Type(), clamp(p, low - 8, high + 8).value());
    Value last = k.sub(length, k.constant(1));
    result.element = k.max(k.constant(0), k.min(number, last));
    if (padding == "zeros")
      result.inside = k.equal(result.element, number);
    if (weight)
      result.weight = weight->value();
    return result;
  }

  Kernel &k;
  StringRef padding;
  bool alignCorners;
  Value length;
  Real low = 0.0, high = 0.0;
};
} // namespace

static LogicalResult lowerGridSample(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Value source = node.input(0), grid = node.input(1);
  SmallVector<Dim> in = node.dims(0), points = node.dims(1), out = node.outputDims();
  Type element = node.element(0), compute = computeType(element);
  Sampling sampling = samplingOf(node);
  int64_t axes = int64_t(in.size()) - 2;
  lowering.storage(source), lowering.storage(grid);
  ArrayRef<Dim> spatial = ArrayRef<Dim>(in).drop_front(2);
  Dim positions = d.product(ArrayRef<Dim>(out).drop_front(2)), plane = d.product(spatial);
  Kernel k(lowering, "grid_sample", lowering.loc);
  Value image = k.pointer(source), base = k.pointer(node.output());
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, {in[0], positions});
    SmallVector<SmallVector<AxisSampler::Tap>> taps;
    for (int64_t axis = 0; axis < axes; ++axis) { // the grid has the last axis' coordinate first
      Value number = k.add(k.mul(unit, k.constant(axes)), k.constant(axes - 1 - axis));
      Value coordinate = castNumber(k.b, k.load(grid, Index(points, number)), node.element(1), compute);
      taps.push_back(AxisSampler(k, node, spatial[axis]).taps(Real(k.b, coordinate), sampling));
    }
    // Every combination of the axes' taps, computed once for all channels.
    struct Corner {
      Value offset, inside, weight;
    };
    SmallVector<Corner> corners = {{k.constant(0), {}, {}}};
    for (int64_t axis = 0; axis < axes; ++axis) {
      SmallVector<Corner> next;
      for (const Corner &corner : corners)
        for (const AxisSampler::Tap &tap : taps[axis]) {
          Corner c = corner;
          c.offset = k.add(k.mul(c.offset, k.dim(spatial[axis])), tap.element);
          c.inside = c.inside && tap.inside ? k.both(c.inside, tap.inside) : tap.inside;
          if (tap.weight)
            c.weight = c.weight ? (Real(k.b, c.weight) * Real(k.b, tap.weight)).value() : tap.weight;
          next.push_back(c);
        }
      corners = std::move(next);
    }
    Value zero = numberConstant(k.b, compute, 0);
    k.loop(k.constant(0), k.dim(in[1]), [&](Value channel) {
      Value row = k.add(k.mul(at[0], k.dim(in[1])), channel), first = k.mul(row, k.dim(plane));
      Value sum;
      for (const Corner &corner : corners) {
        Value value = k.loadAt(image, k.add(first, corner.offset), element);
        if (corner.inside)
          value = k.select(corner.inside, value, zero);
        if (corner.weight)
          value = (Real(k.b, value) * Real(k.b, corner.weight)).value();
        sum = sum ? (Real(k.b, sum) + Real(k.b, value)).value() : value;
      }
      k.storeAt(base, k.add(k.mul(row, k.dim(positions)), at[1]), element, sum);
    });
  });
  k.launch(d.mul(in[0], positions), d.mul(d.product(out), d.constant(int64_t(8) << axes)));
  return success();
}

void qcc::registerGridSample(OperatorRegistry &registry) {
  registry.add("", "GridSample", inferGridSample, lowerGridSample);
}
