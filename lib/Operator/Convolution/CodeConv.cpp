// qcc.CodeConv: a convolution of unsigned codes with signed ones, (codes - zero) * weights, in exact sums.
#include "Planes.h"
#include "Register.h"
#include "Sweep.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Target/CodeConvolution.h"
#include "qcc/Target/CodeProduct.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

// Operands: codes, weights, zero times the sum of each output's weights, and a bias in float32. Weights are outputs x
// taps x inputs, or outputs x taps where each output reads one input alone (`depthwise`), the last axis in fours.
static constexpr unsigned codes = 0, weights = 1, offsets = 2, bias = 3;

namespace {
struct CodeConv {
  const Node &node;
  Window window;
  bool isDepthwise;
  int64_t zero;

  static FailureOr<CodeConv> of(const Node &node, Dimensions &dims) {
    auto kernel = kernelShape(node, dims);
    if (failed(kernel))
      return failure();
    auto window = windowOf(node, dims, spatialDims(node, codes), *kernel);
    if (failed(window))
      return failure();
    return CodeConv{node, *window, node.intAttr("depthwise", 0) != 0, node.intAttr("zero", 0)};
  }

  SmallVector<Dim> resultDims() const {
    SmallVector<Dim> result = {node.dims(codes)[0], node.dims(weights)[0]};
    llvm::append_range(result, outputDims(window));
    return result;
  }

  bool isPointwise() const {
    return isPlain(node) && !isDepthwise &&
           llvm::all_of(window, [](const WindowAxis &axis) { return constantOf(axis.kernel) == 1; });
  }

  void store(Kernel &k, Value channel, const Index &at, Value sum) const {
    if (node.has(bias))
      sum = plus(k, sum, k.load(node.input(bias), channel));
    k.store(node.output(), at, sum);
  }

  bool emitPointwise(Lowering &lowering) const;
  bool emitWindows(Lowering &lowering) const;
  void emitContraction(Lowering &lowering) const;
  void emitSweep(Lowering &lowering) const;

private:
  /// The planes of codes without their zero, as numbers of the type.
  Planes planes(Lowering &lowering, Type type) const;
  /// Sums of float32 are exact, the codes being as few as they are; those of integers are what GPUs have.
  Type sums(Lowering &lowering) const {
    Type f32 = node.outputElement();
    return lowering.facts.device ? Type(IntegerType::get(f32.getContext(), 32)) : f32;
  }
};
} // namespace

bool CodeConv::emitPointwise(Lowering &lowering) const {
  Dimensions &dims = lowering.dims;
  auto columns = constantOf(dims.product(outputDims(window)));
  if (!isPointwise() || !columns)
    return false;
  SmallVector<Dim> matrix = node.dims(weights), result = resultDims();
  // Inputs that are not in fours have weights of 0 behind them, of whose codes there are none.
  if (constantOf(node.dims(codes)[1]) != constantOf(matrix.back()))
    return false;
  CodeProduct product;
  product.images = node.dims(codes)[0];
  product.rows = *constantOf(matrix[0]), product.columns = *columns, product.depth = *constantOf(matrix.back());
  product.left = [&](Kernel &k) { return k.pointer(node.input(weights)); };
  product.right = [&](Kernel &k) { return k.pointer(node.input(codes)); };
  product.offsets = [&](Kernel &k) { return k.pointer(node.input(offsets)); };
  product.store = [&](Kernel &k, Value image, Value row, Value column, Value sum) {
    SmallVector<Value> at = {image, row};
    llvm::append_range(at, k.delinearize(column, ArrayRef(result).drop_front(2)));
    Value line = k.add(k.mul(image, k.dim(result[1])), row);
    store(k, row, Index(result, at, k.add(k.mul(line, k.constant(*columns)), column)), sum);
  };
  return emitCodeProduct(lowering, "code_products", product);
}

