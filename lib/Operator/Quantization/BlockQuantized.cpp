// com.microsoft's operators on matrices of small codes with a scale and a zero for each block of a row: MatMulNBits and
// GatherBlockQuantized. Constant matrices of MatMulNBits are raised to `qnt.linear`; this is what is left.
#include "Register.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

/// Number `i` of unsigned codes that are packed from the low bits of each byte on.
static Value packedCode(Kernel &k, Value tensor, Value i, int64_t bits) {
  Type byteType = cast<ShapedType>(tensor.getType()).getElementType(), i64 = k.b.getI64Type();
  int64_t perByte = 8 / bits;
  Value at = k.div(i, k.constant(perByte));
  Value byte = castNumber(k.b, k.load(tensor, Index(dimsOf(tensor.getType()), at)), byteType, i64);
  Value shifted = arith::ShRUIOp::create(k.b, byte, k.mul(k.rem(i, k.constant(perByte)), k.constant(bits)));
  return arith::AndIOp::create(k.b, shifted, k.constant((1 << bits) - 1));
}

static bool isByte(Type element) { return isa<IntegerType>(element) && element.getIntOrFloatBitWidth() == 8; }

// ---- MatMulNBits

namespace {
enum Operand { x, codes, scales, zeros, groups, bias };

struct Layout {
  int64_t inputs, outputs, bits, block, blocks, rowBytes, zeroBytes;
  explicit Layout(const Node &node)
      : inputs(node.intAttr("K", 0)), outputs(node.intAttr("N", 0)), bits(node.intAttr("bits", 4)),
        block(node.intAttr("block_size", 0)) {
    blocks = block > 0 ? (inputs + block - 1) / block : 0;
    rowBytes = blocks * block * bits / 8, zeroBytes = (blocks * bits + 7) / 8;
  }
};
} // namespace

static LogicalResult inferMatMulNBits(Infer &infer) {
  Dimensions &d = infer.dim();
  Layout l(infer);
  if (infer.inputs() < 3 || !infer.has(x) || !infer.has(codes) || !infer.has(scales) || infer.rank(x) < 1)
    return infer.error("needs an input, codes and scales");
  if (l.inputs < 1 || l.outputs < 1 || l.block < 16 || !llvm::isPowerOf2_64(uint64_t(l.block)))
    return infer.error("needs positive K and N and a block_size that is a power of two from 16 on");
  if (l.bits != 2 && l.bits != 4 && l.bits != 8)
    return infer.unsupported("codes of " + Twine(l.bits) + " bits; use 2, 4 or 8");
  if (infer.has(groups))
    return infer.unsupported("g_idx; quantize the model without reordered groups");
  if (infer.intAttr("weight_prepacked", 0))
    return infer.unsupported("weights in a layout of one device; use the model as it was before it was prepared");
  if (!isFloat(infer.element(x)) || !isFloat(infer.element(scales)) || !isByte(infer.element(codes)))
    return infer.error("takes floats, codes in bytes and scales that are floats");
  auto count = [&](unsigned i) { return d.product(infer.dims(i)); };
  auto has = [&](unsigned i, int64_t elements) -> LogicalResult {
    if (auto known = constantOf(count(i)); known && *known != elements)
      return infer.error("has " + Twine(*known) + " elements in operand number " + Twine(i) + ", not " +
                         Twine(elements));
    infer.requireEqual(count(i), d.constant(elements));
    return success();
  };
  if (constantOf(count(codes)) == 0)
    return infer.unsupported("a matrix that is left out");
  if (failed(has(codes, l.outputs * l.rowBytes)) || failed(has(scales, l.outputs * l.blocks)) ||
      (infer.has(zeros) && failed(has(zeros, l.outputs * (isByte(infer.element(zeros)) ? l.zeroBytes : l.blocks)))) ||
      (infer.has(bias) && failed(has(bias, l.outputs))))
    return failure();
  SmallVector<Dim> dims = infer.dims(x);
  infer.requireEqual(dims.back(), d.constant(l.inputs));
  dims.back() = d.constant(l.outputs);
  infer.result(0, dims, infer.element(x));
  return success();
}

