#include "qcc/Calibration/StaticConvolutions.h"
#include "ConstantFloats.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Algorithm/Equalization.h"
#include "qcc/Calibration/Ranges.h"
#include "qcc/Operator/Node.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static constexpr float largestCode = 127;
// Of a bias as a code: sums of codes with it are exact in float32.
static constexpr float largestBias = 1 << 23;

static bool isFloatConstant(Value value) {
  auto tensor = constantOf(value);
  return tensor && tensor->type.getElementType().isF32();
}

static bool isConvolution(onnx::NodeOp op) { return op && op.getDomain().empty() && op.getOpType() == "Conv"; }

SmallVector<onnx::NodeOp> qcc::constantConvolutions(ModuleOp module) {
  SmallVector<onnx::NodeOp> found;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  for (auto op : main.getBody().front().getOps<onnx::NodeOp>())
    if (isConvolution(op))
      if (Node node(op);
          node.element(0).isF32() && isFloatConstant(node.input(1)) && (!node.has(2) || isFloatConstant(node.input(2))))
        found.push_back(op);
  return found;
}

static Value node(OpBuilder &b, Location loc, StringRef type, ArrayRef<Value> operands, int64_t axis, Type result) {
  return onnx::NodeOp::create(b, loc, TypeRange{result}, b.getStringAttr(type), b.getStringAttr(""),
                              b.getI64IntegerAttr(21),
                              b.getDictionaryAttr(b.getNamedAttr("axis", b.getI64IntegerAttr(axis))), DictionaryAttr(),
                              DenseI64ArrayAttr(), operands, 0)
      ->getResult(0);
}

namespace {
/// The codes of one value: uint8, so that products of them with signed weights are what machines have.
struct InputCodes {
  float scale;
  uint8_t zero;
  Value values; // dequantized

  static std::pair<float, uint8_t> parameters(qcc::ValueRange range) {
    float low = std::min(range.lowest, 0.0f), high = std::max(range.highest, 0.0f);
    float scale = (high - low) / 255;
    // A value that is always 0 has any scale; one so small that its scale is none is 0.
    if (!(scale >= std::numeric_limits<float>::min()))
      return {1, 0};
    return {scale, uint8_t(std::clamp(std::nearbyint(-low / scale), 0.0f, 255.0f))};
  }
};

/// The weights of a convolution as codes, a row for each output channel.
struct WeightCodes {
  std::vector<int8_t> codes;
  std::vector<float> scales, rounded;

  WeightCodes(MatrixView weights, const std::vector<float> &bias, float inputScale) {
    for (int64_t row = 0; row < weights.rows; ++row) {
      float most = 0;
      for (int64_t i = 0; i < weights.columns; ++i)
        most = std::max(most, std::abs(weights.row(row)[i]));
      float scale = most / largestCode;
      if (!bias.empty()) // its codes have the scale of the sums
        scale = std::max(scale, std::abs(bias[row]) / (largestBias * inputScale));
      if (!(scale >= std::numeric_limits<float>::min()))
        scale = 1;
      scales.push_back(scale);
      for (int64_t i = 0; i < weights.columns; ++i) {
        float code = std::clamp(std::nearbyint(weights.row(row)[i] / scale), -largestCode, largestCode);
        codes.push_back(int8_t(code));
        rounded.push_back(code * scale);
      }
    }
  }

  double signalToNoise(MatrixView weights) const {
    double signal = 0, noise = 0;
    for (size_t i = 0; i < rounded.size(); ++i) {
      double value = weights.data[i], error = value - rounded[i];
      signal += value * value, noise += error * error;
    }
    return noise > 0 ? 10 * std::log10(signal / noise) : INFINITY;
  }
};

class Quantizer {
public:
  explicit Quantizer(ModuleOp module) : module(module) {}

  LogicalResult quantize(onnx::NodeOp op, std::vector<WeightQuality> &qualities) {
    Node conv(op);
    auto input = codesOf(op);
    if (failed(input))
      return failure();
    auto type = cast<RankedTensorType>(conv.input(1).getType());
    int64_t outputs = type.getDimSize(0), columns = type.getNumElements() / std::max<int64_t>(1, outputs);
    std::vector<float> weights = floatsOf(conv.input(1)), bias;
    if (llvm::any_of(weights, [](float w) { return !std::isfinite(w); }))
      return op.emitError("has weights that are infinities or NaNs, which int8 cannot express");
    MatrixView matrix(weights, outputs, columns);
    if (conv.has(2))
      bias = floatsOf(conv.input(2));
    WeightCodes codes(matrix, bias, input->scale);
    if (auto means = op->getAttrOfType<DenseF64ArrayAttr>(meansAttr)) {
      bias.resize(size_t(outputs), 0);
      correctBias(conv, matrix, codes, means, bias);
    }

    OpBuilder b(op);
    Location loc = op->getLoc();
    StringRef name = nameOf(conv.input(1));
    Value scales = makeConstant<float>(b, loc, {outputs}, b.getF32Type(), codes.scales, (name + ".scale").str());
    Value stored = makeConstant<int8_t>(b, loc, type.getShape(), b.getI8Type(), codes.codes, name);
    SmallVector<Value> operands = {input->values, node(b, loc, "DequantizeLinear", {stored, scales}, 0, type)};
    if (!bias.empty())
      operands.push_back(biasCodes(b, loc, bias, codes.scales, input->scale, name));
    op->setOperands(operands);
    op->removeAttr(meansAttr);
    op->removeAttr(actAttr);
    qualities.push_back({stored, codes.signalToNoise(matrix)});
    return success();
  }

private:
  static StringRef nameOf(Value constant) { return constant.getDefiningOp<onnx::WeightOp>().getName(); }

