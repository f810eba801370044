// Linear operations as products of dequantized numbers.
#include "dialects/onnx/Onnx.h"
#include "dialects/qnt/Qnt.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Export/OnnxFile.h"
#include "qcc/Operator/Node.h"
#include "qcc/Pack/WeightMatrix.h"

using namespace mlir;
using namespace qcc;

namespace {
class Expander {
public:
  explicit Expander(qnt::LinearOp linear) : linear(linear), b(linear), loc(linear.getLoc()) {}

  LogicalResult run() {
    auto weight = linear.getWeight().getDefiningOp<qnt::WeightOp>();
    auto format = findFormat(weight.getFormat());
    if (!format)
      return linear.emitError(llvm::toString(format.takeError()));
    auto matrix = matrixOf(weight, *format);
    auto x = input();
    if (failed(matrix) || failed(x))
      return failure();
    linear.getY().replaceAllUsesWith(make("MatMul", {*x, *matrix}, {}, linear.getY().getType()));
    linear.erase();
    if (weight.getResult().use_empty())
      weight.erase();
    return success();
  }

private:
  template <typename T> Value constant(ArrayRef<int64_t> shape, Type element, ArrayRef<T> numbers, StringRef name) {
    ArrayRef<char> bytes(reinterpret_cast<const char *>(numbers.data()), numbers.size() * sizeof(T));
    ElementsAttr data = DenseResourceElementsAttr::get(RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type()),
                                                       name, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
    return onnx::WeightOp::create(b, loc, RankedTensorType::get(shape, element), name, data);
  }

  Value make(StringRef type, mlir::ValueRange operands, ArrayRef<NamedAttribute> attrs, Type result) {
    return onnx::NodeOp::create(b, loc, TypeRange{result}, b.getStringAttr(type), b.getStringAttr(""),
                                b.getI64IntegerAttr(13), b.getDictionaryAttr(attrs), DictionaryAttr(),
                                DenseI64ArrayAttr(), operands, 0)
        ->getResult(0);
  }

  /// What the product reads, rounded as the compute type says it.
  FailureOr<Value> input() {
    Value x = linear.getX();
    if (linear.getAct() == "int8")
      return linear.emitError("quantizes its input when the program runs, which QuantizeLinear does not: use "
                              "--act=int8-static, or --act=f32 for weights alone");
    if (linear.getAct().starts_with("mx") || linear.getAct().starts_with("nv"))
      return linear.emitError("rounds its input to '")
             << linear.getAct() << "' when the program runs, which the model has no nodes for: use --act=f32";
    if (!linear.getScale())
      return x;
    Value scale = constant<float>({}, b.getF32Type(), linear.getScale()->convertToFloat(), "scale");
    Value zero = constant<int8_t>({}, b.getI8Type(), int8_t(0), "zero");
    auto type = cast<RankedTensorType>(x.getType());
    auto codes = RankedTensorType::get(type.getShape(), b.getI8Type(), type.getEncoding());
    return make("DequantizeLinear", {make("QuantizeLinear", {x, scale, zero}, {}, codes), scale, zero}, {}, type);
  }

  /// The weights, inputs x outputs.
  FailureOr<Value> matrixOf(qnt::WeightOp weight, const Format &format) {
    auto type = cast<RankedTensorType>(weight.getResult().getType());
    int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
    auto transposed = [&](auto from) {
      decltype(from) to(from.size());
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < columns; ++column)
          to[column * rows + row] = from[row * columns + column];
      return to;
    };
    if (format.element->bits() == 32)
      return constant<float>({columns, rows}, b.getF32Type(), transposed(rowsOf(weight)), weight.getName());
    bool isInteger = format.name == "int8", isFloat = format.name == "fp8";
    if (!isInteger && !isFloat)
      return linear.emitError("has weights of '")
             << format.name << "', which DequantizeLinear is not written for: float32, int8 and fp8 are";
    EncodedMatrix encoded =
        weight.getOrder() == "encoded" ? encodedMatrix(weight, format) : format.encode(rowsOf(weight), rows, columns);
    Type element = isInteger ? Type(b.getI8Type()) : Float8E4M3FNType::get(b.getContext());
    std::vector<float> scales(rows);
    memcpy(scales.data(), encoded.scales.data(), scales.size() * sizeof(float));
    for (float &scale : scales)
      scale *= encoded.tensorScale;
    Value codes = constant<uint8_t>({columns, rows}, element, transposed(encoded.codes), weight.getName());
    Value scale = constant<float>({rows}, b.getF32Type(), scales, (weight.getName() + ".scale").str());
    return make("DequantizeLinear", {codes, scale}, b.getNamedAttr("axis", b.getI64IntegerAttr(1)),
                RankedTensorType::get({columns, rows}, b.getF32Type()));
  }

  qnt::LinearOp linear;
  OpBuilder b;
  Location loc;
};
} // namespace

LogicalResult qcc::linearsToNodes(ModuleOp module) {
  SmallVector<qnt::LinearOp> linears;
  module.walk([&](qnt::LinearOp linear) { linears.push_back(linear); });
  for (qnt::LinearOp linear : linears)
    if (failed(Expander(linear).run()))
      return failure();
  return success();
}