bool CodeConv::emitWindows(Lowering &lowering) const {
  auto across = knownAxis(window.back());
  auto down = window.size() == 2 ? knownAxis(window.front()) : KnownAxis();
  auto channels = constantOf(node.dims(codes)[1]), results = constantOf(node.dims(weights)[0]);
  if (window.size() > 2 || !across || !down || !channels || !results)
    return false;
  CodeConvolution c;
  c.down = *down, c.across = *across;
  c.images = node.dims(codes)[0];
  c.channels = *channels, c.results = *results, c.zero = zero;
  c.planes = [&](Kernel &k) { return k.pointer(node.input(codes)); };
  c.weights = [&](Kernel &k) { return k.pointer(node.input(weights)); };
  c.offsets = [&](Kernel &k) { return k.pointer(node.input(offsets)); };
  SmallVector<Dim> result = resultDims();
  c.store = [&](Kernel &k, Value image, Value channel, Value y, Value x, Value sum) {
    SmallVector<Value> at = {image, channel};
    if (window.size() == 2)
      at.push_back(y);
    at.push_back(x);
    store(k, channel, Index(result, at), sum);
  };
  return isDepthwise ? emitCodeDepthwise(lowering, "code_depthwise", c)
                     : emitCodeConvolution(lowering, "code_convolution", c);
}

Planes CodeConv::planes(Lowering &lowering, Type type) const {
  Planes planes(lowering, node.input(codes), window, type, isPlain(node));
  Type element = node.element(codes);
  planes.read = [type, element, zero = zero](Kernel &k, Value code) -> Value {
    Value number = castNumber(k.b, code, element, type), offset = numberConstant(k.b, type, double(zero));
    return type.isF32() ? Value(arith::SubFOp::create(k.b, number, offset)) : k.sub(number, offset);
  };
  planes.store();
  return planes;
}

void CodeConv::emitContraction(Lowering &lowering) const {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> matrix = node.dims(weights), result = resultDims(), output = outputDims(window);
  SmallVector<Dim> depth = kernelDims(window);
  depth.push_back(matrix.back());
  Dim channels = node.dims(codes)[1];
  Type type = sums(lowering);
  Planes input = planes(lowering, type);
  Contraction product;
  product.batches = {result[0]};
  product.rows = result[1], product.columns = dims.product(output), product.depth = dims.product(depth);
  product.accumulator = type;
  product.left = [&](Kernel &k, ArrayRef<Value>, Value row, Value step) {
    Index at(matrix, k.add(k.mul(row, k.dim(product.depth)), step));
    return castNumber(k.b, k.load(node.input(weights), at), node.element(weights), type);
  };
  product.right = [&](Kernel &k, ArrayRef<Value> batch, Value step, Value column) {
    SmallVector<Value> tap = k.delinearize(step, depth);
    Value channel = k.min(tap.pop_back_val(), k.sub(k.dim(channels), k.constant(1)));
    Value image = k.add(k.mul(batch[0], k.dim(channels)), channel);
    return input.direct(k, image, k.delinearize(column, output), tap);
  };
  product.store = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value column, Value sum) {
    SmallVector<Value> at = {batch[0], row};
    llvm::append_range(at, k.delinearize(column, output));
    Value line = k.add(k.mul(batch[0], k.dim(result[1])), row);
    Index index(result, at, k.add(k.mul(line, k.dim(product.columns)), column));
    store(k, row, index, castNumber(k.b, sum, type, node.outputElement()));
  };
  qcc::emitContraction(lowering, "code_conv", product);
}

