// Convolutions of whole codes, as `multiplyCodes` makes them, become products of bytes.
#include "ConstantMath.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Target/CodeConvolution.h"
#include <numeric>

using namespace mlir;
using namespace qcc;

static constexpr int64_t allElements = INT64_MAX;

/// The node that makes whole numbers of codes without their zero: DequantizeLinear by 1.
static onnx::NodeOp wholeCodes(Value value) {
  onnx::NodeOp op = madeBy(value, "DequantizeLinear");
  return op && splatOf(op->getOperand(1)) == 1.0 && Node(op).outputElement().isF32() ? op : onnx::NodeOp();
}

/// The zero of codes, where it is one known number.
static std::optional<int64_t> zeroOf(const Node &dequantize) {
  if (!dequantize.has(2))
    return 0;
  auto zeros = dequantize.constant(2);
  auto numbers = zeros ? zeros->integers(allElements) : std::nullopt;
  if (!numbers || numbers->empty() || !llvm::all_equal(*numbers))
    return std::nullopt;
  return numbers->front();
}

namespace {
/// The weights of a convolution, outputs x inputs x taps, that is one product of all inputs or of one for each output.
struct ConvWeights {
  ArrayRef<int64_t> shape; // of the operand
  SmallVector<int64_t> numbers;
  bool isDepthwise;

  int64_t outputs() const { return shape[0]; }
  int64_t perOutput() const { return int64_t(numbers.size()) / outputs(); }
  int64_t taps() const { return perOutput() / shape[1]; }
  int64_t sumOf(int64_t output) const {
    ArrayRef<int64_t> own = ArrayRef(numbers).slice(output * perOutput(), perOutput());
    return std::accumulate(own.begin(), own.end(), int64_t(0));
  }
  /// As qcc.CodeConv has them: the inputs behind the taps, the last axis in fours.
  SmallVector<int64_t> packedShape() const {
    SmallVector<int64_t> result = {outputs()};
    llvm::append_range(result, shape.drop_front(2));
    if (!isDepthwise)
      result.push_back(shape[1]);
    result.back() = int64_t(llvm::alignTo(result.back(), codesPerLane));
    return result;
  }
  std::vector<int8_t> packed() const {
    int64_t length = isDepthwise ? shape.back() : shape[1]; // of the last axis
    std::vector<int8_t> result;
    for (int64_t output = 0; output < outputs(); ++output)
      for (int64_t row = 0; row < perOutput() / length; ++row) {
        for (int64_t i = 0; i < length; ++i) {
          int64_t at = isDepthwise ? row * length + i : i * taps() + row;
          result.push_back(int8_t(numbers[output * perOutput() + at]));
        }
        result.resize(llvm::alignTo(result.size(), codesPerLane));
      }
    return result;
  }
};
} // namespace

/// The weights of a convolution of codes that can be one of bytes.
static std::optional<ConvWeights> weightsOf(const Node &conv, const Node &codes, const Node &weights) {
  auto constant = weights.constant(0);
  if (!codes.element(0).isUnsignedInteger(8) || zeroOf(weights) != 0 || !constant ||
      !constant->type.getElementType().isInteger(8) || constant->type.getElementType().isUnsignedInteger(8))
    return std::nullopt;
  auto shape = constant->type.getShape();
  int64_t groups = conv.intAttr("group", 1), channels = cast<RankedTensorType>(codes.input(0).getType()).getDimSize(1);
  bool isDepthwise = groups > 1 && shape[1] == 1;
  if ((groups != 1 && !isDepthwise) || shape.size() < 3 || constant->type.getNumElements() == 0 ||
      channels != groups * shape[1])
    return std::nullopt;
  return ConvWeights{shape, *constant->integers(allElements), isDepthwise};
}

/// A constant with the bytes of the numbers.
template <typename T>
static Value constantOfNumbers(ConstantMath &m, StringRef name, ArrayRef<int64_t> shape, ArrayRef<T> numbers) {
  Type element = m.b.getIntegerType(8 * sizeof(T));
  ArrayRef<char> data(reinterpret_cast<const char *>(numbers.data()), numbers.size() * sizeof(T));
  auto bytes = RankedTensorType::get({int64_t(data.size())}, m.b.getI8Type());
  return onnx::WeightOp::create(m.b, m.loc, RankedTensorType::get(shape, element), name,
                                DenseElementsAttr::getFromRawBuffer(bytes, data));
}

static void raise(onnx::NodeOp op) {
  Node conv(op);
  onnx::NodeOp left = wholeCodes(conv.input(0)), right = wholeCodes(conv.input(1));
  if (!left || !right)
    return;
  Node codes(left);
  auto weights = weightsOf(conv, codes, Node(right));
  auto zero = zeroOf(codes);
  if (!weights || !zero)
    return;
  SmallVector<int32_t> offsets;
  for (int64_t output = 0; output < weights->outputs(); ++output)
    offsets.push_back(int32_t(weights->sumOf(output) * *zero));
  OpBuilder b(op);
  ConstantMath m{b, op->getLoc()};
  std::vector<int8_t> packed = weights->packed();
  SmallVector<Value> operands = {codes.input(0), constantOfNumbers<int8_t>(m, "codes", weights->packedShape(), packed),
                                 constantOfNumbers<int32_t>(m, "offsets", {weights->outputs()}, offsets)};
  if (conv.has(2))
    operands.push_back(conv.input(2));
  NamedAttrList attrs(op.getAttrs());
  attrs.erase("group");
  attrs.set("kernel_shape", b.getDenseI64ArrayAttr(weights->shape.drop_front(2)));
  attrs.set("zero", b.getI64IntegerAttr(*zero));
  if (weights->isDepthwise)
    attrs.set("depthwise", b.getI64IntegerAttr(1));
  auto made = onnx::NodeOp::create(b, op->getLoc(), op->getResultTypes(), b.getStringAttr("CodeConv"),
                                   b.getStringAttr("qcc"), b.getI64IntegerAttr(1), attrs.getDictionary(b.getContext()),
                                   op.getResolvedAttr(), op.getDefinesAttr(), operands, 0);
  op->getResult(0).replaceAllUsesWith(made->getResult(0));
}

void qcc::raiseCodeConv(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    if (op->getNumResults() == 1 && madeBy(op->getResult(0), "Conv"))
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : candidates)
    raise(op);
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
