#include "Decode.h"

using namespace mlir;
using namespace qcc;

namespace {
/// Reads a codec's definition into lanes of a vector.
class LaneReader : public Primitives {
public:
  explicit LaneReader(Simd &simd) : s(simd) {}
  static Value wrap(mlir::Value value) { return {value.getAsOpaquePointer(), 0}; }
  static mlir::Value unwrap(Value value) { return mlir::Value::getFromOpaquePointer(value.handle); }

  Value integer(int32_t value) override { return wrap(s.splat(s.dwords, value)); }
  Value real(float value) override { return wrap(s.splat(value)); }
  Value field(Value code, unsigned low, unsigned count) override {
    mlir::Value moved = s.shiftRight(s.dwords, unwrap(code), low);
    if (low + count == 32)
      return wrap(moved);
    return wrap(arith::AndIOp::create(s.b, moved, s.splat(s.dwords, (int64_t(1) << count) - 1)));
  }
  Value signExtend(Value code, unsigned count) override {
    mlir::Value distance = s.splat(s.dwords, 32 - count);
    return wrap(arith::ShRSIOp::create(s.b, arith::ShLIOp::create(s.b, unwrap(code), distance), distance));
  }
  Value add(Value x, Value y) override { return wrap(s.addInt(unwrap(x), unwrap(y))); }
  Value shiftLeft(Value x, unsigned n) override {
    return n ? wrap(arith::ShLIOp::create(s.b, unwrap(x), s.splat(s.dwords, n))) : x;
  }
  Value bitOr(Value x, Value y) override { return wrap(arith::OrIOp::create(s.b, unwrap(x), unwrap(y))); }
  Value bitAnd(Value x, uint32_t mask) override {
    return wrap(arith::AndIOp::create(s.b, unwrap(x), s.splat(s.dwords, int32_t(mask))));
  }
  Value asFloat(Value bits) override { return wrap(s.cast(s.floats, unwrap(bits))); }
  Value toFloat(Value x) override { return wrap(arith::SIToFPOp::create(s.b, s.floats, unwrap(x))); }
  Value multiply(Value x, Value y) override { return wrap(arith::MulFOp::create(s.b, unwrap(x), unwrap(y))); }
  Value halfToFloat(Value code) override { return wrap(s.halfToFloat(unwrap(code))); }
  Value lookup(ArrayRef<float> table, Value index) override { return wrap(s.lookupFloats(table, unwrap(index))); }

private:
  Simd &s;
};
} // namespace

int Decoder::bias() const {
  if (isAffine())
    return layout.bias;
  return s.signedBias();
}

bool Decoder::isSmall() const { return isAffine(); }

SmallVector<Value> Decoder::load(Value address) {
  Type type = layout.codeBits == 32 ? s.floats : s.bytes;
  SmallVector<Value> planes;
  for (int64_t plane = 0; plane < layout.planes(); ++plane)
    planes.push_back(s.load(type, s.at(address, plane * PackedLayout::planeBytes), 4));
  return planes;
}

/// Four columns of codes of 2 or 3 bits.
Value Decoder::narrowIntegers(ArrayRef<Value> planes, int64_t operand) {
  // Shifts of bytes do not exist: masks drop what comes from the neighbours.
  auto bitsAt = [&](Value plane, int64_t right, int64_t mask) {
    Value words = s.cast(s.words, plane);
    if (right > 0)
      words = s.shiftRight(s.words, words, int(right));
    else if (right < 0)
      words = arith::ShLIOp::create(s.b, words, s.splat(s.words, -right));
    return Value(arith::AndIOp::create(s.b, s.cast(s.bytes, words), s.splat(s.bytes, mask)));
  };
  Value low = bitsAt(planes[operand / 4], operand % 4 * 2, 3);
  if (layout.codeBits == 2)
    return low;
  return arith::OrIOp::create(s.b, low, bitsAt(planes[2], operand - 2, 4));
}