void CodeConv::emitSweep(Lowering &lowering) const {
  SmallVector<Dim> matrix = node.dims(weights), kernel = kernelDims(window);
  Dim channels = node.dims(codes)[1], perChannel = lowering.dims.floorDiv(matrix[0], channels);
  Type type = sums(lowering);
  Planes input = planes(lowering, type);
  Sweep sweep;
  sweep.window = window;
  sweep.units = {node.dims(codes)[0], matrix[0]};
  sweep.accumulator = type;
  sweep.image = [&](Kernel &k, ArrayRef<Value> unit) {
    return k.add(k.mul(unit[0], k.dim(channels)), k.div(unit[1], k.dim(perChannel)));
  };
  sweep.initial = [&](Kernel &k) { return numberConstant(k.b, type, 0); };
  sweep.weight = [&](Kernel &k, ArrayRef<Value> unit, Value tap) {
    SmallVector<Value> at = {unit[1]};
    llvm::append_range(at, k.delinearize(tap, kernel));
    return castNumber(k.b, k.load(node.input(weights), at), node.element(weights), type);
  };
  sweep.combine = [&](Kernel &k, Value sum, Value element, Value weight) -> Value {
    if (!type.isF32())
      return k.add(sum, k.mul(element, weight));
    return plus(k, sum, arith::MulFOp::create(k.b, element, weight));
  };
  sweep.store = [&](Kernel &k, const Index &at, Value sum) {
    store(k, at.coords(k)[1], at, castNumber(k.b, sum, type, node.outputElement()));
  };
  qcc::emitSweep(lowering, "code_depthwise", input, sweep);
}

static LogicalResult inferCodeConv(Infer &infer) {
  int64_t rank = infer.inputs() < 3 ? 0 : infer.rank(codes);
  int64_t expected = infer.intAttr("depthwise", 0) ? rank - 1 : rank;
  if (rank < 3 || infer.rank(weights) != expected || infer.rank(offsets) != 1)
    return infer.error("takes codes, weights for each output and an offset for each output");
  auto isInteger = [&](unsigned i, unsigned bits) {
    return infer.element(i).isInteger(bits) && infer.element(i).isUnsignedInteger() == (i == codes);
  };
  if (!isInteger(codes, 8) || !isInteger(weights, 8) || !isInteger(offsets, 32) || infer.intAttr("zero", 0) < 0 ||
      infer.intAttr("zero", 0) > UINT8_MAX)
    return infer.error("takes unsigned 8-bit codes with such a zero, signed 8-bit weights and 32-bit offsets");
  auto conv = CodeConv::of(infer, infer.dim());
  if (failed(conv))
    return failure();
  SmallVector<Dim> shape = {infer.dims(weights)[0]};
  llvm::append_range(shape, kernelDims(conv->window));
  if (!conv->isDepthwise)
    shape.push_back(infer.dims(codes)[1]);
  auto last = constantOf(shape.back());
  if (last)
    shape.back() = infer.dim().constant(int64_t(llvm::alignTo(*last, codesPerLane)));
  auto channels = constantOf(infer.dims(codes)[1]), outputs = constantOf(shape[0]);
  bool hasAllReaders = !conv->isDepthwise || (channels && outputs && *channels > 0 && *outputs % *channels == 0);
  if (!hasAllReaders || !last || shape != infer.dims(weights) || infer.dims(offsets)[0] != shape[0])
    return infer.error("has weights or offsets that do not fit its inputs and outputs");
  if (failed(checkBias(infer, bias, shape[0])))
    return failure();
  infer.result(0, conv->resultDims(), Float32Type::get(infer.op.getContext()));
  return success();
}

static LogicalResult lowerCodeConv(const Node &node, Lowering &lowering) {
  auto conv = CodeConv::of(node, lowering.dims);
  if (failed(conv))
    return failure();
  if (conv->emitPointwise(lowering) || conv->emitWindows(lowering))
    return success();
  conv->isDepthwise ? conv->emitSweep(lowering) : conv->emitContraction(lowering);
  return success();
}

void qcc::registerCodeConv(OperatorRegistry &registry) {
  registry.add("qcc", "CodeConv", inferCodeConv, lowerCodeConv, /*acceptsEpilogue=*/true);
}
