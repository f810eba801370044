// MatMulInteger and ConvInteger: exact sums of products of codes without their zeros.
#include "../Convolution/Convolution.h"
#include "Register.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static LogicalResult checkCodes(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(1))
    return infer.error("takes two operands");
  for (unsigned i : {0u, 1u}) {
    Type type = infer.element(i);
    if (!isa<IntegerType>(type) || type.getIntOrFloatBitWidth() != 8)
      return infer.error("takes operands of int8 or uint8");
    if (infer.has(i + 2) && infer.element(i + 2) != type)
      return infer.error("has a zero of another type than the codes");
  }
  return success();
}

static Type sumType(const Node &node) { return IntegerType::get(node.op.getContext(), 32); }

/// The code at an index of operand `i` without its zero, which is broadcast to it.
static Value withoutZero(const Node &node, Kernel &k, unsigned i, const Index &at) {
  Type type = node.element(i), i32 = sumType(node);
  Value code = castNumber(k.b, k.load(node.input(i), at), type, i32);
  if (!node.has(i + 2))
    return code;
  Value zero = k.load(node.input(i + 2), k.broadcastIndex(at, node.dims(i + 2)));
  return arith::SubIOp::create(k.b, code, castNumber(k.b, zero, type, i32));
}

static ArrayRef<Dim> batchOf(ArrayRef<Dim> dims) { return dims.drop_back(2); }

static LogicalResult inferMatMulInteger(Infer &infer) {
  if (failed(checkCodes(infer)))
    return failure();
  Dimensions &d = infer.dim();
  if (infer.rank(0) == 0 || infer.rank(1) == 0)
    return infer.error("has a scalar operand");
  // A vector on the left is one row, one on the right one column; the result has no such axis.
  bool isRow = infer.rank(0) == 1, isColumn = infer.rank(1) == 1;
  if (isRow)
    infer.op->setOperand(0, infer.reshape(infer.input(0), {d.constant(1), infer.dims(0)[0]}));
  if (isColumn)
    infer.op->setOperand(1, infer.reshape(infer.input(1), {infer.dims(1)[0], d.constant(1)}));
  // Zeros of rows stand along the rows.
  if (infer.has(2) && infer.rank(2) == 1 && constantOf(infer.dims(2)[0]) != 1)
    infer.op->setOperand(2, infer.reshape(infer.input(2), {infer.dims(2)[0], d.constant(1)}));
  SmallVector<Dim> a = infer.dims(0), b = infer.dims(1);
  infer.requireEqual(a.back(), b[b.size() - 2]);
  for (unsigned i : {0u, 1u})
    if (infer.has(i + 2)) {
      if (infer.rank(i + 2) > infer.rank(i))
        return infer.error("has a zero of a higher rank than the codes");
      for (auto [x, y] : llvm::zip(infer.broadcast({infer.dims(i), infer.dims(i + 2)}), infer.dims(i)))
        infer.requireEqual(x, y);
    }
  SmallVector<Dim> result = infer.broadcast({llvm::to_vector(batchOf(a)), llvm::to_vector(batchOf(b))});
  result.append({a[a.size() - 2], b.back()});
  if (!isRow && !isColumn) {
    infer.result(0, result, sumType(infer));
    return success();
  }
  SmallVector<Value> operands(infer.op->getOperands());
  auto product = infer.make("MatMulInteger", infer.version(), operands);
  if (failed(product))
    return failure();
  if (isColumn)
    result.pop_back();
  if (isRow)
    result.erase(result.end() - (isColumn ? 1 : 2));
  infer.replace(0, infer.checked(infer.reshape(*product, result)));
  return success();
}

