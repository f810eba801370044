// Conv: as a contraction of the weights with the windows of a group's input channels, or channel by channel.
#include "Convolution.h"
#include "Register.h"
#include "Sweep.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

FailureOr<Convolution> Convolution::of(const Node &node, Dimensions &dims, unsigned input, unsigned weights,
                                       Type accumulator) {
  auto kernel = kernelOfWeights(node, weights, input);
  if (failed(kernel))
    return failure();
  auto window = windowOf(node, dims, spatialDims(node, input), *kernel);
  if (failed(window))
    return failure();
  Convolution c;
  c.input = node.input(input), c.weights = node.input(weights);
  int64_t groups = node.intAttr("group", 1);
  c.groups = dims.constant(groups);
  c.window = *window;
  c.accumulator = accumulator;
  c.inPlace = isPlain(node);
  Type inputType = node.element(input), weightType = node.element(weights);
  c.read = [=](Kernel &k, Value value) { return castNumber(k.b, value, inputType, accumulator); };
  c.readWeight = [=](Kernel &k, Value value, Value) { return castNumber(k.b, value, weightType, accumulator); };
  auto channels = constantOf(node.dims(input)[1]), perGroup = constantOf(node.dims(weights)[1]);
  auto outputs = constantOf(node.dims(weights)[0]);
  if (groups < 1 || (outputs && *outputs % groups))
    return node.error("has " + Twine(outputs.value_or(0)) + " output channels in " + Twine(groups) + " groups");
  if (channels && perGroup && *channels != *perGroup * groups)
    return node.error("has an operand with " + Twine(*channels) + " channels where its weights say " +
                      Twine(*perGroup * groups));
  return c;
}

void qcc::requireFit(Infer &infer, const Convolution &c, unsigned input, unsigned weights) {
  Dimensions &dims = infer.dim();
  Dim outputs = infer.dims(weights)[0];
  infer.requireEqual(infer.dims(input)[1], dims.mul(infer.dims(weights)[1], c.groups));
  infer.requireEqual(dims.mul(dims.floorDiv(outputs, c.groups), c.groups), outputs);
}

SmallVector<Dim> Convolution::resultDims() const {
  SmallVector<Dim> result = {dimsOf(input.getType())[0], dimsOf(weights.getType())[0]};
  llvm::append_range(result, outputDims(window));
  return result;
}

void qcc::emitDepthwise(Lowering &lowering, StringRef name, const Convolution &c) {
  Planes planes(lowering, c.input, c.window, c.accumulator, c.inPlace);
  planes.read = c.read;
  SmallVector<Dim> weightDims = dimsOf(c.weights.getType()), inputDims = dimsOf(c.input.getType());
  Dim perGroup = lowering.dims.floorDiv(weightDims[0], c.groups);
  Dim taps = lowering.dims.product(kernelDims(c.window));
  Sweep sweep;
  sweep.window = c.window;
  sweep.units = {inputDims[0], weightDims[0]};
  sweep.accumulator = c.accumulator;
  sweep.image = [=](Kernel &k, ArrayRef<Value> unit) {
    return k.add(k.mul(unit[0], k.dim(inputDims[1])), k.div(unit[1], k.dim(perGroup)));
  };
  sweep.initial = [&](Kernel &k) { return numberConstant(k.b, c.accumulator, 0); };
  sweep.weight = [&](Kernel &k, ArrayRef<Value> unit, Value tap) {
    Value at = k.add(k.mul(unit[1], k.dim(taps)), tap);
    return c.readWeight(k, k.load(c.weights, Index(weightDims, at)), unit[1]);
  };
  sweep.combine = [](Kernel &k, Value sum, Value element, Value weight) {
    return plus(k, sum, multiply(k, element, weight));
  };
  sweep.store = [&](Kernel &k, const Index &at, Value sum) { c.store(k, at.coords(k)[1], at, sum); };
  emitSweep(lowering, name, planes, sweep);
}

