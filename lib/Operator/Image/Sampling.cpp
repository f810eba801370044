#include "Sampling.h"

using namespace mlir;
using namespace qcc;

std::optional<int64_t> qcc::stretchOf(Dimensions &dims, const ResizeAxis &axis) {
  std::optional<int64_t> stretch;
  if (auto exact = constantOf(dims.floorDiv(axis.out, axis.in)))
    stretch = *exact;
  else if (axis.scale && *axis.scale == std::floor(*axis.scale) && *axis.scale < 64)
    stretch = int64_t(*axis.scale);
  if (!stretch || *stretch < 1 || dims.mul(axis.in, dims.constant(*stretch)) != axis.out)
    return std::nullopt;
  if (axis.scale && *axis.scale != double(*stretch))
    return std::nullopt;
  return stretch;
}

static bool isHalfPixel(StringRef coordinates) {
  return coordinates == "half_pixel" || coordinates == "half_pixel_symmetric";
}

bool qcc::repeatsElements(const ResizeMode &mode, const ResizeAxis &axis) {
  // Half a pixel: x = stretch * q + r stands within half an element of q, never on the border between two.
  return (isHalfPixel(mode.coordinates) && mode.nearest.starts_with("round")) ||
         (mode.coordinates == "asymmetric" && mode.nearest == "floor");
}

bool qcc::isPeriodic(const ResizeMode &mode, const ResizeAxis &axis) {
  bool longEnough = constantOf(axis.out).value_or(0) > 1; // where pytorch_half_pixel is half_pixel
  return mode.kind == ResizeMode::Linear && !mode.excludeOutside &&
         (isHalfPixel(mode.coordinates) || mode.coordinates == "asymmetric" ||
          (mode.coordinates == "pytorch_half_pixel" && longEnough));
}

namespace {
/// Emits the arithmetic of one axis in f64, once per kernel.
class AxisWriter {
public:
  AxisWriter(Kernel &k, const ResizeMode &mode, const ResizeAxis &axis, const ResizeOperands &operands)
      : k(k), mode(mode), axis(axis), in(real(k.dim(axis.in))), out(real(k.dim(axis.out))),
        scale(scaleOf(operands.scales)), width(scale * in) {
    if (mode.coordinates != "tf_crop_and_resize" || !operands.roi)
      return;
    start = number(operands.roi, axis.position);
    end = number(operands.roi, operands.roiAxes + axis.position);
  }

  Real real(Value integer) { return {k.b, arith::SIToFPOp::create(k.b, k.b.getF64Type(), integer)}; }
  Real constant(double value) { return {k.b, numberConstant(k.b, k.b.getF64Type(), value)}; }

  /// Where result coordinate x stands in the operand.
  Real source(Real x) {
    StringRef how = mode.coordinates;
    Value isOne = width == 1;
    if (how == "align_corners")
      return select(isOne, constant(0), x * (in - 1) / select(isOne, constant(1), width - 1));
    if (how == "asymmetric")
      return x / scale;
    if (how == "tf_crop_and_resize") {
      Real span = (end - start) * (in - 1);
      return select(isOne, span / 2, x * span / select(isOne, constant(1), width - 1)) + start * (in - 1);
    }
    Real half = (x + 0.5) / scale - 0.5;
    if (how == "pytorch_half_pixel")
      return select(isOne, constant(0), half);
    if (how == "half_pixel_symmetric")
      return in / 2 * (constant(1) - out / width) + half;
    return half;
  }

  Value isOutside(Real x) { return arith::OrIOp::create(k.b, x<0, x> in - 1); }

  Real nearest(Real x) {
    StringRef how = mode.nearest;
    if (how == "floor")
      return floor(x);
    if (how == "ceil")
      return ceil(x);
    if (how == "simple") // Resize of operator set 10: down is floor, up is ceil
      return select(scale < 1, ceil(x), floor(x));
    return how == "round_prefer_ceil" ? floor(x + 0.5) : ceil(x - 0.5);
  }

  /// The first of an even number of elements around x, more of them before x than behind it when it stands on one.
  Real first(Real x, Real taps) { return ceil(x) - taps / 2; }

