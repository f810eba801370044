#include "ConstantMath.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Tile/Numbers.h"

using namespace mlir;
using namespace qcc;

static constexpr double exactBelow = 1 << 24; // whole numbers up to here are exact in float32
static constexpr int64_t allElements = INT64_MAX;

namespace {
/// A value that is DequantizeLinear of integer codes of up to 8 bits.
struct Codes {
  Value codes, scale, zero; // the zero is null where it is 0
  int64_t axis;             // along which scale and zero go, where they are lists

  static std::optional<Codes> of(Value value) {
    onnx::NodeOp op = madeBy(value, "DequantizeLinear");
    if (!op)
      return std::nullopt;
    Node node(op);
    Type type = node.element(0);
    if (!isa<IntegerType>(type) || type.getIntOrFloatBitWidth() > 8 || !node.outputElement().isF32() ||
        !node.element(1).isF32() || node.intAttr("block_size", 0))
      return std::nullopt;
    int64_t axis = node.intAttr("axis", 1);
    return Codes{node.input(0), node.input(1), node.has(2) ? node.input(2) : Value(),
                 axis < 0 ? axis + node.rank(0) : axis};
  }
  bool hasOneScale() const { return cast<RankedTensorType>(scale.getType()).getNumElements() == 1; }
  /// The largest code without its zero, whatever the codes are.
  double largest() const {
    Type type = cast<ShapedType>(codes.getType()).getElementType();
    double span = std::ldexp(1.0, int(type.getIntOrFloatBitWidth())) - 1, low = isUnsigned(type) ? 0 : -(span + 1) / 2;
    auto zeros = zero ? constantOf(zero) : std::nullopt;
    auto numbers = zeros ? zeros->integers() : std::nullopt;
    if (zero && (!numbers || numbers->size() != 1))
      return span;
    double offset = zero ? double(numbers->front()) : 0;
    return std::max(std::abs(low - offset), std::abs(low + span - offset));
  }
};

/// A convolution or matrix product whose right operand is constant codes.
struct Product {
  onnx::NodeOp op;
  Codes left, right;
  int64_t outputs, outputAxis; // of the right operand
  int64_t resultAxis;          // of the outputs, in the result

  static std::optional<Product> of(onnx::NodeOp op) {
    Node node(op);
    StringRef type = node.type();
    bool isConv = type == "Conv", isGemm = type == "Gemm";
    if (!op.getDomain().empty() || (!isConv && !isGemm && type != "MatMul"))
      return std::nullopt;
    auto left = Codes::of(node.input(0)), right = Codes::of(node.input(1));
    if (!left || !right || !left->hasOneScale() || !constantOf(right->codes) || !constantOf(right->scale) ||
        (right->zero && !constantOf(right->zero)))
      return std::nullopt;
    if (isGemm && (node.floatAttr("alpha", 1) != 1 || node.floatAttr("beta", 1) != 1))
      return std::nullopt;
    auto shape = cast<RankedTensorType>(right->codes.getType()).getShape();
    if (!isConv && shape.size() != 2)
      return std::nullopt;
    int64_t axis = isConv || (isGemm && node.intAttr("transB", 0)) ? 0 : 1;
    if (!right->hasOneScale() && right->axis != axis)
      return std::nullopt;
    int64_t rank = cast<RankedTensorType>(op->getResult(0).getType()).getRank();
    return Product{op, *left, *right, shape[axis], axis, isConv ? 1 : rank - 1};
  }

  /// The largest sum of codes without zeros for each output, whatever the left operand is.
  SmallVector<double> largestSums() const {
    auto codes = *constantOf(right.codes)->integers(allElements);
    SmallVector<int64_t> zeros(1, 0);
    if (right.zero)
      zeros = *constantOf(right.zero)->integers(allElements);
    auto shape = cast<RankedTensorType>(right.codes.getType()).getShape();
    int64_t inner = 1;
    for (int64_t length : shape.drop_front(outputAxis + 1))
      inner *= length;
    SmallVector<double> sums(outputs, 0);
    for (auto [i, code] : llvm::enumerate(codes)) {
      int64_t output = int64_t(i) / inner % outputs;
      sums[output] += std::abs(double(code - zeros[zeros.size() == 1 ? 0 : output])) * left.largest();
    }
    return sums;
  }
};
} // namespace

