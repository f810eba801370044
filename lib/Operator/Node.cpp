#include "qcc/Operator/Node.h"
#include "dialects/qnt/Qnt.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace qcc;

static std::optional<ConstantTensor> bytesOf(RankedTensorType type, Attribute data) {
  if (auto resource = dyn_cast_if_present<DenseResourceElementsAttr>(data)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    return blob ? std::optional(ConstantTensor{type, blob->getData(), nullptr}) : std::nullopt;
  }
  auto dense = dyn_cast_if_present<DenseElementsAttr>(data);
  if (!dense)
    return std::nullopt;
  if (!dense.isSplat())
    return ConstantTensor{type, dense.getRawData(), nullptr};
  auto all = std::make_shared<const std::vector<char>>(dense.getNumElements(), dense.getRawData().front());
  return ConstantTensor{type, ArrayRef<char>(*all), all};
}

std::optional<ConstantTensor> qcc::constantOf(Value value) {
  if (auto weight = value ? value.getDefiningOp<qnt::WeightOp>() : qnt::WeightOp())
    return bytesOf(cast<RankedTensorType>(weight.getResult().getType()), weight.getData());
  auto weight = value ? value.getDefiningOp<onnx::WeightOp>() : onnx::WeightOp();
  return weight ? bytesOf(cast<RankedTensorType>(weight.getResult().getType()), weight.getData()) : std::nullopt;
}

bool qcc::isPackedConstant(Value value) {
  auto type = value.getDefiningOp<onnx::WeightOp>() ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
  return type && type.getElementTypeBitWidth() < 8 && !type.getElementType().isInteger(1);
}

bool qcc::isRandom(onnx::NodeOp node) {
  return node.getOpType().starts_with("Random") || node.getOpType() == "Bernoulli" || node.getOpType() == "Multinomial";
}

/// Element `i` of packed little-endian integers of `bits` bits.
static uint64_t rawElement(ArrayRef<char> bytes, unsigned bits, int64_t i) {
  if (bits < 8)
    return (uint8_t(bytes[i * bits / 8]) >> (i * bits % 8)) & ((1u << bits) - 1);
  uint64_t value = 0;
  memcpy(&value, bytes.data() + i * (bits / 8), bits / 8);
  return value;
}

std::optional<SmallVector<int64_t>> ConstantTensor::integers(int64_t limit) const {
  auto element = dyn_cast<IntegerType>(type.getElementType());
  if (!element || type.getNumElements() > limit)
    return std::nullopt;
  unsigned width = element.getWidth(), bits = width == 1 ? 8 : width;
  SmallVector<int64_t> result;
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    uint64_t raw = rawElement(bytes, bits, i);
    result.push_back(element.isUnsigned() || width == 1 ? int64_t(raw) : llvm::SignExtend64(raw, width));
  }
  return result;
}

std::optional<SmallVector<double>> ConstantTensor::numbers(int64_t limit) const {
  SmallVector<double> result;
  if (auto ints = integers(limit)) {
    bool isUnsigned = type.getElementType().isUnsignedInteger();
    for (int64_t value : *ints)
      result.push_back(isUnsigned ? double(uint64_t(value)) : double(value));
    return result;
  }
  auto element = dyn_cast<FloatType>(type.getElementType());
  if (!element || type.getNumElements() > limit)
    return std::nullopt;
  unsigned bits = element.getWidth();
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    APFloat value(element.getFloatSemantics(), APInt(bits, rawElement(bytes, bits, i)));
    bool inexact;
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &inexact);
    result.push_back(value.convertToDouble());
  }
  return result;
}

template <typename T> static T attributeAs(const Node &node, StringRef name) {
  return dyn_cast_if_present<T>(node.op.getAttrs().get(name));
}

int64_t Node::intAttr(StringRef name, int64_t otherwise) const {
  auto attr = attributeAs<IntegerAttr>(*this, name);
  return attr ? attr.getInt() : otherwise;
}
double Node::floatAttr(StringRef name, double otherwise) const {
  auto attr = attributeAs<FloatAttr>(*this, name);
  return attr ? attr.getValueAsDouble() : otherwise;
}
StringRef Node::stringAttr(StringRef name, StringRef otherwise) const {
  auto attr = attributeAs<StringAttr>(*this, name);
  return attr ? attr.getValue() : otherwise;
}
std::optional<SmallVector<int64_t>> Node::intsAttr(StringRef name) const {
  auto attr = attributeAs<DenseI64ArrayAttr>(*this, name);
  return attr ? std::optional(llvm::to_vector(attr.asArrayRef())) : std::nullopt;
}
std::optional<SmallVector<double>> Node::floatsAttr(StringRef name) const {
  auto attr = attributeAs<DenseF32ArrayAttr>(*this, name);
  if (!attr)
    return std::nullopt;
  return SmallVector<double>(attr.asArrayRef().begin(), attr.asArrayRef().end());
}
std::optional<SmallVector<StringRef>> Node::stringsAttr(StringRef name) const {
  auto attr = attributeAs<ArrayAttr>(*this, name);
  if (!attr || !llvm::all_of(attr, llvm::IsaPred<StringAttr>))
    return std::nullopt;
  return llvm::map_to_vector(attr, [](Attribute text) { return cast<StringAttr>(text).getValue(); });
}
std::optional<ConstantTensor> Node::tensorAttr(StringRef name) const {
  auto attr = attributeAs<DictionaryAttr>(*this, name);
  auto type = attr ? attr.getAs<TypeAttr>("type") : TypeAttr();
  return type ? bytesOf(cast<RankedTensorType>(type.getValue()), attr.get("data")) : std::nullopt;
}

std::optional<double> Node::scalar(unsigned i) const {
  auto tensor = constant(i);
  if (!tensor || tensor->type.getNumElements() != 1)
    return std::nullopt;
  auto values = tensor->numbers();
  return values ? std::optional((*values)[0]) : std::nullopt;
}

std::optional<SmallVector<Dim>> Node::resolved(StringRef name) const {
  std::optional<DictionaryAttr> dict = op.getResolved();
  auto map = dict ? dict->getAs<AffineMapAttr>(name) : AffineMapAttr();
  return map ? std::optional(llvm::to_vector(map.getValue().getResults())) : std::nullopt;
}

FailureOr<int64_t> Node::axis(int64_t value, int64_t rank) const {
  if (value < -rank || value >= rank)
    return error("has axis " + Twine(value) + ", but the rank is " + Twine(rank));
  return value < 0 ? value + rank : value;
}

bool qcc::isUnused(Operation *op) {
  auto node = dyn_cast<onnx::NodeOp>(op);
  if (node && (node.getDefines() || Node(node).resolved("counts")))
    return false;
  return op->use_empty();
}

LogicalResult Node::error(const Twine &what) const { return emitError(op->getLoc()) << type() << " " << what; }

LogicalResult Node::unsupported(const Twine &what) const {
  return emitError(op->getLoc()) << type() << " is not supported here: " << what;
}
