#include "Match.h"
#include "dialects/qnt/Qnt.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

/// A constant float32 matrix as `qnt.weight` (outputs × inputs); `outputsAlongRows` says how it stands in the model.
static Value matrix(OpBuilder &b, Value constant, bool outputsAlongRows) {
  auto weight = constant.getDefiningOp<onnx::WeightOp>();
  auto type = weight ? cast<RankedTensorType>(constant.getType()) : RankedTensorType();
  if (!weight || type.getRank() != 2 || !type.getElementType().isF32() || type.getNumElements() == 0)
    return {};
  SmallVector<int64_t> shape(type.getShape());
  if (!outputsAlongRows)
    std::swap(shape[0], shape[1]);
  return qnt::WeightOp::create(b, constant.getLoc(), RankedTensorType::get(shape, type.getElementType()),
                               weight.getName(), "float32", outputsAlongRows ? "rows" : "columns", weight.getData(),
                               IntegerAttr());
}

static Value linear(OpBuilder &b, Location loc, Value x, Value weight, Type result) {
  return qnt::LinearOp::create(b, loc, result, x, weight, b.getStringAttr("f32"), FloatAttr());
}

static void raiseMatMul(onnx::NodeOp node) {
  OpBuilder b(node);
  Value x = node->getOperand(0), w = node->getOperand(1);
  auto type = cast<RankedTensorType>(x.getType());
  if (!type.getElementType().isF32() || type.getRank() < 2)
    return;
  bool rows = false;
  if (auto transpose = madeBy(w, "Transpose"); transpose && permutationOf(transpose) == ArrayRef<int64_t>{1, 0})
    w = transpose->getOperand(0), rows = true;
  if (Value weight = matrix(b, w, rows))
    node->getResult(0).replaceAllUsesWith(linear(b, node->getLoc(), x, weight, node->getResult(0).getType()));
}

/// Whether every length of the Gemm's operand C is 1 or that of the result whatever the inputs are.
static bool broadcasts(const Node &node) {
  SmallVector<Dim> from = node.dims(2), to = node.outputDims();
  for (auto [a, b] : llvm::zip(llvm::reverse(from), llvm::reverse(to)))
    if (a != b && constantOf(a) != 1)
      return false;
  return true;
}

/// A Gemm becomes a linear operation and the addition of its operand C.
static void raiseGemm(onnx::NodeOp op) {
  Node node(op);
  OpBuilder b(op);
  if (node.intAttr("transA", 0) || node.floatAttr("alpha", 1) != 1 || (node.has(2) && node.floatAttr("beta", 1) != 1) ||
      !node.element(0).isF32() || (node.has(2) && !broadcasts(node)))
    return;
  Value weight = matrix(b, node.input(1), node.intAttr("transB", 0) != 0);
  if (!weight)
    return;
  Value y = linear(b, op->getLoc(), node.input(0), weight, node.output().getType());
  if (node.has(2))
    y = makeNode(b, op->getLoc(), "Add", 14, {y, node.input(2)}, {}, node.output().getType());
  op->getResult(0).replaceAllUsesWith(y);
}