/// The codes of a bias in the scale of the sums, when the value is such a bias and no sum with it is too large.
static Value biasCodes(const Product &product, Value value, ArrayRef<double> largest) {
  onnx::NodeOp op = madeBy(value, "DequantizeLinear");
  if (!op || !Node(op).element(0).isInteger(32) || Node(op).has(2) || Node(op).rank(0) != 1)
    return {};
  Node node(op);
  auto codes = node.constant(0);
  auto numbers = codes ? codes->integers(allElements) : std::nullopt;
  auto scales = node.constant(1), left = constantOf(product.left.scale), right = constantOf(product.right.scale);
  if (!numbers || int64_t(numbers->size()) != product.outputs || !scales || !left || !right)
    return {};
  auto own = *scales->numbers(allElements), weights = *right->numbers(allElements);
  double input = left->numbers()->front();
  constexpr double sameScale = 1e-6; // the bias' scale is the rounded product of the others
  for (int64_t i = 0; i < product.outputs; ++i) {
    double scale = own[own.size() == 1 ? 0 : i], expected = input * weights[weights.size() == 1 ? 0 : i];
    if (std::abs(scale - expected) > sameScale * std::abs(expected) ||
        largest[i] + std::abs(double((*numbers)[i])) >= exactBelow)
      return {};
  }
  return node.input(0);
}

static void multiplyCodes(onnx::NodeOp op) {
  auto product = Product::of(op);
  if (!product)
    return;
  SmallVector<double> largest = product->largestSums();
  if (llvm::any_of(largest, [](double sum) { return sum >= exactBelow; }))
    return;
  Node node(op);
  bool hasBias = node.has(2);
  Value bias = hasBias ? biasCodes(*product, node.input(2), largest) : Value();
  auto biasType = hasBias ? cast<RankedTensorType>(node.input(2).getType()) : RankedTensorType();
  if (hasBias && !bias &&
      (!biasType.hasStaticShape() || biasType.getNumElements() != product->outputs ||
       biasType.getShape().back() != product->outputs))
    return;

  OpBuilder b(op);
  ConstantMath m{b, op->getLoc()};
  Type f32 = b.getF32Type();
  auto resultType = cast<RankedTensorType>(op->getResult(0).getType());
  Value one = m.scalar(f32, 1, "scale");
  auto whole = [&](const Codes &c) {
    auto type = cast<RankedTensorType>(c.codes.getType());
    SmallVector<NamedAttribute> attrs = {b.getNamedAttr("axis", b.getI64IntegerAttr(c.axis))};
    return makeNode(b, op->getLoc(), "DequantizeLinear", 21, {c.codes, one, c.zero}, attrs,
                    RankedTensorType::get(type.getShape(), f32, type.getEncoding()));
  };
  SmallVector<Value> operands = {whole(product->left), whole(product->right)};
  if (bias)
    operands.push_back(m.node("DequantizeLinear", 21, {bias, one, Value()}, {product->outputs}, f32));
  auto sums =
      onnx::NodeOp::create(b, op->getLoc(), TypeRange{resultType}, op.getOpTypeAttr(), op.getDomainAttr(),
                           op.getVersionAttr(), op.getAttrs(), op.getResolvedAttr(), op.getDefinesAttr(), operands, 0);
  // Numbers of outputs stand along their axis of the result.
  auto along = [&](Value list) {
    int64_t count = cast<RankedTensorType>(list.getType()).getNumElements();
    SmallVector<int64_t> shape(count == 1 ? 0 : resultType.getRank() - product->resultAxis, 1);
    if (count != 1)
      shape[0] = count;
    return m.reshape(list, shape);
  };
  Value scale = m.binary("Mul", along(product->right.scale), along(product->left.scale));
  Value result = makeNode(b, op->getLoc(), "Mul", 14, {sums->getResult(0), scale}, {}, resultType);
  if (hasBias && !bias)
    result = makeNode(b, op->getLoc(), "Add", 14, {result, along(node.input(2))}, {}, resultType);
  op->getResult(0).replaceAllUsesWith(result);
}

void qcc::multiplyCodes(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    if (op->getNumResults() == 1 && op->getNumOperands() >= 2)
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : candidates)
    ::multiplyCodes(op);
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