static LogicalResult lowerMatMulNBits(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Layout l(node);
  SmallVector<Dim> in = node.dims(x), out = node.outputDims();
  Contraction c;
  c.accumulator = accumulatorOf(node.element(x));
  c.rows = d.product(ArrayRef<Dim>(in).drop_back());
  c.columns = d.constant(l.outputs), c.depth = d.constant(l.inputs);
  c.rightIsTransposed = true;
  auto number = [&](Kernel &k, unsigned i, Value at) {
    Value value = k.load(node.input(i), Index(node.dims(i), at));
    return castNumber(k.b, value, computeType(node.element(i)), c.accumulator);
  };
  c.left = [&](Kernel &k, ArrayRef<Value>, Value row, Value step) {
    return number(k, x, k.add(k.mul(row, k.constant(l.inputs)), step));
  };
  c.right = [&](Kernel &k, ArrayRef<Value>, Value step, Value column) {
    Value block = k.div(step, k.constant(l.block)), place = k.add(k.mul(column, k.constant(l.blocks)), block);
    auto asFloat = [&](Value code) -> Value { return arith::SIToFPOp::create(k.b, c.accumulator, code); };
    Value code =
        packedCode(k, node.input(codes), k.add(k.mul(column, k.constant(l.rowBytes * 8 / l.bits)), step), l.bits);
    Value zero;
    if (!node.has(zeros))
      zero = numberConstant(k.b, c.accumulator, 1 << (l.bits - 1));
    else if (isByte(node.element(zeros)))
      zero = asFloat(
          packedCode(k, node.input(zeros), k.add(k.mul(column, k.constant(l.zeroBytes * 8 / l.bits)), block), l.bits));
    else
      zero = number(k, zeros, place);
    return multiply(k, arith::SubFOp::create(k.b, asFloat(code), zero), number(k, scales, place));
  };
  c.store = [&](Kernel &k, ArrayRef<Value>, Value row, Value column, Value sum) {
    if (node.has(bias))
      sum = plus(k, sum, number(k, bias, column));
    k.store(node.output(), Index(out, k.add(k.mul(row, k.constant(l.outputs)), column)), sum);
  };
  emitContraction(lowering, "matmul_nbits", c);
  return success();
}

// ---- GatherBlockQuantized

namespace {
struct Table {
  int64_t gatherAxis, blockAxis, block, bits;
  bool isPacked; // codes of fewer than 8 bits in bytes along the last axis

  explicit Table(const Node &node) {
    int64_t rank = node.rank(0);
    auto axis = [&](StringRef name, int64_t otherwise) {
      int64_t value = node.intAttr(name, otherwise);
      return value < 0 ? value + rank : value;
    };
    gatherAxis = axis("gather_axis", 0), blockAxis = axis("quantize_axis", 1);
    block = node.intAttr("block_size", 128);
    bool isBytes = isByte(node.element(0));
    bits = isBytes ? node.intAttr("bits", 4) : node.element(0).getIntOrFloatBitWidth();
    isPacked = isBytes && bits < 8;
  }
};
} // namespace

