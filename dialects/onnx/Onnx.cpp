#include "dialects/onnx/Onnx.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qcc::onnx;

#include "dialects/onnx/OnnxDialect.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/onnx/OnnxOps.cpp.inc"

void OnnxDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/onnx/OnnxOps.cpp.inc"
      >();
}

std::optional<int64_t> qcc::onnx::rawBytes(Type element, int64_t count) {
  if (!element.isIntOrFloat() || count < 0)
    return std::nullopt;
  int64_t bits = element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth(), total = 0;
  if (llvm::MulOverflow(bits, count, total) || llvm::AddOverflow(total, int64_t(7), total))
    return std::nullopt;
  return total / 8;
}

LogicalResult NodeOp::verify() {
  if (getOpType().empty())
    return emitOpError("has no operator type");
  if (auto defines = getDefines()) {
    if (defines->size() % 3)
      return emitOpError("'defines' is not a list of (symbol, operand, element) triples");
    for (size_t i = 0; i < defines->size(); i += 3)
      if ((*defines)[i + 1] < 0 || (*defines)[i + 1] >= int64_t(getInputs().size()))
        return emitOpError("'defines' names operand ") << (*defines)[i + 1] << " of " << getInputs().size();
  }
  return success();
}

LogicalResult WeightOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  ShapedType bytes = getData().getShapedType();
  if (!type.hasStaticShape())
    return emitOpError("has a dynamic shape");
  if (!bytes.getElementType().isInteger(8))
    return emitOpError("holds elements of ") << bytes.getElementType() << ", expected bytes";
  std::optional<int64_t> expected = rawBytes(type.getElementType(), type.getNumElements());
  if (!expected || *expected != bytes.getNumElements())
    return emitOpError("'") << getName() << "' holds " << bytes.getNumElements() << " bytes, but " << type << " needs "
                            << (expected ? *expected : -1);
  return success();
}
