#include "qcc/Calibration/CachedKeys.h"
#include "ConstantFloats.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Algorithm/Rotation.h"
#include "qcc/Canonicalize/Dimensions.h"
#include "qcc/Operator/Registry.h"

using namespace mlir;
using namespace qcc;

static std::optional<CachedKeys> keysIn(BlockArgument state, StringRef name) {
  auto format = findFormat(name);
  if (!format)
    return llvm::consumeError(format.takeError()), std::nullopt;
  if (format->isPlain() || !state.hasOneUse())
    return std::nullopt;
  CachedKeys keys;
  keys.state = state, keys.bits = format->element->bits();
  keys.append = dyn_cast<onnx::NodeOp>(*state.getUsers().begin());
  if (!keys.append || keys.append.getDomain() != "qcc" || keys.append->getNumOperands() != 2 ||
      keys.append.getAttrs().contains("axis"))
    return std::nullopt;
  for (OpOperand &use : keys.append->getResult(0).getUses()) {
    if (isa<func::ReturnOp>(use.getOwner()))
      continue;
    auto reader = dyn_cast<onnx::NodeOp>(use.getOwner());
    if (!reader || reader.getOpType() != "Attention" || use.getOperandNumber() != 1 || Node(reader).hasOutput(3))
      return std::nullopt;
    // A softcap, and a score in place of masked ones, are not shifted along.
    keys.shifts &= !Node(reader).hasAttr(maskedScoreAttr) && Node(reader).floatAttr("softcap", 0) == 0;
    keys.readers.push_back(reader);
  }
  SmallVector<Dim> dims = dimsOf(keys.keys().getType());
  auto heads = constantOf(dims[1]), size = constantOf(dims[3]);
  if (keys.readers.empty() || !heads || !size || !cast<ShapedType>(state.getType()).getElementType().isF32())
    return std::nullopt;
  keys.heads = *heads, keys.size = *size;
  return keys;
}

std::vector<CachedKeys> qcc::cachedKeys(ModuleOp module) {
  std::vector<CachedKeys> all;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  for (BlockArgument argument : main.getArguments())
    if (auto format = main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), stateFormatAttr))
      if (auto keys = keysIn(argument, format))
        all.push_back(std::move(*keys));
  return all;
}

namespace {
/// Nodes in front of one.
class Rewriter {
public:
  explicit Rewriter(onnx::NodeOp before) : b(before), loc(before->getLoc()) {}

  Value node(StringRef type, int64_t version, mlir::ValueRange operands, Type result) {
    return onnx::NodeOp::create(b, loc, TypeRange{result}, b.getStringAttr(type), b.getStringAttr(""),
                                b.getI64IntegerAttr(version), b.getDictionaryAttr({}), DictionaryAttr(),
                                DenseI64ArrayAttr(), operands, 0)
        ->getResult(0);
  }
  Value constant(ArrayRef<int64_t> shape, ArrayRef<float> numbers, StringRef name) {
    return makeConstant<float>(b, loc, shape, b.getF32Type(), numbers, name);
  }
  Value like(StringRef type, int64_t version, Value x, Value other) {
    return node(type, version, {x, other}, x.getType());
  }
  /// `x` with its last axis, or the rows of `size` that stand in it, times a matrix.
  Value times(Value x, int64_t size, Value matrix) {
    Type type = x.getType();
    SmallVector<Dim> dims = dimsOf(type);
    if (constantOf(dims.back()) == size)
      return like("MatMul", 13, x, matrix);
    SmallVector<Dim> apart = dims;
    MLIRContext *context = type.getContext();
    apart.back() = getAffineConstantExpr(*constantOf(dims.back()) / size, context);
    apart.push_back(getAffineConstantExpr(size, context));
    Dimensions lengths(context);
    Value absent = onnx::AbsentOp::create(b, loc, b.getNoneType());
    Value rows = node("Reshape", 14, {x, absent}, lengths.tensor(apart, cast<ShapedType>(type).getElementType()));
    return node("Reshape", 14, {like("MatMul", 13, rows, matrix), absent}, type);
  }

private:
  OpBuilder b;
  Location loc;
};
} // namespace

void qcc::balanceKeys(const CachedKeys &keys, ArrayRef<ValueRange> channels) {
  std::vector<float> centre, reach, inverse;
  for (const ValueRange &channel : channels) {
    float middle = keys.shifts ? channel.lowest / 2 + channel.highest / 2 : 0;
    float most = std::max(channel.highest - middle, middle - channel.lowest);
    most = most > std::numeric_limits<float>::min() ? most : 1;
    centre.push_back(middle), reach.push_back(most), inverse.push_back(1 / most);
  }
  Rewriter before(keys.append);
  SmallVector<int64_t> shape = {1, keys.heads, 1, keys.size};
  Value key = keys.keys();
  if (keys.shifts)
    key = before.like("Sub", 14, key, before.constant(shape, centre, "key_centre"));
  key = before.like("Mul", 14, key, before.constant(shape, inverse, "key_inverse"));
  onnx::NodeOp append = keys.append;
  append->setOperand(1, key);
  for (onnx::NodeOp reader : keys.readers) {
    Value query = reader->getOperand(0);
    SmallVector<Dim> dims = dimsOf(query.getType());
    bool isFlat = dims.size() == 3;
    int64_t heads = isFlat ? *constantOf(dims[2]) / keys.size : *constantOf(dims[1]), group = heads / keys.heads;
    std::vector<float> factors;
    for (int64_t head = 0; head < heads; ++head)
      llvm::append_range(factors, ArrayRef(reach).slice(head / group * keys.size, keys.size));
    Rewriter rewriter(reader);
    SmallVector<int64_t> as =
        isFlat ? SmallVector<int64_t>{heads * keys.size} : SmallVector<int64_t>{1, heads, 1, keys.size};
    reader->setOperand(0, rewriter.like("Mul", 14, query, rewriter.constant(as, factors, "key_reach")));
  }
}

void qcc::rotateKeys(const CachedKeys &keys) {
  auto rotation = Rotation::create(keys.size);
  if (!rotation)
    return;
  std::vector<float> matrix(size_t(keys.size * keys.size), 0);
  for (int64_t i = 0; i < keys.size; ++i)
    matrix[size_t(i * keys.size + i)] = 1;
  rotation->apply(matrix.data(), keys.size);
  auto rotated = [&](onnx::NodeOp by, unsigned operand) {
    Rewriter rewriter(by);
    Value constant = rewriter.constant({keys.size, keys.size}, matrix, "key_rotation");
    by->setOperand(operand, rewriter.times(by->getOperand(operand), keys.size, constant));
  };
  rotated(keys.append, 1);
  for (onnx::NodeOp reader : keys.readers)
    rotated(reader, 0);
}
