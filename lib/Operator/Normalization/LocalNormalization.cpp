// LRN and LpNormalization.
#include "../Reduction/Axes.h"
#include "../Reduction/Fold.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferLrn(Infer &infer) {
  if (infer.inputs() != 1 || !infer.has(0) || infer.rank(0) < 2 || !isFloat(infer.element(0)))
    return infer.error("takes one operand of a float type with channels");
  if (infer.intAttr("size", 0) < 1)
    return infer.error("has no positive size");
  infer.result(0, infer.dims(0), infer.element(0));
  return success();
}

/// x^-beta for the exponents that networks use without a logarithm.
static Real inversePower(Kernel &k, Real x, double beta) {
  if (beta == 0.75) {
    Real root = sqrt(x);
    return 1.0 / (root * sqrt(root));
  }
  if (beta == 0.5)
    return 1.0 / sqrt(x);
  if (beta == 1)
    return 1.0 / x;
  return {k.b, math::PowFOp::create(k.b, x.value(), x.like(-beta).value())};
}

static LogicalResult lowerLrn(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> x = node.dims(0);
  Type type = accumulatorOf(node.element(0));
  int64_t size = node.intAttr("size", 1), below = (size - 1) / 2, above = size / 2;
  double alpha = node.floatAttr("alpha", 1e-4), beta = node.floatAttr("beta", 0.75), bias = node.floatAttr("bias", 1);
  Dim spatial = dims.product(ArrayRef(x).drop_front(2));
  Kernel k(lowering, "lrn", lowering.loc);
  // A unit is an element on a device, whose neighbours are read by neighbouring threads, otherwise a plane.
  Dim perUnit = lowering.facts.device ? dims.constant(1) : spatial;
  Dim units = lowering.facts.device ? dims.product(x) : dims.mul(x[0], x[1]);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    Value first = lowering.facts.device ? k.rem(unit, k.dim(spatial)) : k.constant(0);
    Value image = lowering.facts.device ? k.div(unit, k.dim(spatial)) : unit;
    Value channels = k.dim(x[1]), channel = k.rem(image, channels), length = k.dim(spatial);
    auto load = [&](Value i, Value at) { return k.load(node.input(0), Index(x, k.add(k.mul(i, length), at))); };
    Value from = k.sub(image, k.min(channel, k.constant(below)));
    Value to =
        k.add(k.add(image, k.min(k.sub(k.sub(channels, k.constant(1)), channel), k.constant(above))), k.constant(1));
    k.loop(first, k.add(first, k.dim(perUnit)), [&](Value at) {
      Value squares = k.loop(from, to, numberConstant(k.b, type, 0), [&](Value i, ValueRange sum) {
        Value value = load(i, at);
        return SmallVector<Value>{plus(k, sum[0], multiply(k, value, value))};
      })[0];
      Real scale = Real(k.b, squares) * (alpha / double(size)) + bias;
      Value y = (Real(k.b, load(image, at)) * inversePower(k, scale, beta)).value();
      k.store(node.output(), Index(x, k.add(k.mul(image, length), at)), y);
    });
  });
  k.launch(units, dims.mul(dims.product(x), dims.constant(size + 8)));
  return success();
}

static LogicalResult inferLpNormalization(Infer &infer) {
  if (infer.inputs() != 1 || !infer.has(0) || !isFloat(infer.element(0)))
    return infer.error("takes one operand of a float type");
  int64_t p = infer.intAttr("p", 2);
  if (p != 1 && p != 2)
    return infer.error("has the norm p " + Twine(p) + "; it is 1 or 2");
  if (failed(infer.axis(infer.intAttr("axis", -1), infer.rank(0))))
    return failure();
  infer.result(0, infer.dims(0), infer.element(0));
  return success();
}

namespace {
/// The elements along one axis: `length` of them for each position before and after it.
struct Line {
  Dim outer, length, inner;
  Line(Dimensions &dims, ArrayRef<Dim> shape, int64_t axis)
      : outer(dims.product(shape.take_front(axis))), length(shape[axis]),
        inner(dims.product(shape.drop_front(axis + 1))) {}
  Value number(Kernel &k, Value outerAt, Value at, Value innerAt) const {
    return k.add(k.mul(k.add(k.mul(outerAt, k.dim(length)), at), k.dim(inner)), innerAt);
  }
};
} // namespace

static LogicalResult lowerLpNormalization(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> x = node.dims(0);
  Type type = accumulatorOf(node.element(0)), wide = wideType(Fold::Sum, type);
  bool squares = node.intAttr("p", 2) == 2;
  Line line(dims, x, *node.axis(node.intAttr("axis", -1), node.rank(0)));
  Kernel k(lowering, "lpnormalization", lowering.loc);
  Team team = constantOf(line.inner) == 1 ? Team(k, line.length) : Team(k);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    Value inner = k.rem(unit, k.dim(line.inner)), outer = k.div(unit, k.dim(line.inner));
    auto load = [&](Value i) { return k.load(node.input(0), Index(x, line.number(k, outer, i, inner))); };
    Value sum = foldRow(
        k, Fold::Sum, type, line.length,
        [&](Value i) -> Value {
          Value value = load(i);
          return squares ? multiply(k, value, value) : Value(math::AbsFOp::create(k.b, value));
        },
        {}, &team);
    Real norm(k.b, castNumber(k.b, squares ? sqrt(Real(k.b, sum)).value() : sum, wide, type));
    norm = select(norm == 0.0, 1.0, norm); // what has no length stays zero
    team.each(k.constant(0), k.dim(line.length), [&](Value i) {
      k.store(node.output(), Index(x, line.number(k, outer, i, inner)), (Real(k.b, load(i)) / norm).value());
    });
  });
  k.launch(dims.mul(line.outer, line.inner), dims.product(x));
  return success();
}

void qcc::registerLocalNormalization(OperatorRegistry &registry) {
  registry.add("", "LRN", inferLrn, lowerLrn, /*acceptsEpilogue=*/true);
  registry.add("", "LpNormalization", inferLpNormalization, lowerLpNormalization, /*acceptsEpilogue=*/true);
}
