// DeformConv: taps that stand at offsets of their own, interpolated between positions, and their product with the
// weights.
#include "Convolution.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

static constexpr unsigned weights = 1, offsets = 2, bias = 3, mask = 4;

static FailureOr<Convolution> convolutionOf(const Node &node, Dimensions &dims) {
  return Convolution::of(node, dims, 0, weights, accumulatorOf(node.element(0)));
}

static LogicalResult inferDeformConv(Infer &infer) {
  if (infer.inputs() < 3 || !infer.has(0) || !infer.has(weights) || !infer.has(offsets))
    return infer.error("takes an operand, its weights and offsets");
  for (unsigned i = 0; i < infer.inputs(); ++i)
    if (infer.has(i) && (!isFloat(infer.element(i)) || infer.element(i) != infer.element(0)))
      return infer.error("takes operands of one float type");
  auto c = convolutionOf(infer, infer.dim());
  if (failed(c) || failed(checkBias(infer, bias, infer.dims(weights)[0])))
    return failure();
  requireFit(infer, *c, 0, weights);
  Dimensions &d = infer.dim();
  int64_t groups = infer.intAttr("offset_group", 1), axes = int64_t(c->window.size());
  auto channels = constantOf(infer.dims(0)[1]);
  if (groups < 1 || channels.value_or(0) % groups)
    return infer.error("has " + Twine(groups) + " groups of offsets, which do not divide its channels");
  Dim taps = d.mul(d.product(kernelDims(c->window)), d.constant(groups));
  for (auto [i, perTap] : {std::pair(offsets, axes), std::pair(mask, int64_t(1))})
    if (infer.has(i)) {
      SmallVector<Dim> expected = {infer.dims(0)[0], d.mul(taps, d.constant(perTap))};
      llvm::append_range(expected, outputDims(c->window));
      if (infer.rank(i) != int64_t(expected.size()))
        return infer.error("has offsets or a mask of another rank than its operand");
      for (auto [is, must] : llvm::zip(infer.dims(i), expected))
        infer.requireEqual(is, must);
    }
  infer.result(0, c->resultDims(), infer.element(0));
  return success();
}

/// The value of an image at a fractional position: the mean of the positions around, by distance. Outside is 0.
static Value interpolate(const Node &node, Kernel &k, ArrayRef<Value> image, ArrayRef<Real> at) {
  Type i64 = k.b.getI64Type();
  SmallVector<Dim> x = node.dims(0);
  SmallVector<Value> first;
  SmallVector<Real> fraction;
  for (auto [axis, position] : llvm::enumerate(at)) {
    // Far outside is as good as just outside, and is a whole number that exists.
    Value length = arith::SIToFPOp::create(k.b, position.type(), k.dim(x[axis + 2]));
    Real inside = select(position > -2.0, position, -2.0);
    inside = select(inside < Real(k.b, length) + 1.0, inside, Real(k.b, length) + 1.0);
    Real low = floor(inside);
    first.push_back(arith::FPToSIOp::create(k.b, i64, low.value()));
    fraction.push_back(inside - low);
  }
  Value sum = numberConstant(k.b, at[0].type(), 0), zero = sum;
  for (unsigned corner = 0; corner < 1u << at.size(); ++corner) {
    SmallVector<Value> coordinates(image);
    Value exists = arith::ConstantOp::create(k.b, k.b.getBoolAttr(true));
    Real weight = fraction[0].like(1.0);
    for (size_t axis = 0; axis < at.size(); ++axis) {
      bool upper = corner >> axis & 1;
      Value position = k.add(first[axis], k.constant(upper)), length = k.dim(x[axis + 2]);
      exists = k.both(exists, k.both(k.less(k.constant(-1), position), k.less(position, length)));
      coordinates.push_back(k.max(k.min(position, k.sub(length, k.constant(1))), k.constant(0)));
      weight = weight * (upper ? fraction[axis] : 1.0 - fraction[axis]);
    }
    Value term = multiply(k, k.load(node.input(0), coordinates), weight.value());
    sum = plus(k, sum, k.select(exists, term, zero));
  }
  return sum;
}