  /// The weight of the element at position p for a result at x, before weights are made to add up to 1.
  Real weight(Real p, Real x) {
    Real distance = abs(p - x);
    if (mode.antialias)
      distance = distance * select(scale < 1, scale, constant(1));
    if (mode.kind == ResizeMode::Linear) {
      Real w = constant(1) - distance;
      return mode.antialias ? select(w < 0, constant(0), w) : w;
    }
    // Keys' cubic convolution, equation (4) of the paper that ONNX names.
    double a = mode.cubic;
    Real d = distance, near = (d * (a + 2) - (a + 3)) * d * d + 1, far = ((d * a - 5 * a) * d + 8 * a) * d - 4 * a;
    return select(d > 1, select(d < 2, far, constant(0)), near);
  }

  Value isInside(Real p) { return k.both(p > -0.5, p < in - 0.5); }
  bool isNormalized() const { return mode.antialias || mode.excludeOutside; }

  /// An element number within the operand.
  Value element(Real p) {
    Real clamped = select(p > in - 1, in - 1, p);
    clamped = select(clamped > 0, clamped, constant(0)); // NaN too
    return arith::FPToSIOp::create(k.b, k.b.getI32Type(), clamped.value());
  }

private:
  static Real ceil(Real x) { return x.unary<math::CeilOp>(); }
  Real number(Value tensor, unsigned i) {
    Type element = cast<ShapedType>(tensor.getType()).getElementType();
    Value loaded = k.load(tensor, {k.constant(i)});
    return {k.b, castNumber(k.b, loaded, element, k.b.getF64Type())};
  }
  Real scaleOf(Value scales) {
    if (axis.scale)
      return constant(*axis.scale);
    if (axis.scaleOver)
      return real(k.dim(axis.scaleOver)) / real(k.dim(axis.scaleUnder));
    return number(scales, axis.position);
  }

  Kernel &k;
  const ResizeMode &mode;
  const ResizeAxis &axis;
  Real in, out, scale, width, start = 0.0, end = 1.0;
};
} // namespace

SamplingTable qcc::makeSamplingTable(Lowering &lowering, const ResizeMode &mode, const ResizeAxis &axis,
                                     const ResizeOperands &operands, Type weight) {
  Dimensions &d = lowering.dims;
  SamplingTable table;
  table.weight = weight;
  Dim entries = d.mul(axis.out, axis.taps);
  table.elements = lowering.allocate(d.mul(entries, d.constant(4)));
  if (mode.kind != ResizeMode::Nearest)
    table.weights = lowering.allocate(d.mul(entries, d.constant(storageBytes(weight))));
  if (mode.coordinates == "tf_crop_and_resize")
    table.outside = lowering.allocate(axis.out);
  Kernel k(lowering, "resize_table", lowering.loc);
  Type i32 = k.b.getI32Type(), i8 = k.b.getI8Type(), f64 = k.b.getF64Type();
  AxisWriter writer(k, mode, axis, operands);
  Value elements = k.argument(table.elements), weights = table.weights ? k.argument(table.weights) : Value();
  k.loop(k.lo(), k.hi(), [&](Value x) {
    Real at = writer.source(writer.real(x));
    if (table.outside)
      k.storeAt(k.argument(table.outside), x, i8, arith::ExtUIOp::create(k.b, i8, writer.isOutside(at)));
    if (mode.kind == ResizeMode::Nearest)
      return k.storeAt(elements, x, i32, writer.element(writer.nearest(at)));
    Real first = writer.first(at, writer.real(k.dim(axis.taps)));
    auto tap = [&](Value t) {
      Real p = first + writer.real(t), w = writer.weight(p, at);
      if (mode.excludeOutside)
        w = select(writer.isInside(p), w, writer.constant(0));
      return std::pair(p, w);
    };
    Value sum;
    if (writer.isNormalized())
      sum = k.loop(k.constant(0), k.dim(axis.taps), ValueRange(writer.constant(0).value()),
                   [&](Value t, ValueRange carried) {
                     return SmallVector<Value>{(Real(k.b, carried[0]) + tap(t).second).value()};
                   })[0];
    k.loop(k.constant(0), k.dim(axis.taps), [&](Value t) {
      auto [p, w] = tap(t);
      if (sum)
        w = w / select(Real(k.b, sum) == 0, writer.constant(1), Real(k.b, sum));
      Value entry = k.add(k.mul(t, k.dim(axis.out)), x);
      k.storeAt(elements, entry, i32, writer.element(p));
      k.storeAt(weights, entry, weight, castNumber(k.b, w.value(), f64, weight));
    });
  });
  k.launch(axis.out, d.mul(entries, d.constant(32)));
  return table;
}
