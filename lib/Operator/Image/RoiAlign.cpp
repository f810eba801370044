// Regions of feature maps, pooled to one size.
#include "Register.h"
#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferRoiAlign(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> in = infer.dims(0), rois = infer.dims(1);
  StringRef mode = infer.stringAttr("mode", "avg");
  if (in.size() != 4 || rois.size() != 2 || infer.rank(2) != 1 || !isFloat(infer.element(0)) ||
      !isa<IntegerType>(infer.element(2)))
    return infer.error("has operands of other ranks or types than (N, C, H, W), (regions, 4), (regions)");
  if (mode != "avg" && mode != "max")
    return infer.error("has the unknown mode '" + mode + "'");
  int64_t height = infer.intAttr("output_height", 1), width = infer.intAttr("output_width", 1);
  if (height < 1 || width < 1 || infer.intAttr("sampling_ratio", 0) < 0)
    return infer.error("has an output size or a sampling ratio that is not positive");
  infer.requireEqual(rois[1], d.constant(4));
  infer.requireEqual(rois[0], infer.dims(2)[0]);
  for (Dim length : {in[2], in[3]})
    infer.requireEqual(d.max(length, d.constant(1)), length);
  infer.result(0, {rois[0], in[1], d.constant(height), d.constant(width)}, infer.element(0));
  return success();
}

namespace {
/// One axis of one region: where it starts, how long each of its bins is, and how many samples a bin has.
struct RegionAxis {
  Kernel &k;
  Real start = 0.0, bin = 0.0;
  Value samples;
  Dim length;

  RegionAxis(Kernel &k, const Node &node, Value region, int64_t first, int64_t bins, Dim length)
      : k(k), length(length) {
    bool half = node.stringAttr("coordinate_transformation_mode",
                                node.version() < 16 ? "output_half_pixel" : "half_pixel") == "half_pixel";
    Type type = computeType(node.element(0));
    auto corner = [&](int64_t i) {
      Real value(k.b, castNumber(k.b, k.load(node.input(1), {region, k.constant(i)}), node.element(1), type));
      return value * node.floatAttr("spatial_scale", 1) - (half ? 0.5 : 0.0);
    };
    start = corner(first);
    Real size = corner(first + 2) - start;
    if (!half)
      size = select(size > 1, size, Real(k.b, numberConstant(k.b, type, 1)));
    bin = size / double(bins);
    int64_t ratio = node.intAttr("sampling_ratio", 0);
    if (ratio > 0) {
      samples = k.constant(ratio);
      return;
    }
    Real wanted = bin.unary<math::CeilOp>();
    wanted = select(wanted > 0, select(wanted < 0x1p12, wanted, Real(k.b, numberConstant(k.b, type, 0x1p12))),
                    Real(k.b, numberConstant(k.b, type, 0)));
    samples = arith::FPToSIOp::create(k.b, k.b.getI64Type(), wanted.value());
  }

  struct Sample {
    Value low, high; // elements
    Real weight;     // of the high one
    Value inside;    // i1
  };
  Sample sample(Value position, Value i) {
    Type type = start.type();
    auto real = [&](Value v) { return Real(k.b, arith::SIToFPOp::create(k.b, type, v)); };
    Real x = start + real(position) * bin + (real(i) + 0.5) * bin / real(samples), n = real(k.dim(length));
    Value inside = k.both(x > -1, x < n);
    inside = arith::OrIOp::create(k.b, inside, arith::OrIOp::create(k.b, x == -1, x == n));
    Real clamped = select(x > 0, select(x < n - 1, x, n - 1), Real(k.b, numberConstant(k.b, type, 0)));
    Value low = arith::FPToSIOp::create(k.b, k.b.getI64Type(), clamped.value());
    Value high = k.min(k.add(low, k.constant(1)), k.sub(k.dim(length), k.constant(1)));
    return {low, high, clamped - real(low), inside};
  }
};
} // namespace

static LogicalResult lowerRoiAlign(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Value source = node.input(0);
  SmallVector<Dim> in = node.dims(0), out = node.outputDims();
  Type element = node.element(0), type = computeType(element);
  bool average = node.stringAttr("mode", "avg") == "avg";
  for (unsigned i = 0; i < 3; ++i)
    lowering.storage(node.input(i));
  Kernel k(lowering, "roi_align", lowering.loc);
  Value image = k.pointer(source), base = k.pointer(node.output()), zero = k.constant(0);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, {out[0], out[1], out[2]});
    Value region = at[0];
    Value batch = castNumber(k.b, k.load(node.input(2), {region}), node.element(2), k.b.getI64Type());
    Value clamped = k.max(zero, k.min(batch, k.sub(k.dim(in[0]), k.constant(1))));
    k.check(k.equal(clamped, batch));
    RegionAxis rows(k, node, region, 1, *constantOf(out[2]), in[2]),
        columns(k, node, region, 0, *constantOf(out[3]), in[3]);
    Value plane = k.mul(k.add(k.mul(clamped, k.dim(in[1])), at[1]), k.mul(k.dim(in[2]), k.dim(in[3])));
    k.loop(zero, k.dim(out[3]), [&](Value x) {
      Value nothing = numberConstant(k.b, type, 0);
      Value start = average ? nothing : lowestNumber(k.b, type);
      Value sum = k.loop(zero, rows.samples, ValueRange(start), [&](Value i, ValueRange outer) {
        RegionAxis::Sample r = rows.sample(at[2], i);
        return k.loop(zero, columns.samples, outer, [&](Value j, ValueRange carried) {
          RegionAxis::Sample c = columns.sample(x, j);
          Value inside = k.both(r.inside, c.inside);
          auto corner = [&](Value row, Value column, Real weight) {
            Value number = k.add(plane, k.add(k.mul(row, k.dim(in[3])), column));
            Real value = Real(k.b, k.loadAt(image, number, element)) * weight;
            return select(inside, value, Real(k.b, nothing));
          };
          Real one(k.b, numberConstant(k.b, type, 1)), up = one - r.weight, left = one - c.weight;
          Real a = corner(r.low, c.low, up * left), b = corner(r.low, c.high, up * c.weight),
               e = corner(r.high, c.low, r.weight * left), f = corner(r.high, c.high, r.weight * c.weight);
          Real before(k.b, carried[0]);
          Real after = average ? before + (a + b + e + f) : maximum(before, maximum(maximum(a, b), maximum(e, f)));
          return SmallVector<Value>{after.value()};
        });
      })[0];
      Value samples = k.mul(rows.samples, columns.samples);
      if (average) {
        Value count = k.max(samples, k.constant(1));
        sum = (Real(k.b, sum) / Real(k.b, arith::SIToFPOp::create(k.b, type, count))).value();
      } else {
        sum = k.select(k.equal(samples, zero), nothing, sum);
      }
      k.storeAt(base, k.add(k.mul(unit, k.dim(out[3])), x), element, sum);
    });
  });
  k.launch(d.product({out[0], out[1], out[2]}), d.mul(d.product(out), d.constant(64)));
  return success();
}

void qcc::registerRoiAlign(OperatorRegistry &registry) { registry.add("", "RoiAlign", inferRoiAlign, lowerRoiAlign); }