/// Emits the convolution without a copy of its input where it is one of float32 with windows of known lengths.
static bool emitDirect(Lowering &lowering, StringRef name, const Convolution &c, const Planes &planes) {
  auto window = planes.floatWindow();
  SmallVector<Dim> inputDims = dimsOf(c.input.getType()), weightDims = dimsOf(c.weights.getType());
  auto groups = constantOf(c.groups), channels = constantOf(weightDims[1]), outputs = constantOf(weightDims[0]);
  auto weights = cast<ShapedType>(c.weights.getType());
  if (!window || !groups || !channels || !outputs || !weights.getElementType().isF32() || lowering.isFused(c.weights))
    return false;
  if (window->taps() == 1 && c.inPlace) // a product of matrices
    return false;
  SmallVector<Dim> resultDims = c.resultDims();
  FloatConvolution direct;
  direct.window = *window;
  direct.images = inputDims[0];
  direct.groups = *groups, direct.channels = *channels, direct.results = *outputs / *groups;
  direct.planes = [&](Kernel &k) { return k.pointer(c.input); };
  direct.weights = [&](Kernel &k) { return k.pointer(c.weights); };
  direct.store = [&](Kernel &k, Value image, Value channel, Value y, Value x, Value sum) {
    SmallVector<Value> at = {image, channel};
    if (resultDims.size() == 4)
      at.push_back(y);
    at.push_back(x);
    c.store(k, channel, Index(resultDims, at), sum);
  };
  return emitFloatConvolution(lowering, name, direct);
}

void qcc::emitConvolution(Lowering &lowering, StringRef name, const Convolution &c) {
  Dimensions &dims = lowering.dims;
  Type accumulator = c.accumulator;
  SmallVector<Dim> inputDims = dimsOf(c.input.getType()), weightDims = dimsOf(c.weights.getType());
  if (constantOf(c.groups) != 1 && constantOf(weightDims[1]) == 1)
    return emitDepthwise(lowering, name, c);
  Planes planes(lowering, c.input, c.window, accumulator, c.inPlace);
  planes.read = c.read;
  bool isDevice = bool(lowering.facts.device);
  if (isDevice)
    planes.store();
  else if (emitDirect(lowering, name, c, planes))
    return;
  else if (!c.inPlace)
    planes.fill();

  // Columns are the positions at which consecutive windows stand in a plane. They run on over the positions between
  // the last window of one row and the first one of the next, whose sums nobody wants; where there are such, what is
  // wanted is copied out afterwards.
  SmallVector<Dim> output = outputDims(c.window), resultDims = c.resultDims();
  bool isDense = true;
  for (size_t i = 1; i < output.size(); ++i)
    isDense &= isDevice || planes.step(i - 1) == dims.product(ArrayRef(output).drop_front(i));
  Dim groups = c.groups, perGroup = dims.floorDiv(weightDims[0], groups), channels = weightDims[1];
  SmallVector<Dim> depthDims = {channels};
  llvm::append_range(depthDims, kernelDims(c.window));
  Dim columns = isDense ? dims.product(output) : planes.span();
  Value sums;
  if (!isDense)
    sums = lowering.allocate(
        dims.product({inputDims[0], weightDims[0], columns, dims.constant(storageBytes(accumulator))}));

  Contraction product;
  product.batches = {inputDims[0], groups};
  product.rows = perGroup, product.columns = columns, product.depth = dims.product(depthDims);
  product.accumulator = accumulator;
  Type element = cast<ShapedType>(c.input.getType()).getElementType();
  Type weight = cast<ShapedType>(c.weights.getType()).getElementType();
  product.leftIsContiguous = weight == accumulator;
  product.rightIsContiguous = !c.inPlace || element == accumulator;
  product.leftIsContiguous = true;
  auto channel = [&](Kernel &k, ArrayRef<Value> batch, Value row) {
    return k.add(k.mul(batch[1], k.dim(perGroup)), row);
  };
  product.left = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value step) {
    Value m = channel(k, batch, row), at = k.add(k.mul(m, k.dim(product.depth)), step);
    return c.readWeight(k, k.load(c.weights, Index(weightDims, at)), m);
  };
  product.right = [&](Kernel &k, ArrayRef<Value> batch, Value step, Value column) {
    SmallVector<Value> tap = k.delinearize(step, depthDims);
    Value inputChannel = k.add(k.mul(batch[1], k.dim(channels)), tap[0]);
    Value image = k.add(k.mul(batch[0], k.dim(inputDims[1])), inputChannel);
    if (isDevice)
      return planes.direct(k, image, k.delinearize(column, output), ArrayRef(tap).drop_front());
    return planes.load(k, image, k.add(planes.offset(k, ArrayRef(tap).drop_front()), column));
  };
  product.store = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value column, Value sum) {
    Value m = channel(k, batch, row);
    Value line = k.add(k.mul(batch[0], k.dim(weightDims[0])), m);
    Value at = k.add(k.mul(line, k.dim(columns)), column);
    if (!isDense)
      return k.storeAt(k.argument(sums), at, accumulator, sum);
    SmallVector<Value> coordinates = {batch[0], m};
    llvm::append_range(coordinates, k.delinearize(column, output));
    c.store(k, m, Index(resultDims, coordinates, at), sum);
  };
  emitContraction(lowering, name, product);
  if (isDense)
    return;

  ArrayRef<Dim> rows = ArrayRef<Dim>(resultDims).drop_back();
  Kernel k(lowering, "rows", lowering.loc);
  Value base = k.argument(sums);
  k.loop(k.lo(), k.hi(), [&](Value row) {
    SmallVector<Value> at = k.delinearize(row, rows);
    Value start = k.mul(k.add(k.mul(at[0], k.dim(weightDims[0])), at[1]), k.dim(columns));
    for (size_t i = 0; i + 1 < output.size(); ++i)
      start = k.add(start, k.mul(at[i + 2], k.dim(planes.step(i))));
    Value length = k.dim(output.back()), number = k.mul(row, length);
    at.push_back({});
    k.loop(k.constant(0), length, [&](Value o) {
      at.back() = o;
      c.store(k, at[1], Index(resultDims, at, k.add(number, o)), k.loadAt(base, k.add(start, o), accumulator));
    });
  });
  k.launch(dims.product(rows), dims.product(resultDims));
}

