// qcc.CodeConv: a 1 x 1 convolution of unsigned codes with signed ones, (codes - zero) * weights, in exact sums.
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Target/CodeProduct.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

// Operands: codes, weights (outputs x inputs), zero times the sum of each output's weights, and a bias in float32.
static constexpr unsigned codes = 0, weights = 1, offsets = 2, bias = 3;

static LogicalResult inferCodeConv(Infer &infer) {
  if (infer.inputs() < 3 || infer.rank(codes) < 3 || infer.rank(weights) != 2 || infer.rank(offsets) != 1)
    return infer.error("takes codes, a matrix of weights and an offset for each output");
  SmallVector<Dim> result = infer.dims(codes);
  result[1] = infer.dims(weights)[0];
  infer.result(0, result, Float32Type::get(infer.op.getContext()));
  return success();
}

static LogicalResult lowerCodeConv(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> input = node.dims(codes), matrix = node.dims(weights), result = node.outputDims();
  Dim columns = dims.product(ArrayRef(input).drop_front(2)), rows = matrix[0], depth = matrix[1];
  auto store = [&](Kernel &k, Value image, Value row, Value column, Value sum) {
    if (node.has(bias))
      sum = plus(k, sum, k.load(node.input(bias), row));
    Value line = k.add(k.mul(image, k.dim(rows)), row);
    SmallVector<Value> at = {image, row};
    llvm::append_range(at, k.delinearize(column, ArrayRef(result).drop_front(2)));
    k.store(node.output(), Index(result, at, k.add(k.mul(line, k.dim(columns)), column)), sum);
  };
  if (auto known = constantOf(columns)) {
    CodeProduct product;
    product.images = input[0];
    product.rows = *constantOf(rows), product.columns = *known, product.depth = *constantOf(depth);
    product.left = [&](Kernel &k) { return k.pointer(node.input(weights)); };
    product.right = [&](Kernel &k) { return k.pointer(node.input(codes)); };
    product.offsets = [&](Kernel &k) { return k.pointer(node.input(offsets)); };
    product.store = store;
    if (emitCodeProduct(lowering, "code_products", product))
      return success();
  }
  Contraction product;
  // Sums of float32 are exact as long as the bytes are few; those of integers, which GPUs have, always.
  Type f32 = node.outputElement();
  bool isDevice = bool(lowering.facts.device);
  Type sums = isDevice ? IntegerType::get(f32.getContext(), 32) : f32;
  product.batches = {input[0]};
  product.rows = rows, product.columns = columns, product.depth = depth;
  product.accumulator = sums;
  double zero = double(node.intAttr("zero", 0));
  product.left = [&](Kernel &k, ArrayRef<Value>, Value row, Value step) {
    return castNumber(k.b, k.load(node.input(weights), {row, step}), node.element(weights), sums);
  };
  product.right = [&, zero](Kernel &k, ArrayRef<Value> batch, Value step, Value column) -> Value {
    Value at = k.add(k.mul(k.add(k.mul(batch[0], k.dim(depth)), step), k.dim(columns)), column);
    Value code = castNumber(k.b, k.load(node.input(codes), Index(input, at)), node.element(codes), sums);
    if (isDevice)
      return k.sub(code, numberConstant(k.b, sums, zero));
    return arith::SubFOp::create(k.b, code, k.constantF32(float(zero)));
  };
  product.store = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value column, Value sum) {
    store(k, batch[0], row, column, castNumber(k.b, sum, sums, f32));
  };
  emitContraction(lowering, "code_conv", product);
  return success();
}

void qcc::registerCodeConv(OperatorRegistry &registry) {
  registry.add("qcc", "CodeConv", inferCodeConv, lowerCodeConv, /*acceptsEpilogue=*/true);
}