SmallVector<Value> Decoder::integers(ArrayRef<Value> planes) {
  SmallVector<Value> operands;
  if (layout.codeBits < 4) {
    for (int64_t operand = 0; operand < layout.chunkColumns() / 4; ++operand)
      operands.push_back(narrowIntegers(planes, operand));
    return operands;
  }
  Value codes = planes.front();
  if (layout.codeBits == 8)
    return {bias() ? Value(arith::XOrIOp::create(s.b, codes, s.splat(s.bytes, -128))) : codes};
  std::vector<int8_t> table = format.element->integerView()->table;
  for (int8_t &value : table)
    value = int8_t(value + s.signedBias());
  for (int half = 0; half < 2; ++half) { // shifts of bytes do not exist: the mask drops what comes from the neighbour
    Value x = half ? s.cast(s.bytes, s.shiftRight(s.words, s.cast(s.words, codes), 4)) : codes;
    bool ignoresHighBits = !isAffine() && s.isa == Simd::Isa::Avx512 && s.k.lowering.facts.has("avx512vbmi");
    if (!ignoresHighBits)
      x = arith::AndIOp::create(s.b, x, s.splat(s.bytes, 15));
    operands.push_back(isAffine() ? x : s.lookupBytes(table, x));
  }
  return operands;
}

SmallVector<Value> Decoder::floats(ArrayRef<Value> planes) {
  if (layout.codeBits == 32)
    return {s.cast(s.floats, planes.front())};
  SmallVector<Value> lanes;
  for (Value plane : planes)
    lanes.push_back(s.cast(s.dwords, plane));
  LaneReader reader(s);
  SmallVector<Value> values;
  int64_t count = layout.chunkColumns();
  for (int64_t column = 0; column < count; ++column) {
    // Where a column's code starts in its lane: narrow codes fill the low bits of all bytes first.
    const int64_t bits = layout.planeBits(), perPlane = 32 / bits, place = column % perPlane;
    auto low = unsigned(bits < 8 ? place % 4 * 8 + place / 4 * bits : place * bits);
    auto code = reader.field(LaneReader::wrap(lanes[column / perPlane]), low, unsigned(bits));
    if (layout.codeBits == 3) {
      auto high = reader.field(LaneReader::wrap(lanes[2]), unsigned(column % 4 * 8 + column / 4), 1);
      code = reader.bitOr(code, reader.shiftLeft(high, 2));
    }
    if (isAffine()) {
      Value number = LaneReader::unwrap(code);
      if (layout.bias)
        number = s.addInt(number, s.splat(s.dwords, -layout.bias));
      values.push_back(arith::SIToFPOp::create(s.b, s.floats, number));
    } else if (layout.movesToSigned) {
      values.push_back(LaneReader::unwrap(reader.toFloat(reader.signExtend(code, 8))));
    } else {
      values.push_back(LaneReader::unwrap(format.element->decode(reader, code)));
    }
  }
  return values;
}

Value Decoder::scales(Value address, bool integer) {
  Value result;
  if (layout.scaleBytes == 4) {
    result = s.load(s.floats, address, 4);
  } else {
    Type stored = s.b.getIntegerType(unsigned(8 * layout.scaleBytes));
    Value codes = s.load(s.vectorOf(stored), address, unsigned(layout.scaleBytes));
    LaneReader reader(s);
    Value lanes = arith::ExtUIOp::create(s.b, s.dwords, codes);
    result = LaneReader::unwrap(format.scale->decode(reader, LaneReader::wrap(lanes)));
  }
  float factor = integer ? format.element->integerView()->factor : 1;
  return factor == 1 ? result : Value(arith::MulFOp::create(s.b, result, s.splat(factor)));
}

Value Decoder::zeros(Value address) {
  Value stored = s.load(s.vectorOf(s.i8), address);
  Value wide = layout.movesToSigned ? Value(arith::ExtSIOp::create(s.b, s.dwords, stored))
                                    : Value(arith::ExtUIOp::create(s.b, s.dwords, stored));
  return arith::SIToFPOp::create(s.b, s.floats, wide);
}
