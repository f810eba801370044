#include "Decode.h"

using namespace mlir;
using namespace qcc;

namespace {
/// Reads a codec's definition into scalars of a thread.
class ThreadReader : public Primitives {
public:
  explicit ThreadReader(ThreadBlock &block) : t(block), b(block.b) {}
  static Value wrap(mlir::Value value) { return {value.getAsOpaquePointer(), 0}; }
  static mlir::Value unwrap(Value value) { return mlir::Value::getFromOpaquePointer(value.handle); }

  Value integer(int32_t value) override { return wrap(t.integer(value)); }
  Value real(float value) override { return wrap(t.k.constantF32(value)); }
  Value field(Value code, unsigned low, unsigned count) override {
    mlir::Value moved = low ? mlir::Value(arith::ShRUIOp::create(b, unwrap(code), t.integer(low))) : unwrap(code);
    if (low + count == 32)
      return wrap(moved);
    return wrap(arith::AndIOp::create(b, moved, t.integer((int64_t(1) << count) - 1)));
  }
  Value signExtend(Value code, unsigned count) override {
    mlir::Value distance = t.integer(32 - count);
    return wrap(arith::ShRSIOp::create(b, arith::ShLIOp::create(b, unwrap(code), distance), distance));
  }
  Value add(Value x, Value y) override { return wrap(arith::AddIOp::create(b, unwrap(x), unwrap(y))); }
  Value shiftLeft(Value x, unsigned n) override { return wrap(arith::ShLIOp::create(b, unwrap(x), t.integer(n))); }
  Value bitOr(Value x, Value y) override { return wrap(arith::OrIOp::create(b, unwrap(x), unwrap(y))); }
  Value bitAnd(Value x, uint32_t mask) override {
    return wrap(arith::AndIOp::create(b, unwrap(x), t.integer(int32_t(mask))));
  }
  Value asFloat(Value bits) override { return wrap(arith::BitcastOp::create(b, t.f32, unwrap(bits))); }
  Value toFloat(Value x) override { return wrap(arith::SIToFPOp::create(b, t.f32, unwrap(x))); }
  Value multiply(Value x, Value y) override { return wrap(arith::MulFOp::create(b, unwrap(x), unwrap(y))); }
  Value halfToFloat(Value code) override {
    mlir::Value half = arith::BitcastOp::create(b, b.getF16Type(), arith::TruncIOp::create(b, t.i16, unwrap(code)));
    return wrap(arith::ExtFOp::create(b, t.f32, half));
  }
  /// A tree of selections, one level for each bit of the index.
  Value lookup(ArrayRef<float> table, Value index) override {
    SmallVector<mlir::Value> level;
    for (float value : table)
      level.push_back(t.k.constantF32(value));
    for (int bit = 0; level.size() > 1; ++bit) {
      mlir::Value isSet = arith::CmpIOp::create(
          b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, unwrap(index), t.integer(1 << bit)), t.integer(0));
      SmallVector<mlir::Value> next;
      for (size_t i = 0; i + 1 < level.size(); i += 2)
        next.push_back(arith::SelectOp::create(b, isSet, level[i + 1], level[i]));
      if (level.size() % 2)
        next.push_back(level.back());
      level = next;
    }
    return wrap(level.front());
  }

private:
  ThreadBlock &t;
  ImplicitLocOpBuilder &b;
};
} // namespace

SmallVector<Value> ThreadDecoder::load(Value address, Value chunk) {
  SmallVector<Value> lanes;
  Value first = t.at(address, t.k.mul(chunk, t.k.constant(layout.chunkBytes())));
  for (int64_t plane = 0; plane < layout.planes(); ++plane)
    lanes.push_back(t.load(t.i32, t.at(first, plane * PackedLayout::planeBytes), 4));
  return lanes;
}

SmallVector<Value> ThreadDecoder::floats(ArrayRef<Value> lanes) {
  if (layout.codeBits == 32)
    return {arith::BitcastOp::create(b, t.f32, lanes.front())};
  ThreadReader reader(t);
  SmallVector<Value> values;
  int64_t count = layout.chunkColumns();
  for (int64_t column = 0; column < count; ++column) {
    // Where a column's code starts in its lane: narrow codes fill the low bits of all bytes first.
    const int64_t bits = layout.planeBits(), perPlane = 32 / bits, place = column % perPlane;
    auto low = unsigned(bits < 8 ? place % 4 * 8 + place / 4 * bits : place * bits);
    auto code = reader.field(ThreadReader::wrap(lanes[column / perPlane]), low, unsigned(bits));
    if (layout.codeBits == 3) {
      auto high = reader.field(ThreadReader::wrap(lanes[2]), unsigned(column % 4 * 8 + column / 4), 1);
      code = reader.bitOr(code, reader.shiftLeft(high, 2));
    }
    if (isAffine()) {
      if (layout.bias)
        code = reader.add(code, reader.integer(-layout.bias));
      values.push_back(ThreadReader::unwrap(reader.toFloat(code)));
    } else if (layout.movesToSigned) {
      values.push_back(ThreadReader::unwrap(reader.toFloat(reader.signExtend(code, 8))));
    } else {
      values.push_back(ThreadReader::unwrap(format.element->decode(reader, code)));
    }
  }
  return values;
}

