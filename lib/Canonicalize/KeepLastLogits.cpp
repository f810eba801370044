#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

/// The product that an output is made by: its own node, or that of pointwise nodes whose other operands are constants.
static onnx::NodeOp productOf(Value output) {
  for (;;) {
    auto node = output.getDefiningOp<onnx::NodeOp>();
    if (!node)
      return {};
    StringRef type = node.getOpType();
    if (type == "MatMul" || type == "MatMulNBits")
      return node;
    bool isPointwise = llvm::is_contained({"Add", "Mul", "Div", "Sub", "Tanh", "Cast", "Identity"}, type);
    Value next;
    for (Value operand : node->getOperands())
      if (!operand.getDefiningOp<onnx::WeightOp>()) {
        if (next)
          return {};
        next = operand;
      }
    if (!isPointwise || !next)
      return {};
    output = next;
  }
}

/// A constant of one int64.
static Value integer(OpBuilder &b, Location loc, StringRef name, int64_t value) {
  ArrayRef<char> bytes(reinterpret_cast<const char *>(&value), sizeof(value));
  auto data =
      DenseElementsAttr::getFromRawBuffer(RankedTensorType::get({int64_t(sizeof(value))}, b.getI8Type()), bytes);
  return onnx::WeightOp::create(b, loc, RankedTensorType::get({1}, b.getI64Type()), name, data);
}

LogicalResult qcc::keepLastLogits(ModuleOp module, StringRef output) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  Operation *terminator = main.getBody().front().getTerminator();
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    auto name = main.getResultAttrOfType<StringAttr>(i, "onnx.name");
    if (!name || name.getValue() != output)
      continue;
    onnx::NodeOp product = productOf(value);
    if (!product)
      return emitError(value.getLoc()) << "output '" << output
                                       << "' is not made by a matrix product: the logits of its "
                                          "last position alone cannot be computed";
    OpBuilder b(product);
    Location loc = product.getLoc();
    Value x = product->getOperand(0);
    SmallVector<Value> operands = {x, integer(b, loc, "last.starts", -1), integer(b, loc, "last.ends", INT64_MAX),
                                   integer(b, loc, "last.axes", -2)};
    product->setOperand(0, makeNode(b, loc, "Slice", 13, operands, {}, x.getType()));
    return success();
  }
  return emitError(main.getLoc()) << "the model has no output '" << output << "'";
}