static LogicalResult lowerDeformConv(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  auto c = convolutionOf(node, dims);
  if (failed(c))
    return failure();
  SmallVector<Dim> x = node.dims(0), w = node.dims(weights), result = node.outputDims();
  SmallVector<Dim> kernel = kernelDims(c->window), output = outputDims(c->window);
  Type type = c->accumulator;
  Dim taps = dims.product(kernel), positions = dims.product(output);
  Dim perOffsetGroup = dims.floorDiv(x[1], dims.constant(node.intAttr("offset_group", 1)));
  int64_t axes = int64_t(kernel.size());

  // Rows of taps: batch × channels × taps, each over all output positions.
  SmallVector<Dim> space = {x[0], x[1], taps};
  Value samples = lowering.allocate(dims.product({dims.product(space), positions, dims.constant(storageBytes(type))}));
  {
    Kernel k(lowering, "deformconv_taps", lowering.loc);
    Value base = k.argument(samples);
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      SmallVector<Value> at = k.delinearize(unit, space), tap = k.delinearize(at[2], kernel);
      Value group = k.div(at[1], k.dim(perOffsetGroup));
      Value line = k.add(k.mul(group, k.dim(taps)), at[2]), start = k.mul(unit, k.dim(positions));
      k.nest(output, [&](ArrayRef<Value> o) {
        auto load = [&](unsigned operand, Value channel) {
          SmallVector<Value> coordinates = {at[0], channel};
          llvm::append_range(coordinates, o);
          return k.load(node.input(operand), coordinates);
        };
        SmallVector<Real> position;
        for (int64_t axis = 0; axis < axes; ++axis) {
          const WindowAxis &along = c->window[axis];
          Value grid =
              k.sub(k.add(k.mul(o[axis], k.constant(along.stride)), k.mul(tap[axis], k.constant(along.dilation))),
                    k.dim(along.before));
          Value offset = load(offsets, k.add(k.mul(line, k.constant(axes)), k.constant(axis)));
          position.push_back(Real(k.b, arith::SIToFPOp::create(k.b, type, grid)) + Real(k.b, offset));
        }
        Value sample = interpolate(node, k, ArrayRef(at).take_front(2), position);
        if (node.has(mask))
          sample = multiply(k, sample, load(mask, line));
        k.storeAt(base, k.add(start, k.linearize(o, output)), type, sample);
      });
    });
    Dim work = dims.product({dims.product(space), positions, dims.constant(int64_t(20) << axes)});
    k.launch(dims.product(space), work);
  }

  Contraction product;
  Dim perGroup = dims.floorDiv(w[0], c->groups);
  product.batches = {x[0], c->groups};
  product.rows = perGroup, product.columns = positions, product.depth = dims.mul(w[1], taps);
  product.accumulator = type;
  product.rightIsContiguous = true, product.leftIsContiguous = node.element(weights) == type;
  product.left = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value step) {
    Value m = k.add(k.mul(batch[1], k.dim(perGroup)), row);
    return k.load(node.input(weights), Index(w, k.add(k.mul(m, k.dim(product.depth)), step)));
  };
  product.right = [&](Kernel &k, ArrayRef<Value> batch, Value step, Value column) {
    Value group = k.add(k.mul(batch[0], k.dim(c->groups)), batch[1]);
    Value line = k.add(k.mul(group, k.dim(product.depth)), step);
    return k.loadAt(k.argument(samples), k.add(k.mul(line, k.dim(positions)), column), type);
  };
  product.store = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value column, Value sum) {
    Value m = k.add(k.mul(batch[1], k.dim(perGroup)), row);
    if (node.has(bias))
      sum = plus(k, sum, k.load(node.input(bias), m));
    Value line = k.add(k.mul(batch[0], k.dim(w[0])), m);
    SmallVector<Value> coordinates = {batch[0], m};
    llvm::append_range(coordinates, k.delinearize(column, output));
    k.store(node.output(), Index(result, coordinates, k.add(k.mul(line, k.dim(positions)), column)), sum);
  };
  emitContraction(lowering, "deformconv", product);
  return success();
}

void qcc::registerDeformConv(OperatorRegistry &registry) {
  Operator op;
  op.type = "DeformConv";
  op.infer = inferDeformConv;
  op.lower = lowerDeformConv;
  op.acceptsEpilogue = true;
  registry.add(op);
}