/// The codes, scales and zeros of a MatMulNBits whose constants are all there, as an encoded `qnt.weight`: the file's
/// own codes, bit for bit.
static Value encodedMatrix(OpBuilder &b, const Node &node, int64_t outputs, int64_t inputs, int64_t bits,
                           int64_t block) {
  auto codes = node.constant(1), scales = node.constant(2), zeros = node.constant(3);
  int64_t blocks = (inputs + block - 1) / block, blockBytes = block * bits / 8, zeroBytes = (blocks * bits + 7) / 8;
  bool hasZero = node.has(3);
  if (!codes || !scales || (hasZero && !zeros) || int64_t(codes->bytes.size()) != outputs * blocks * blockBytes ||
      scales->type.getNumElements() != outputs * blocks)
    return {};
  bool isHalf = scales->type.getElementType().isF16();
  if ((!isHalf && !scales->type.getElementType().isF32()) ||
      (hasZero && (!zeros->type.getElementType().isInteger(8) || int64_t(zeros->bytes.size()) != outputs * zeroBytes)))
    return {};
  int64_t rowBytes = (inputs * bits + 7) / 8;
  std::vector<char> bytes(outputs * rowBytes);
  for (int64_t row = 0; row < outputs; ++row) // the last block of a row is padded in the file
    memcpy(&bytes[row * rowBytes], codes->bytes.data() + row * blocks * blockBytes, rowBytes);
  if (!hasZero) // codes count from the middle: as two's complement numbers the top bit is the other way round
    for (char &code : bytes)
      code = char(code ^ (bits == 4 ? 0x88 : 0x80));
  bytes.insert(bytes.end(), scales->bytes.begin(), scales->bytes.end());
  if (hasZero)
    for (int64_t row = 0; row < outputs; ++row)
      for (int64_t i = 0; i < blocks; ++i) {
        int byte = uint8_t(zeros->bytes[row * zeroBytes + i * bits / 8]);
        bytes.push_back(char(bits == 4 ? byte >> (i % 2 * 4) & 15 : byte));
      }
  float tensorScale = 1;
  bytes.insert(bytes.end(), reinterpret_cast<char *>(&tensorScale), reinterpret_cast<char *>(&tensorScale + 1));
  std::string format =
      "int" + std::to_string(bits) + "-g" + std::to_string(block) + (isHalf ? "" : "-f32") + (hasZero ? "-asym" : "");
  auto weight = node.input(1).getDefiningOp<onnx::WeightOp>();
  auto type = RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type());
  ElementsAttr data = DenseResourceElementsAttr::get(
      type, weight.getName(), HeapAsmResourceBlob::allocateAndCopyWithAlign(ArrayRef<char>(bytes), 64));
  return qnt::WeightOp::create(b, node.op->getLoc(), RankedTensorType::get({outputs, inputs}, b.getF32Type()),
                               weight.getName(), format, "encoded", data, IntegerAttr());
}

// Of a matrix: sizes in bytes are then far from overflowing.
static constexpr int64_t mostRows = int64_t(1) << 28;

/// com.microsoft.MatMulNBits, with the bias that it may have as an addition.
static void raiseQuantized(onnx::NodeOp op) {
  Node node(op);
  OpBuilder b(op);
  int64_t outputs = node.intAttr("N", 0), inputs = node.intAttr("K", 0), bits = node.intAttr("bits", 4),
          block = node.intAttr("block_size", 0);
  bool isBlock = block >= 16 && block <= 256 && llvm::isPowerOf2_64(uint64_t(block));
  if (!isBlock || (bits != 4 && bits != 8) || node.has(4) || !node.element(0).isF32() || outputs <= 0 || inputs <= 0 ||
      outputs > mostRows || inputs > mostRows || constantOf(node.dims(0).back()) != inputs)
    return;
  Value weight = encodedMatrix(b, node, outputs, inputs, bits, block);
  if (!weight)
    return;
  // What the file asks for: 4 is int8 activations, everything else float.
  auto y = qnt::LinearOp::create(b, op->getLoc(), node.output().getType(), node.input(0), weight,
                                 b.getStringAttr(node.intAttr("accuracy_level", 0) == 4 ? "int8" : "f32"), FloatAttr());
  Value result = y.getY();
  if (node.has(5))
    result = makeNode(b, op->getLoc(), "Add", 14, {result, node.input(5)}, {}, node.output().getType());
  op->getResult(0).replaceAllUsesWith(result);
}

void qcc::raiseLinear(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) { candidates.push_back(op); });
  for (onnx::NodeOp op : candidates) {
    if (op.getDomain().empty() && op.getOpType() == "MatMul")
      raiseMatMul(op);
    else if (op.getDomain().empty() && op.getOpType() == "Gemm")
      raiseGemm(op);
    else if (op.getDomain() == "com.microsoft" && op.getOpType() == "MatMulNBits")
      raiseQuantized(op);
  }
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
