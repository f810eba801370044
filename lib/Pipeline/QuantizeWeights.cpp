#include "QuantizeWeights.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Pack/WeightMatrix.h"
#include "qcc/Target/Linear.h"

using namespace mlir;
using namespace qcc;

/// Whether the operation's result is an output of the program, as it is or after pointwise operators and changes of
/// shape: the head of a classifier or a language model. A session's state is no output.
static bool isHead(Value result, func::FuncOp main) {
  for (;;) {
    for (OpOperand &use : result.getUses())
      if (isa<func::ReturnOp>(use.getOwner()) && !main.getResultAttr(use.getOperandNumber(), stateAttr))
        return true;
    auto node = result.hasOneUse() ? dyn_cast<onnx::NodeOp>(*result.getUsers().begin()) : onnx::NodeOp();
    const Operator *definition = node ? OperatorRegistry::get().find(node) : nullptr;
    bool reshapes = node && node.getDomain().empty() && node.getOpType() == "Reshape";
    if (!definition || node->getNumResults() != 1 || (!definition->pointwise && !reshapes))
      return false;
    result = node->getResult(0);
  }
}

llvm::Expected<EncodedMatrix> qcc::encodeWeight(Compilation &c, qnt::WeightOp weight, const Format &format) {
  if (weight.getOrder() == "encoded")
    return encodedMatrix(weight, format);
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  std::vector<float> matrix = rowsOf(weight);
  if (!isFinite(matrix))
    return llvm::createStringError("weight '" + weight.getName() + "' holds infinities or NaNs, which '" + format.name +
                                   "' cannot express; use --fmt=float32");
  EncodedMatrix encoded = format.encode(matrix, type.getDimSize(0), type.getDimSize(1));
  c.quality[weight.getResult()] = signalToNoise(format, matrix, encoded);
  return encoded;
}

llvm::Expected<std::vector<float>> qcc::decodeWeight(Compilation &c, qnt::WeightOp weight, const Format &format) {
  if (format.element->bits() == 32)
    return rowsOf(weight);
  auto encoded = encodeWeight(c, weight, format);
  if (!encoded)
    return encoded.takeError();
  std::vector<float> values(encoded->rows * encoded->columns);
  format.decode(*encoded, 0, encoded->rows, values.data());
  return values;
}

static LogicalResult choose(Compilation &c, qnt::LinearOp linear, const Format &wanted) {
  auto weight = linear.getWeight().getDefiningOp<qnt::WeightOp>();
  // A weight that is encoded already keeps its codes, and the compute type that the file asks for.
  bool isEncoded = weight.getOrder() == "encoded";
  auto own = isEncoded ? findFormat(weight.getFormat()) : llvm::Expected<Format>(wanted);
  if (!own)
    return emitError(linear.getLoc()) << llvm::toString(own.takeError());
  const Format &format = *own;
  bool asksFor = isEncoded && c.options.act == "auto";
  auto integer = usesIntegers(format, asksFor ? linear.getAct() : llvm::StringRef(c.options.act));
  if (!integer)
    return emitError(linear.getLoc()) << llvm::toString(integer.takeError());
  if (!constantOf(weight.getResult()))
    return emitError(linear.getLoc()) << "the data of weight '" << weight.getName() << "' is not there";
  linear.setAct(*integer ? "int8" : "f32");
  weight.setFormat(format.name);
  return success();
}

LogicalResult qcc::chooseFormats(Compilation &c) {
  auto format = findFormat(c.options.format);
  if (!format)
    return emitError(c.module->getLoc()) << llvm::toString(format.takeError());
  // A head decides between outputs that lie close together: below 8 bits it costs more than all other layers.
  std::string headName = c.options.headFormat;
  if (headName.empty())
    headName = format->element->bits() < 8 ? "int8-g32" : c.options.format;
  auto headFormat = findFormat(headName);
  if (!headFormat)
    return emitError(c.module->getLoc()) << llvm::toString(headFormat.takeError());
  auto main = c.module->lookupSymbol<func::FuncOp>("main");
  SmallVector<qnt::LinearOp> linears;
  c.module->walk([&](qnt::LinearOp op) { linears.push_back(op); });
  for (qnt::LinearOp linear : linears)
    if (failed(choose(c, linear, isHead(linear.getY(), main) ? *headFormat : *format)))
      return failure();
  return success();
}