static LogicalResult inferConv(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(1))
    return infer.error("takes an operand and its weights");
  if (!isFloat(infer.element(0)) || infer.element(0) != infer.element(1))
    return infer.error("takes an operand and weights of one float type");
  auto c = Convolution::of(infer, infer.dim(), 0, 1, accumulatorOf(infer.element(0)));
  if (failed(c) || failed(checkBias(infer, 2, infer.dims(1)[0])))
    return failure();
  requireFit(infer, *c, 0, 1);
  infer.result(0, c->resultDims(), infer.element(0));
  return success();
}

/// Whether the input is read where it is, several times, rather than copied once: float32 with axes of known lengths.
static bool readsInPlace(const Node &node) {
  return node.element(0).isF32() && node.rank(0) <= 4 &&
         llvm::all_of(spatialDims(node, 0), [](Dim dim) { return constantOf(dim).has_value(); });
}

static LogicalResult lowerConv(const Node &node, Lowering &lowering) {
  auto c = Convolution::of(node, lowering.dims, 0, 1, accumulatorOf(node.element(0)));
  if (failed(c))
    return failure();
  c->store = [&](Kernel &k, Value channel, const Index &at, Value sum) {
    if (node.has(2))
      sum = plus(k, sum, k.load(node.input(2), channel));
    k.store(node.output(), at, sum);
  };
  emitConvolution(lowering, "conv", *c);
  return success();
}

void qcc::registerConv(OperatorRegistry &registry) {
  Operator op;
  op.type = "Conv";
  op.infer = inferConv;
  op.lower = lowerConv;
  op.acceptsEpilogue = true;
  op.readsOnce = [](const Node &node, unsigned i) { return i == 0 && !isPlain(node) && !readsInPlace(node); };
  registry.add(op);
}
