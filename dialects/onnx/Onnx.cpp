#include "dialects/onnx/Onnx.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qcc::onnx;

#include "dialects/onnx/OnnxDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/onnx/OnnxTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/onnx/OnnxOps.cpp.inc"

void OnnxDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/onnx/OnnxTypes.cpp.inc"
      >();
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

Type qcc::onnx::elementType(int64_t dataType, MLIRContext *context) {
  Builder b(context);
  auto unsignedInt = [&](unsigned width) { return IntegerType::get(context, width, IntegerType::Unsigned); };
  switch (dataType) { // the numbers of TensorProto.DataType
  case 1:
    return b.getF32Type();
  case 2:
    return unsignedInt(8);
  case 3:
    return b.getI8Type();
  case 4:
    return unsignedInt(16);
  case 5:
    return b.getI16Type();
  case 6:
    return b.getI32Type();
  case 7:
    return b.getI64Type();
  case 9:
    return b.getI1Type();
  case 10:
    return b.getF16Type();
  case 11:
    return b.getF64Type();
  case 12:
    return unsignedInt(32);
  case 13:
    return unsignedInt(64);
  case 16:
    return b.getBF16Type();
  case 17:
    return Float8E4M3FNType::get(context);
  case 18:
    return Float8E4M3FNUZType::get(context);
  case 19:
    return Float8E5M2Type::get(context);
  case 20:
    return Float8E5M2FNUZType::get(context);
  case 21:
    return unsignedInt(4);
  case 22:
    return b.getIntegerType(4);
  case 23:
    return Float4E2M1FNType::get(context);
  case 24:
    return Float8E8M0FNUType::get(context);
  case 25:
    return unsignedInt(2);
  case 26:
    return b.getIntegerType(2);
  default:
    return {};
  }
}

std::optional<int64_t> qcc::onnx::dataTypeOf(Type element) {
  for (int64_t number = 1; number <= 26; ++number)
    if (elementType(number, element.getContext()) == element)
      return number;
  return std::nullopt;
}

LogicalResult NodeOp::verify() {
  if (getOpType().empty())
    return emitOpError("has no operator type");
  for (Type type : llvm::concat<const Type>(getOperandTypes(), getResultTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    auto dims = tensor ? dyn_cast_if_present<AffineMapAttr>(tensor.getEncoding()) : AffineMapAttr();
    if (dims && (dims.getValue().getNumDims() != 0 || dims.getValue().getNumResults() != tensor.getRank()))
      return emitOpError("has a type whose ") << tensor.getRank() << " dimensions are given by another number of "
                                              << "expressions: " << type;
  }
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
  int64_t count = 1;
  bool fits = llvm::none_of(type.getShape(), [&](int64_t size) { return llvm::MulOverflow(count, size, count); });
  std::optional<int64_t> expected = fits ? rawBytes(type.getElementType(), count) : std::nullopt;
  if (!expected)
    return emitOpError("'") << getName() << "' has more bytes than can be counted: " << type;
  int64_t held = bytes.getNumElements();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(getData()))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob()) // elided when the IR was printed without it
      held = std::min(held, int64_t(blob->getData().size()));
  if (*expected != held)
    return emitOpError("'") << getName() << "' holds " << held << " bytes, but " << type << " needs " << *expected;
  return success();
}