/// table[index] in every byte of four; the other bits of the index bytes may be anything.
Value ThreadDecoder::lookupBytes(ArrayRef<int8_t> table, Value indices) {
  auto permute = [&](Value low, Value high, Value selector) {
    return t.intrinsic(t.i32, "llvm.nvvm.prmt", {low, high, selector});
  };
  auto word = [&](int i) {
    uint32_t bits = 0;
    for (int byte = 0; byte < 4; ++byte)
      bits |= uint32_t(uint8_t(table[4 * i + byte])) << (8 * byte);
    return t.integer(int32_t(bits));
  };
  // The instruction's selectors have four bits each: three choose among eight bytes, the highest must be 0.
  Value low = arith::AndIOp::create(b, indices, t.integer(0x07070707));
  Value pairs = arith::OrIOp::create(b, low, arith::ShRUIOp::create(b, low, t.integer(4)));
  Value selector = permute(pairs, t.integer(0), t.integer(0x4420));
  Value lower = permute(word(0), word(1), selector), upper = permute(word(2), word(3), selector);
  Value fourth = arith::ShLIOp::create(b, indices, t.integer(4));
  Value mask = permute(fourth, t.integer(0), t.integer(0xba98)); // each byte's sign, eight times
  Value isLower = arith::XOrIOp::create(b, mask, t.integer(-1));
  return arith::OrIOp::create(b, arith::AndIOp::create(b, lower, isLower), arith::AndIOp::create(b, upper, mask));
}

SmallVector<Value> ThreadDecoder::integers(ArrayRef<Value> lanes) {
  Value lane = lanes.front();
  if (layout.codeBits == 8)
    return {lane};
  SmallVector<Value> operands;
  if (layout.codeBits < 4) {
    auto bitsAt = [&](Value plane, int64_t right, int32_t mask) -> Value {
      Value moved = plane;
      if (right > 0)
        moved = arith::ShRUIOp::create(b, plane, t.integer(right));
      else if (right < 0)
        moved = arith::ShLIOp::create(b, plane, t.integer(-right));
      return arith::AndIOp::create(b, moved, t.integer(mask));
    };
    for (int64_t i = 0; i < layout.chunkColumns() / 4; ++i) {
      Value four = bitsAt(lanes[i / 4], i % 4 * 2, 0x03030303);
      if (layout.codeBits == 3)
        four = arith::OrIOp::create(b, four, bitsAt(lanes[2], i - 2, 0x04040404));
      operands.push_back(four);
    }
    return operands;
  }
  std::vector<int8_t> table = format.element->integerView()->table;
  for (int half = 0; half < 2; ++half) {
    Value codes = half ? Value(arith::ShRUIOp::create(b, lane, t.integer(4))) : lane;
    operands.push_back(isAffine() ? Value(arith::AndIOp::create(b, codes, t.integer(0x0f0f0f0f)))
                                  : lookupBytes(table, codes));
  }
  return operands;
}

SmallVector<Value> ThreadDecoder::fp8(Value lane) {
  if (layout.codeBits == 8)
    return {lane};
  // A code's number as the code of e4m3 for it: a table of bytes like that of integers.
  const ElementCodec *bytes = findElementCodec("e4m3");
  std::vector<int8_t> table;
  for (float value : format.element->values())
    table.push_back(int8_t(bytes->encode(value)));
  if (isAffine() && layout.bias) // stored as the number plus the bias
    std::rotate(table.begin(), table.begin() + layout.bias, table.end());
  return {lookupBytes(table, lane), lookupBytes(table, arith::ShRUIOp::create(b, lane, t.integer(4)))};
}

Value ThreadDecoder::scale(Value address, bool integer) {
  Value result;
  if (layout.scaleBytes == 4) {
    result = t.load(t.f32, address, 4);
  } else {
    Type stored = b.getIntegerType(unsigned(8 * layout.scaleBytes));
    ThreadReader reader(t);
    Value code = arith::ExtUIOp::create(b, t.i32, t.load(stored, address, unsigned(layout.scaleBytes)));
    result = ThreadReader::unwrap(format.scale->decode(reader, ThreadReader::wrap(code)));
  }
  float factor = integer ? format.element->integerView()->factor : 1;
  return factor == 1 ? result : Value(arith::MulFOp::create(b, result, t.k.constantF32(factor)));
}

Value ThreadDecoder::zero(Value address) {
  Value stored = t.load(t.i8, address, 1);
  Value wide = layout.movesToSigned ? Value(arith::ExtSIOp::create(b, t.i32, stored))
                                    : Value(arith::ExtUIOp::create(b, t.i32, stored));
  return arith::SIToFPOp::create(b, t.f32, wide);
}