static LogicalResult inferGatherBlockQuantized(Infer &infer) {
  Dimensions &d = infer.dim();
  if (infer.inputs() < 3 || !infer.has(0) || !infer.has(1) || !infer.has(2) || infer.rank(0) < 1)
    return infer.error("needs data, indices and scales");
  Table t(infer);
  int64_t rank = infer.rank(0);
  if (!isa<IntegerType>(infer.element(0)) || t.bits > 8 || (t.bits != 2 && t.bits != 4 && t.bits != 8))
    return infer.unsupported("data of this type; use integers of 2, 4 or 8 bits");
  if (!isa<IntegerType>(infer.element(1)) || !isFloat(infer.element(2)))
    return infer.error("takes integer indices and scales that are floats");
  if (t.gatherAxis < 0 || t.gatherAxis >= rank || t.blockAxis < 0 || t.blockAxis >= rank || t.block < 16 ||
      !llvm::isPowerOf2_64(uint64_t(t.block)))
    return infer.error("has axes or a block_size out of range");
  if (isByte(infer.element(0)) && (t.gatherAxis != 0 || (t.isPacked && t.blockAxis == 0)))
    return infer.error("takes bytes of codes only with gather_axis 0 and another quantize_axis");
  SmallVector<Dim> data = infer.dims(0), indices = infer.dims(1), blocks = infer.dims(2);
  if (t.isPacked)
    data.back() = d.mul(data.back(), d.constant(8 / t.bits));
  SmallVector<Dim> scaleDims = data;
  scaleDims[t.blockAxis] = d.ceilDiv(data[t.blockAxis], t.block);
  if (blocks.size() != scaleDims.size())
    return infer.error("has scales of another rank than its data");
  for (auto [a, b] : llvm::zip(blocks, scaleDims))
    infer.requireEqual(a, b);
  if (infer.has(3)) {
    SmallVector<Dim> zeroDims = infer.dims(3);
    if (zeroDims.size() != scaleDims.size())
      return infer.error("has zero points of another rank than its data");
    if (t.isPacked)
      scaleDims.back() = d.ceilDiv(scaleDims.back(), 8 / t.bits);
    for (auto [a, b] : llvm::zip(zeroDims, scaleDims))
      infer.requireEqual(a, b);
  }
  SmallVector<Dim> result(data.begin(), data.begin() + t.gatherAxis);
  result.append(indices);
  result.append(data.begin() + t.gatherAxis + 1, data.end());
  infer.result(0, result, infer.element(2));
  return success();
}

static Value gatheredElement(const Node &node, Kernel &k, const Index &index) {
  Table t(node);
  SmallVector<Value> at = index.coords(k), place(at.begin(), at.begin() + t.gatherAxis);
  size_t indexRank = size_t(node.rank(1));
  SmallVector<Value> which(at.begin() + t.gatherAxis, at.begin() + t.gatherAxis + int64_t(indexRank));
  Value length = k.dim(node.dims(0)[t.gatherAxis]), zero = k.constant(0);
  Value chosen = castNumber(k.b, k.load(node.input(1), which), node.element(1), k.b.getI64Type());
  chosen = k.select(k.less(chosen, zero), k.add(chosen, length), chosen);
  // An index that is out of range gives zeros.
  Value isThere = arith::CmpIOp::create(k.b, arith::CmpIPredicate::ult, chosen, length);
  place.push_back(k.select(isThere, chosen, zero));
  place.append(at.begin() + t.gatherAxis + int64_t(indexRank), at.end());
  SmallVector<Value> blockPlace = place;
  blockPlace[t.blockAxis] = k.div(place[t.blockAxis], k.constant(t.block));
  Type type = computeType(node.element(2));
  auto code = [&](unsigned i, SmallVector<Value> at) -> Value {
    Value number;
    if (t.isPacked) { // rows of bytes, each of several codes
      SmallVector<Dim> dims = node.dims(i);
      dims.back() = k.lowering.dims.mul(dims.back(), k.lowering.dims.constant(8 / t.bits));
      number = packedCode(k, node.input(i), k.linearize(at, dims), t.bits);
    } else {
      number = castNumber(k.b, k.load(node.input(i), at), node.element(i), k.b.getI64Type());
    }
    return arith::SIToFPOp::create(k.b, type, number);
  };
  Value value = code(0, place);
  bool countsFromMiddle = isByte(node.element(0));
  if (node.has(3))
    value = arith::SubFOp::create(k.b, value, code(3, blockPlace));
  else if (countsFromMiddle)
    value = arith::SubFOp::create(k.b, value, numberConstant(k.b, type, 1 << (t.bits - 1)));
  value = arith::MulFOp::create(k.b, value, k.load(node.input(2), blockPlace));
  return k.select(isThere, value, numberConstant(k.b, type, 0));
}

void qcc::registerBlockQuantized(OperatorRegistry &registry) {
  Operator product;
  product.domain = "com.microsoft", product.type = "MatMulNBits";
  product.infer = inferMatMulNBits, product.lower = lowerMatMulNBits;
  product.acceptsEpilogue = true;
  registry.add(product);
  Operator gather;
  gather.domain = "com.microsoft", gather.type = "GatherBlockQuantized";
  gather.infer = inferGatherBlockQuantized, gather.element = gatheredElement;
  gather.cost = 6;
  registry.add(gather);
}