  /// The codes of what a convolution reads, made where the value is.
  FailureOr<InputCodes> codesOf(onnx::NodeOp op) {
    Value x = op->getOperand(0);
    if (auto known = made.find(x); known != made.end())
      return known->second;
    auto range = rangeOf(x);
    if (!range)
      return op.emitError("is to be multiplied in int8 with a static scale, but its input has no range: the program "
                          "has to be calibrated on data");
    auto [scale, zero] = InputCodes::parameters(*range);
    OpBuilder b(op->getContext());
    // Of an argument, behind the constants: they are where readers look for them.
    if (x.getDefiningOp())
      b.setInsertionPointAfterValue(x);
    else
      b.setInsertionPointToStart(&module.lookupSymbol<func::FuncOp>("main").getBody().front());
    Location loc = op->getLoc();
    auto type = cast<RankedTensorType>(x.getType());
    auto codes = IntegerType::get(op->getContext(), 8, IntegerType::Unsigned);
    Value scales = makeConstant<float>(b, loc, {}, b.getF32Type(), scale, "scale");
    Value zeros = makeConstant<uint8_t>(b, loc, {}, codes, zero, "zero");
    Value quantized = node(b, loc, "QuantizeLinear", {x, scales, zeros}, 1,
                           RankedTensorType::get(type.getShape(), codes, type.getEncoding()));
    Value values = node(b, loc, "DequantizeLinear", {quantized, scales, zeros}, 1, type);
    x.replaceUsesWithIf(values,
                        [&](OpOperand &use) { return use.getOwner() != quantized.getDefiningOp() && readsCodes(use); });
    // From here on the dequantized value stands for `x`.
    return made[values] = made[x] = InputCodes{scale, zero, values};
  }

  /// Whether what reads a quantized value takes it as it is then.
  static bool readsCodes(OpOperand &use) {
    Operation *reader = use.getOwner();
    if (isa<func::ReturnOp, qnt::LinearOp>(reader))
      return false;
    auto node = dyn_cast<onnx::NodeOp>(reader);
    bool isFloat = isConvolution(node) && isFloatConstant(node->getOperand(1));
    return !isFloat || node->hasAttr(actAttr);
  }

  static void correctBias(const Node &conv, MatrixView weights, const WeightCodes &codes, DenseF64ArrayAttr means,
                          std::vector<float> &bias) {
    auto shape = cast<RankedTensorType>(conv.input(1).getType()).getShape();
    int64_t channels = shape[1], taps = weights.columns / channels, groups = conv.intAttr("group", 1);
    if (means.size() != channels * groups)
      return;
    int64_t perGroup = weights.rows / groups;
    for (int64_t group = 0; group < groups; ++group) {
      std::vector<double> mean;
      for (int64_t i = 0; i < weights.columns; ++i)
        mean.push_back(means[group * channels + i / taps]);
      MatrixView part(weights.row(group * perGroup), perGroup, weights.columns);
      auto first = codes.rounded.begin() + group * perGroup * weights.columns;
      auto correction = biasCorrection(part, std::vector<float>(first, first + perGroup * weights.columns), mean);
      for (int64_t row = 0; row < perGroup; ++row)
        bias[group * perGroup + row] += correction[row];
    }
  }

  static Value biasCodes(OpBuilder &b, Location loc, ArrayRef<float> bias, ArrayRef<float> weightScales,
                         float inputScale, StringRef name) {
    std::vector<int32_t> codes;
    std::vector<float> scales;
    for (auto [number, weightScale] : llvm::zip(bias, weightScales)) {
      float scale = weightScale * inputScale;
      scales.push_back(scale);
      codes.push_back(int32_t(std::clamp(std::nearbyint(double(number) / scale), -2147483648.0, 2147483647.0)));
    }
    auto count = int64_t(bias.size());
    Value stored = makeConstant<int32_t>(b, loc, {count}, b.getI32Type(), codes, (name + ".bias").str());
    Value scale = makeConstant<float>(b, loc, {count}, b.getF32Type(), scales, (name + ".bias.scale").str());
    return node(b, loc, "DequantizeLinear", {stored, scale}, 0, RankedTensorType::get({count}, b.getF32Type()));
  }

  ModuleOp module;
  llvm::DenseMap<Value, InputCodes> made;
};
} // namespace

FailureOr<std::vector<WeightQuality>> qcc::quantizeConvolutions(ModuleOp module) {
  std::vector<WeightQuality> qualities;
  Quantizer quantizer(module);
  for (onnx::NodeOp op : constantConvolutions(module))
    if (auto act = op->getAttrOfType<StringAttr>(actAttr); act && act == staticInt8)
      if (failed(quantizer.quantize(op, qualities)))
        return failure();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(main.getBody().front())))
    if (isa<onnx::WeightOp>(op) && isUnused(&op))
      op.erase();
  return qualities;
}
