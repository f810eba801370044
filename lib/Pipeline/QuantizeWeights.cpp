#include "QuantizeWeights.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Target/Linear.h"
#include <cmath>

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

/// The matrix as float32 rows of outputs.
static std::vector<float> rowsOf(qnt::WeightOp weight, ArrayRef<char> bytes) {
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  std::vector<float> matrix(rows * columns);
  if (weight.getOrder() == "rows") {
    memcpy(matrix.data(), bytes.data(), bytes.size());
    return matrix;
  }
  constexpr int64_t square = 32; // both sides of a transposition stay in the first cache
  const char *from = bytes.data();
  for (int64_t r0 = 0; r0 < rows; r0 += square)
    for (int64_t c0 = 0; c0 < columns; c0 += square)
      for (int64_t r = r0; r < std::min(rows, r0 + square); ++r)
        for (int64_t c = c0; c < std::min(columns, c0 + square); ++c)
          memcpy(&matrix[r * columns + c], from + (c * rows + r) * 4, 4);
  return matrix;
}

/// 10 · log10 of the energy of the weights over that of their rounding errors.
static double signalToNoise(const Format &format, ArrayRef<float> matrix, const EncodedMatrix &encoded) {
  constexpr int64_t step = 64;
  std::vector<float> values(step * encoded.columns);
  double signal = 0, noise = 0;
  for (int64_t row = 0; row < encoded.rows; row += step) {
    int64_t count = std::min(step, encoded.rows - row);
    format.decode(encoded, row, count, values.data());
    for (int64_t i = 0; i < count * encoded.columns; ++i) {
      double value = matrix[row * encoded.columns + i], error = value - values[i];
      signal += value * value, noise += error * error;
    }
  }
  return noise == 0 ? 999 : 10 * std::log10(signal / noise);
}

static EncodedMatrix encodedMatrix(const Format &format, int64_t rows, int64_t columns, ArrayRef<char> bytes) {
  EncodedMatrix matrix;
  matrix.rows = rows, matrix.columns = columns;
  size_t codes = rows * format.rowCodeBytes(columns);
  size_t scales = format.rowBlocks(rows) * format.columnBlocks(columns) * (format.scale->bits() / 8);
  size_t zeros = format.hasZero ? format.rowBlocks(rows) * format.columnBlocks(columns) : 0;
  const auto *at = reinterpret_cast<const uint8_t *>(bytes.data());
  auto take = [&](size_t count) {
    std::vector<uint8_t> part(at, at + count);
    at += count;
    return part;
  };
  matrix.codes = take(codes), matrix.scales = take(scales), matrix.zeros = take(zeros);
  memcpy(&matrix.tensorScale, at, 4);
  return matrix;
}

llvm::Expected<EncodedMatrix> qcc::encodeWeight(Compilation &c, qnt::WeightOp weight, const Format &format) {
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  auto tensor = constantOf(weight.getResult());
  if (weight.getOrder() == "encoded")
    return encodedMatrix(format, rows, columns, tensor->bytes);
  std::vector<float> matrix = rowsOf(weight, tensor->bytes);
  if (!isFinite(matrix))
    return llvm::createStringError("weight '" + weight.getName() + "' holds infinities or NaNs, which '" + format.name +
                                   "' cannot express; use --fmt=float32");
  EncodedMatrix encoded = format.encode(matrix, rows, columns);
  c.quality[weight.getResult()] = signalToNoise(format, matrix, encoded);
  return encoded;
}

llvm::Expected<std::vector<float>> qcc::decodeWeight(Compilation &c, qnt::WeightOp weight, const Format &format) {
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  if (format.element->bits() == 32)
    return rowsOf(weight, constantOf(weight.getResult())->bytes);
  auto encoded = encodeWeight(c, weight, format);
  if (!encoded)
    return encoded.takeError();
  std::vector<float> values(type.getNumElements());
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