static LogicalResult lowerMatMulInteger(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> result = node.outputDims(), a = node.dims(0), b = node.dims(1);
  Contraction c;
  c.batches = llvm::to_vector(batchOf(result));
  c.rows = a[a.size() - 2], c.columns = b.back(), c.depth = a.back();
  // One matrix on the right for a whole batch on the left: its rows are one long matrix.
  bool flat = b.size() == 2 && batchOf(a) == batchOf(result);
  if (flat)
    c.rows = dims.mul(dims.product(c.batches), c.rows), c.batches.clear();
  c.accumulator = sumType(node);
  auto at = [&](Kernel &k, ArrayRef<Value> batch, ArrayRef<Dim> operand, Value row, Value column) {
    SmallVector<Value> coordinates = k.broadcastIndex(Index(batchOf(result), batch), batchOf(operand)).coords(k);
    coordinates.append({row, column});
    return Index(operand, coordinates);
  };
  c.left = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value step) {
    if (!flat)
      return withoutZero(node, k, 0, at(k, batch, a, row, step));
    SmallVector<Value> coordinates = k.delinearize(row, ArrayRef(a).drop_back());
    coordinates.push_back(step);
    return withoutZero(node, k, 0, Index(a, coordinates, k.add(k.mul(row, k.dim(c.depth)), step)));
  };
  c.right = [&](Kernel &k, ArrayRef<Value> batch, Value step, Value column) {
    if (flat)
      return withoutZero(node, k, 1, Index(b, ValueRange{step, column}));
    return withoutZero(node, k, 1, at(k, batch, b, step, column));
  };
  c.store = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value column, Value sum) {
    SmallVector<Value> coordinates = flat ? k.delinearize(row, ArrayRef(result).drop_back()) : llvm::to_vector(batch);
    if (!flat)
      coordinates.push_back(row);
    coordinates.push_back(column);
    Index index =
        flat ? Index(result, coordinates, k.add(k.mul(row, k.dim(c.columns)), column)) : Index(result, coordinates);
    k.store(node.output(), index, sum);
  };
  emitContraction(lowering, "matmulinteger", c);
  return success();
}

static LogicalResult inferConvInteger(Infer &infer) {
  if (failed(checkCodes(infer)))
    return failure();
  auto c = Convolution::of(infer, infer.dim(), 0, 1, sumType(infer));
  if (failed(c))
    return failure();
  requireFit(infer, *c, 0, 1);
  Dimensions &d = infer.dim();
  auto single = [&](Dim length) { return d.ifEqual(length, d.constant(1), d.constant(1), length); };
  for (unsigned i : {2u, 3u})
    if (infer.has(i)) {
      if (infer.rank(i) > 1)
        return infer.error("has a zero of rank " + Twine(infer.rank(i)) + "; it is one number" +
                           (i == 3 ? " or one for each output channel" : ""));
      if (infer.rank(i) == 1) {
        Dim length = single(infer.dims(i)[0]), outputs = infer.dims(1)[0];
        infer.requireEqual(i == 3 ? d.ifEqual(length, d.constant(1), outputs, length) : length,
                           i == 3 ? outputs : d.constant(1));
      }
    }
  infer.result(0, c->resultDims(), sumType(infer));
  return success();
}

static LogicalResult lowerConvInteger(const Node &node, Lowering &lowering) {
  Type i32 = sumType(node);
  auto c = Convolution::of(node, lowering.dims, 0, 1, i32);
  if (failed(c))
    return failure();
  auto minusZero = [&, i32](Kernel &k, unsigned i, Value code, const Index &at) -> Value {
    Value wide = castNumber(k.b, code, node.element(i), i32);
    if (!node.has(i + 2))
      return wide;
    Value zero = k.load(node.input(i + 2), k.broadcastIndex(at, node.dims(i + 2)));
    return arith::SubIOp::create(k.b, wide, castNumber(k.b, zero, node.element(i), i32));
  };
  SmallVector<Dim> one = {lowering.dims.constant(1)}, channels = {node.dims(1)[0]};
  c->read = [=](Kernel &k, Value code) {
    return minusZero(k, 0, code, Index(one, ValueRange(k.constant(0)), k.constant(0)));
  };
  c->readWeight = [=](Kernel &k, Value code, Value channel) {
    return minusZero(k, 1, code, Index(channels, ValueRange(channel), channel));
  };
  c->store = [&](Kernel &k, Value, const Index &at, Value sum) { k.store(node.output(), at, sum); };
  emitConvolution(lowering, "convinteger", *c);
  return success();
}

void qcc::registerIntegerProducts(OperatorRegistry &registry) {
  registry.add("", "MatMulInteger", inferMatMulInteger, lowerMatMulInteger, /*acceptsEpilogue=*/true);
  registry.add("", "ConvInteger", inferConvInteger, lowerConvInteger, /*acceptsEpilogue=*/true);
}
