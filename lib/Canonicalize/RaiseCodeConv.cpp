// 1 x 1 convolutions of whole codes, as `multiplyCodes` makes them, become products of bytes.
#include "ConstantMath.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

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

static bool isPointwise(const Node &conv) {
  auto all = [&](StringRef name, int64_t value) {
    return llvm::all_of(conv.intsAttr(name).value_or(SmallVector<int64_t>()), [&](int64_t v) { return v == value; });
  };
  auto shape = cast<RankedTensorType>(conv.input(1).getType()).getShape();
  StringRef autoPad = conv.stringAttr("auto_pad", "NOTSET");
  return llvm::all_of(shape.drop_front(2), [](int64_t length) { return length == 1; }) &&
         conv.intAttr("group", 1) == 1 && all("strides", 1) && all("pads", 0) &&
         (autoPad == "NOTSET" || autoPad == "VALID");
}

static void raise(onnx::NodeOp op) {
  Node conv(op);
  onnx::NodeOp left = wholeCodes(conv.input(0)), right = wholeCodes(conv.input(1));
  if (!left || !right || !isPointwise(conv))
    return;
  Node codes(left), weights(right);
  auto zero = zeroOf(codes), weightZero = zeroOf(weights);
  auto constant = weights.constant(0);
  if (!codes.element(0).isUnsignedInteger(8) || !zero || weightZero != 0 || !constant ||
      !constant->type.getElementType().isInteger(8) || constant->type.getElementType().isUnsignedInteger(8))
    return;
  auto numbers = *constant->integers(allElements);
  int64_t outputs = constant->type.getDimSize(0),
          inputs = constant->type.getNumElements() / std::max<int64_t>(outputs, 1);
  if (numbers.empty())
    return;
  SmallVector<int32_t> offsets;
  for (int64_t row = 0; row < outputs; ++row) {
    int64_t sum = 0;
    for (int64_t number : ArrayRef(numbers).slice(row * inputs, inputs))
      sum += number;
    offsets.push_back(int32_t(sum * *zero));
  }
  OpBuilder b(op);
  ConstantMath m{b, op->getLoc()};
  auto type = RankedTensorType::get({outputs}, b.getI32Type());
  ArrayRef<char> data(reinterpret_cast<const char *>(offsets.data()), offsets.size() * sizeof(int32_t));
  auto bytes = RankedTensorType::get({int64_t(data.size())}, b.getI8Type());
  Value offset =
      onnx::WeightOp::create(b, op->getLoc(), type, "offsets", DenseElementsAttr::getFromRawBuffer(bytes, data));
  SmallVector<Value> operands = {codes.input(0), m.reshape(weights.input(0), {outputs, inputs}), offset};
  if (conv.has(2))
    operands.push_back(conv.input(2));
  auto made = onnx::NodeOp::create(b, op->getLoc(), op->getResultTypes(), b.getStringAttr("CodeConv"),
                                   b.getStringAttr("qcc"), b.getI64IntegerAttr(1),
                                   b.getDictionaryAttr({b.getNamedAttr("zero", b.getI64IntegerAttr(*zero))}),
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
