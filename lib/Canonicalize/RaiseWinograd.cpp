// 3 x 3 convolutions become products of transformed tiles (Winograd's F(2 x 2, 3 x 3)): 16 multiply-adds for 2 x 2
// results and an input channel where the windows themselves take 36.
#include "ConstantMath.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t leastChannels = 16, leastLength = 8; // fewer fill no vectors
/// What transforming an element of a tile costs, in multiply-adds; the input's elements are, and the sums.
static constexpr double transformCost = 5, leastGain = 1.15;

/// Whether the value is computed from constants alone.
static bool isConstant(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_present<onnx::WeightOp, onnx::AbsentOp>(op))
    return true;
  auto node = dyn_cast_or_null<onnx::NodeOp>(op);
  return node && node->getNumOperands() && !node->getNumRegions() && !isRandom(node) &&
         llvm::all_of(node->getOperands(), isConstant);
}

/// Whether all numbers of an attribute are `value`, which is also its default.
static bool isAlways(const Node &node, StringRef name, int64_t value) {
  return llvm::all_of(node.intsAttr(name).value_or(SmallVector<int64_t>()), [&](int64_t v) { return v == value; });
}

/// Whether the node is a 3 x 3 convolution that takes less time in tiles.
static bool isWorthTiles(const Node &conv) {
  if (conv.rank(0) != 4 || !conv.element(0).isF32() || conv.intAttr("group", 1) != 1 || !isAlways(conv, "strides", 1) ||
      !isAlways(conv, "dilations", 1) || conv.stringAttr("auto_pad", "NOTSET") != "NOTSET" ||
      !isConstant(conv.input(1)))
    return false;
  if (madeBy(conv.input(0), "DequantizeLinear")) // sums of codes are exact, which transformed ones would not be
    return false;
  auto weights = cast<RankedTensorType>(conv.input(1).getType()).getShape();
  SmallVector<Dim> input = conv.dims(0), result = conv.outputDims();
  auto height = constantOf(result[2]), width = constantOf(result[3]);
  if (weights[2] != 3 || weights[3] != 3 || !height || !width || !constantOf(input[2]) || !constantOf(input[3]))
    return false;
  int64_t least = std::min({weights[0], weights[1], *height * 2, *width * 2});
  if (least < leastChannels || *width < leastLength || *height < leastLength)
    return false;
  double outputs = double(weights[0]), inputs = double(weights[1]);
  double tiles = double((*height + 1) / 2 * ((*width + 1) / 2)), positions = double(*height * *width);
  double inTiles = 16 * tiles * (outputs * inputs + transformCost * (outputs + inputs));
  return 9 * positions * outputs * inputs > leastGain * inTiles;
}

/// The weights of each pair of channels as a tile: G w Gᵀ, for the 16 elements of a tile x outputs x inputs.
static Value transformed(ConstantMath &m, Value weights) {
  static constexpr float g[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  SmallVector<float> both; // 9 taps x 16 elements
  for (int tap = 0; tap < 9; ++tap)
    for (int element = 0; element < 16; ++element)
      both.push_back(g[element / 4][tap / 3] * g[element % 4][tap % 3]);
  auto type = RankedTensorType::get({9, 16}, m.b.getF32Type());
  ArrayRef<char> data(reinterpret_cast<const char *>(both.data()), both.size() * sizeof(float));
  auto bytes = RankedTensorType::get({int64_t(data.size())}, m.b.getI8Type());
  Value factors =
      onnx::WeightOp::create(m.b, m.loc, type, "winograd", DenseElementsAttr::getFromRawBuffer(bytes, data));
  int64_t outputs = ConstantMath::shapeOf(weights)[0], inputs = ConstantMath::shapeOf(weights)[1];
  Value tiles = m.node("MatMul", 13, {m.reshape(weights, {outputs * inputs, 9}), factors}, {outputs * inputs, 16});
  Value elements =
      makeNode(m.b, m.loc, "Transpose", 21, {tiles}, {m.b.getNamedAttr("perm", m.b.getDenseI64ArrayAttr({1, 0}))},
               RankedTensorType::get({16, outputs * inputs}, m.b.getF32Type()));
  return m.reshape(elements, {16, outputs, inputs});
}

void qcc::raiseWinograd(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    if (op->getNumResults() == 1 && madeBy(op->getResult(0), "Conv") && isWorthTiles(Node(op)))
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : candidates) {
    Node conv(op);
    OpBuilder b(op);
    ConstantMath m{b, op->getLoc()};
    SmallVector<Value> operands = {conv.input(0), transformed(m, conv.input(1))};
    if (conv.has(2))
      operands.push_back(conv.input(2));
    auto pads = b.getNamedAttr("pads", b.getDenseI64ArrayAttr(conv.intsAttr("pads").value_or(SmallVector<int64_t>(4))));
    auto tiled = onnx::NodeOp::create(b, op->getLoc(), op->getResultTypes(), b.getStringAttr("Winograd"),
                                      b.getStringAttr("qcc"), b.getI64IntegerAttr(1), b.getDictionaryAttr({pads}),
                                      op.getResolvedAttr(), op.getDefinesAttr(), operands, 0);
    op->getResult(0).replaceAllUsesWith(tiled->getResult(0));
  }
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
