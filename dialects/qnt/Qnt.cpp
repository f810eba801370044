#include "dialects/qnt/Qnt.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace qcc::qnt;

#include "dialects/qnt/QntDialect.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/qnt/QntOps.cpp.inc"

void QntDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/qnt/QntOps.cpp.inc"
      >();
}

LogicalResult WeightOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  if (type.getRank() != 2 || !type.hasStaticShape() || !type.getElementType().isF32())
    return emitOpError("is no float32 matrix of known size: ") << type;
  if (getOrder() != "rows" && getOrder() != "columns" && getOrder() != "encoded")
    return emitOpError("has the unknown order '") << getOrder() << "'";
  ShapedType bytes = getData().getShapedType();
  if (!bytes.getElementType().isInteger(8))
    return emitOpError("holds elements of ") << bytes.getElementType() << ", expected bytes";
  if (getOrder() != "encoded" && bytes.getNumElements() != type.getNumElements() * 4)
    return emitOpError("holds ") << bytes.getNumElements() << " bytes, but " << type << " needs "
                                 << type.getNumElements() * 4;
  return success();
}

LogicalResult LinearOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType()), w = cast<RankedTensorType>(getWeight().getType());
  auto y = cast<RankedTensorType>(getY().getType());
  if (w.getRank() != 2)
    return emitOpError("needs a matrix of weights, got ") << w;
  if (x.getRank() < 1 || y.getRank() != x.getRank())
    return emitOpError("maps ") << x << " to " << y << ", whose ranks differ";
  if (x.getShape().back() != w.getDimSize(1))
    return emitOpError("multiplies ") << x.getShape().back() << " inputs with a weight that has " << w.getDimSize(1);
  if (y.getShape().back() != w.getDimSize(0))
    return emitOpError("has ") << y.getShape().back() << " outputs, but its weight has " << w.getDimSize(0);
  if (!llvm::is_contained({"f32", "bf16", "fp8", "int8", "int8-static", "fp8-static", "nvfp4", "mxfp8", "mxfp4"},
                          getAct()))
    return emitOpError("has the unknown compute type '") << getAct() << "'";
  // While the program is calibrated, there is none yet.
  if (getScale() && (getAct() != "int8-static" || !(getScale()->convertToFloat() > 0)))
    return emitOpError("has a scale, which only the compute type 'int8-static' has, above 0");
  return success();
}

LogicalResult LookupOp::verify() {
  auto w = cast<RankedTensorType>(getWeight().getType()), y = cast<RankedTensorType>(getY().getType());
  auto indices = cast<RankedTensorType>(getIndices().getType());
  if (w.getRank() != 2)
    return emitOpError("needs a matrix of weights, got ") << w;
  if (!isa<IntegerType>(indices.getElementType()))
    return emitOpError("has indices that are no integers: ") << indices;
  if (y.getRank() != indices.getRank() + 1 || y.getShape().back() != w.getDimSize(1))
    return emitOpError("takes rows of ") << w << " by " << indices << ", which is no " << y;
  return success();
}
