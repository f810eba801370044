#include "Lanes/Loop.h"

namespace qcc::ptxemu::QCC_PTXEMU_LANES {

// Sums in double: products of the operands' values are exact in it, and so are the sums of values that are integers.
void product(const float *a, const float *b, double *c, unsigned rows, unsigned columns, unsigned depth) {
  for (unsigned row = 0; row < rows; ++row)
    for (unsigned begin = 0; begin < columns; begin += 8) {
      double sum[8];
      for (unsigned column = 0; column < 8; ++column)
        sum[column] = c[row * columns + begin + column];
      for (unsigned k = 0; k < depth; ++k) {
        double left = a[row * depth + k];
        const float *right = b + k * columns + begin;
        for (unsigned column = 0; column < 8; ++column)
          sum[column] += left * static_cast<double>(right[column]);
      }
      for (unsigned column = 0; column < 8; ++column)
        c[row * columns + begin + column] = sum[column];
    }
}

void productIntegers(const int32_t *a, const int32_t *b, int32_t *c, unsigned rows, unsigned columns, unsigned depth) {
  for (unsigned row = 0; row < rows; ++row)
    for (unsigned begin = 0; begin < columns; begin += 8) {
      uint32_t sum[8];
      for (unsigned column = 0; column < 8; ++column)
        sum[column] = static_cast<uint32_t>(c[row * columns + begin + column]);
      for (unsigned k = 0; k < depth; ++k) {
        uint32_t left = static_cast<uint32_t>(a[row * depth + k]);
        const int32_t *right = b + k * columns + begin;
        for (unsigned column = 0; column < 8; ++column)
          sum[column] += left * static_cast<uint32_t>(right[column]);
      }
      for (unsigned column = 0; column < 8; ++column)
        c[row * columns + begin + column] = static_cast<int32_t>(sum[column]);
    }
}

LaneHandler integerHandler(IntegerOp op, Type type);
LaneHandler compareIntegersHandler(Compare compare, Type type);
LaneHandler compareFloatsHandler(Compare compare, Type type, bool flushes);
LaneHandler selectHandler(Type type);
LaneHandler floatHandler(FloatOp op, Type type, const FloatMode &mode);
LaneHandler convertHandler(Type to, Type from, const ConvertMode &mode);

extern const LaneHandlers handlers;
const LaneHandlers handlers = {integerHandler, compareIntegersHandler, compareFloatsHandler,
                               selectHandler,  floatHandler,           convertHandler,
                               product,        productIntegers};

} // namespace qcc::ptxemu::QCC_PTXEMU_LANES
