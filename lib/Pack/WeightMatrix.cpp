#include "qcc/Pack/WeightMatrix.h"
#include "qcc/Operator/Node.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static std::pair<int64_t, int64_t> shapeOf(qnt::WeightOp weight) {
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  return {type.getDimSize(0), type.getDimSize(1)};
}

ArrayRef<char> qcc::storedBytes(qnt::WeightOp weight) {
  auto tensor = constantOf(weight.getResult());
  return tensor ? tensor->bytes : ArrayRef<char>();
}

std::vector<float> qcc::rowsOf(qnt::WeightOp weight) {
  auto [rows, columns] = shapeOf(weight);
  std::vector<float> matrix(rows * columns);
  ArrayRef<char> bytes = storedBytes(weight);
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

EncodedMatrix qcc::encodedMatrix(qnt::WeightOp weight, const Format &format) {
  auto [rows, columns] = shapeOf(weight);
  EncodedMatrix matrix;
  matrix.rows = rows, matrix.columns = columns;
  size_t codes = rows * format.rowCodeBytes(columns);
  size_t scales = format.rowBlocks(rows) * format.columnBlocks(columns) * (format.scale->bits() / 8);
  size_t zeros = format.hasZero ? format.rowBlocks(rows) * format.columnBlocks(columns) : 0;
  const auto *at = reinterpret_cast<const uint8_t *>(storedBytes(weight).data());
  auto take = [&](size_t count) {
    std::vector<uint8_t> part(at, at + count);
    at += count;
    return part;
  };
  matrix.codes = take(codes), matrix.scales = take(scales), matrix.zeros = take(zeros);
  memcpy(&matrix.tensorScale, at, sizeof(float));
  return matrix;
}

static void setBytes(qnt::WeightOp weight, ArrayRef<char> bytes) {
  Builder b(weight.getContext());
  weight.setDataAttr(DenseResourceElementsAttr::get(RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type()),
                                                    weight.getName(),
                                                    HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64)));
}

void qcc::setRows(qnt::WeightOp weight, ArrayRef<float> matrix) {
  setBytes(weight, ArrayRef<char>(reinterpret_cast<const char *>(matrix.data()), matrix.size() * sizeof(float)));
  weight.setOrder("rows");
}

void qcc::setEncoded(qnt::WeightOp weight, const Format &format, const EncodedMatrix &matrix) {
  std::vector<char> bytes;
  for (const std::vector<uint8_t> *part : {&matrix.codes, &matrix.scales, &matrix.zeros})
    bytes.insert(bytes.end(), part->begin(), part->end());
  const char *scale = reinterpret_cast<const char *>(&matrix.tensorScale);
  bytes.insert(bytes.end(), scale, scale + sizeof(float));
  setBytes(weight, bytes);
  weight.setOrder("encoded");
  weight.setFormat(format.name);
}

double qcc::signalToNoise(const Format &format, ArrayRef<float> matrix, const EncodedMatrix &encoded) {
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
