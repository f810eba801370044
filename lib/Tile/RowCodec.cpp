#include "qcc/Tile/RowCodec.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

namespace {
/// Codecs' definitions as operations of a kernel.
class KernelReader final : public EncodePrimitives {
public:
  explicit KernelReader(Kernel &kernel) : k(kernel), b(kernel.b), i32(b.getI32Type()) {}
  static Value wrap(mlir::Value value) { return {value.getAsOpaquePointer(), 0}; }
  static mlir::Value unwrap(Value value) { return mlir::Value::getFromOpaquePointer(value.handle); }

  Value integer(int32_t value) override { return wrap(number(value)); }
  Value real(float value) override { return wrap(k.constantF32(value)); }
  Value field(Value code, unsigned low, unsigned count) override {
    mlir::Value moved = low ? b.createOrFold<arith::ShRUIOp>(unwrap(code), number(int32_t(low))) : unwrap(code);
    if (low + count == 32)
      return wrap(moved);
    return wrap(b.createOrFold<arith::AndIOp>(moved, number(int32_t((1u << count) - 1))));
  }
  Value signExtend(Value code, unsigned count) override {
    mlir::Value distance = number(int32_t(32 - count));
    mlir::Value moved = b.createOrFold<arith::ShLIOp>(unwrap(code), distance);
    return wrap(b.createOrFold<arith::ShRSIOp>(moved, distance));
  }
  Value add(Value x, Value y) override { return wrap(b.createOrFold<arith::AddIOp>(unwrap(x), unwrap(y))); }
  Value shiftLeft(Value x, unsigned n) override {
    return n ? wrap(b.createOrFold<arith::ShLIOp>(unwrap(x), number(int32_t(n)))) : x;
  }
  Value bitOr(Value x, Value y) override { return wrap(b.createOrFold<arith::OrIOp>(unwrap(x), unwrap(y))); }
  Value bitAnd(Value x, uint32_t mask) override {
    return wrap(b.createOrFold<arith::AndIOp>(unwrap(x), number(int32_t(mask))));
  }
  Value asFloat(Value bits) override {
    return wrap(b.createOrFold<arith::BitcastOp>(Type(b.getF32Type()), unwrap(bits)));
  }
  Value toFloat(Value x) override { return wrap(arith::SIToFPOp::create(b, b.getF32Type(), unwrap(x))); }
  Value multiply(Value x, Value y) override { return wrap(arith::MulFOp::create(b, unwrap(x), unwrap(y))); }
  Value halfToFloat(Value code) override {
    mlir::Value half = arith::TruncIOp::create(b, b.getI16Type(), unwrap(code));
    return wrap(qcc::halfToFloat(k, half));
  }
  /// A tree of selections, one level for each bit of the index.
  Value lookup(ArrayRef<float> table, Value index) override {
    SmallVector<mlir::Value> level;
    for (float value : table)
      level.push_back(k.constantF32(value));
    for (unsigned bit = 0; level.size() > 1; ++bit) {
      mlir::Value isSet = arith::TruncIOp::create(b, b.getI1Type(), unwrap(field(index, bit, 1)));
      SmallVector<mlir::Value> next;
      for (size_t i = 0; i < level.size(); i += 2)
        next.push_back(i + 1 < level.size() ? k.select(isSet, level[i + 1], level[i]) : level[i]);
      level = next;
    }
    return wrap(level.front());
  }
  Value divide(Value x, Value y) override { return wrap(arith::DivFOp::create(b, unwrap(x), unwrap(y))); }
  Value addFloats(Value x, Value y) override { return wrap(arith::AddFOp::create(b, unwrap(x), unwrap(y))); }
  Value bits(Value x) override { return wrap(b.createOrFold<arith::BitcastOp>(Type(i32), unwrap(x))); }
  Value isLess(Value x, Value y) override {
    return wrap(b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, unwrap(x), unwrap(y)));
  }
  Value isLessFloat(Value x, Value y) override {
    return wrap(b.createOrFold<arith::CmpFOp>(arith::CmpFPredicate::OLT, unwrap(x), unwrap(y)));
  }
  Value select(Value condition, Value then, Value otherwise) override {
    return wrap(k.select(unwrap(condition), unwrap(then), unwrap(otherwise)));
  }

  mlir::Value number(int32_t value) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(value)); }

private:
  Kernel &k;
  ImplicitLocOpBuilder &b;
  Type i32;
};
} // namespace

Value qcc::halfToFloat(Kernel &k, Value stored) {
  const TargetFacts &facts = k.lowering.facts;
  if (!facts.device && !facts.has("f16c") && !facts.has("neon"))
    return fromStorage(k.b, stored, k.b.getF16Type());
  Value half = arith::BitcastOp::create(k.b, k.b.getF16Type(), stored);
  return arith::ExtFOp::create(k.b, k.b.getF32Type(), half);
}

static Value wide(Kernel &k, Value code) { return arith::ExtUIOp::create(k.b, k.b.getI32Type(), code); }

/// Where the codes of a block begin.
Value RowCodec::codesOf(Value start, Value block) {
  return k.add(start, k.mul(block, k.constant(layout.codeBytes(layout.block))));
}

std::pair<Value, Value> RowCodec::scaleOf(Value data, Value start, Value block) {
  KernelReader p(k);
  Type stored = k.b.getIntegerType(unsigned(8 * layout.scaleBytes));
  Value place = k.add(k.add(start, k.constant(layout.scalesOffset())), k.mul(block, k.constant(layout.scaleBytes)));
  Value code = k.loadAt(data, k.div(place, k.constant(layout.scaleBytes)), stored);
  if (layout.scaleBytes < 4)
    code = wide(k, code);
  Value scale = KernelReader::unwrap(layout.format.scale->decode(p, KernelReader::wrap(code))), minusZero;
  if (layout.format.hasZero) {
    Value at = k.add(k.add(start, k.constant(layout.zerosOffset())), block);
    minusZero = k.sub(p.number(0), wide(k, k.loadAt(data, at, k.b.getI8Type())));
  }
  return {scale, minusZero};
}

Value RowCodec::element(Value data, Value start, Value i) {
  KernelReader p(k);
  Value block = k.div(i, k.constant(layout.block)), place = k.rem(i, k.constant(layout.block));
  auto [scaleOfBlock, zeroOfBlock] = scaleOf(data, start, block);
  Value scale = scaleOfBlock, minusZero = zeroOfBlock; // to be captured
  Value each = k.constant(layout.codeBytes(layout.block));
  if (layout.tail())
    each = k.select(k.less(block, k.constant(layout.fullBlocks())), each, k.constant(layout.codeBytes(layout.tail())));
  Value code = wide(k, k.loadAt(data, k.add(codesOf(start, block), k.rem(place, each)), k.b.getI8Type()));
  if (layout.codeBits < 8) {
    Value distance = k.mul(k.div(place, each), k.constant(layout.codeBits));
    code = arith::ShRUIOp::create(k.b, code, arith::TruncIOp::create(k.b, k.b.getI32Type(), distance));
    code = KernelReader::unwrap(p.field(KernelReader::wrap(code), 0, layout.codeBits));
  }
  return KernelReader::unwrap(layout.format.value(p, KernelReader::wrap(code), KernelReader::wrap(scale),
                                                  minusZero ? KernelReader::wrap(minusZero) : Primitives::Value()));
}

void RowCodec::readBlock(Value data, Value start, Value block, int64_t width, Value numbers, Value to) {
  KernelReader p(k);
  auto [scaleOfBlock, zeroOfBlock] = scaleOf(data, start, block);
  Value scale = scaleOfBlock, minusZero = zeroOfBlock; // to be captured
  Value codes = codesOf(start, block);
  const int64_t each = layout.codeBytes(width), parts = 8 / layout.codeBits;
  auto part = [&](int64_t number, Value from, Value end) {
    k.loop(from, end, [&](Value j) {
      Value code = wide(k, k.loadAt(data, k.add(codes, j), k.b.getI8Type()));
      auto field = p.field(KernelReader::wrap(code), unsigned(number * layout.codeBits), layout.codeBits);
      Value value = KernelReader::unwrap(layout.format.value(
          p, field, KernelReader::wrap(scale), minusZero ? KernelReader::wrap(minusZero) : Primitives::Value()));
      k.storeAt(numbers, k.add(k.add(to, k.constant(number * each)), j), k.b.getF32Type(), value);
    });
  };
  for (int64_t number = 0; number < parts; ++number)
    part(number, k.constant(0), k.constant(std::clamp<int64_t>(width - number * each, 0, each)));
}

void RowCodec::read(Value data, Value start, Value numbers, Value to) {
  auto whole = [&](Value block) {
    readBlock(data, start, block, layout.block, numbers, k.add(to, k.mul(block, k.constant(layout.block))));
  };
  if (layout.fullBlocks() == 1)
    whole(k.constant(0));
  else
    k.loop(k.constant(0), k.constant(layout.fullBlocks()), whole);
  if (layout.tail())
    readBlock(data, start, k.constant(layout.fullBlocks()), layout.tail(), numbers,
              k.add(to, k.constant(layout.fullBlocks() * layout.block)));
}

void RowCodec::writeBlock(Value data, Value start, Value block, int64_t width, Value numbers, Value from) {
  KernelReader p(k);
  ImplicitLocOpBuilder &b = k.b;
  Type f32 = b.getF32Type(), i32 = b.getI32Type(), i8 = b.getI8Type();
  auto at = [&](Value i) { return k.loadAt(numbers, k.add(from, i), f32); };
  // Integers that are ordered as the floats are: their minimum and maximum may be taken in any order. What is not
  // finite counts as 0.
  auto flip = [&](Value bits) -> Value {
    Value sign = arith::ShRSIOp::create(b, bits, p.number(31));
    return arith::XOrIOp::create(b, bits, arith::AndIOp::create(b, sign, p.number(0x7fffffff)));
  };
  Value zero = p.number(0);
  SmallVector<Value> range =
      k.loop(k.constant(0), k.constant(width), ValueRange{zero, zero}, [&](Value i, ValueRange carried) {
        Value bits = arith::BitcastOp::create(b, i32, at(i));
        Value magnitude = arith::AndIOp::create(b, bits, p.number(0x7fffffff));
        Value isFinite = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, magnitude, p.number(0x7f800000));
        Value ordered = k.select(isFinite, flip(bits), zero);
        return SmallVector<Value>{k.min(carried[0], ordered), k.max(carried[1], ordered)};
      });
  auto number = [&](Value ordered) { return KernelReader::wrap(arith::BitcastOp::create(b, f32, flip(ordered))); };
  BlockScaleValues chosen = layout.format.chooseScale(p, number(range[0]), number(range[1]));

  Type stored = b.getIntegerType(unsigned(8 * layout.scaleBytes));
  Value place = k.add(k.add(start, k.constant(layout.scalesOffset())), k.mul(block, k.constant(layout.scaleBytes)));
  Value scaleCode = KernelReader::unwrap(chosen.code);
  if (layout.scaleBytes < 4)
    scaleCode = arith::TruncIOp::create(b, stored, scaleCode);
  k.storeAt(data, k.div(place, k.constant(layout.scaleBytes)), stored, scaleCode);
  if (layout.format.hasZero)
    k.storeAt(data, k.add(k.add(start, k.constant(layout.zerosOffset())), block), i8,
              arith::TruncIOp::create(b, i8, KernelReader::unwrap(chosen.zero)));

  Value codes = codesOf(start, block);
  const int64_t each = layout.codeBytes(width), parts = 8 / layout.codeBits;
  auto codesAt = [&](Value j, int64_t present) {
    Primitives::Value all = p.integer(0);
    for (int64_t part = 0; part < present; ++part) {
      Value x = at(k.add(k.constant(part * each), j));
      auto code = layout.format.element->codeOf(p, KernelReader::wrap(x), chosen.value, chosen.zero);
      all = p.bitOr(all, p.shiftLeft(code, unsigned(part * layout.codeBits)));
    }
    k.storeAt(data, k.add(codes, j), i8, arith::TruncIOp::create(b, i8, KernelReader::unwrap(all)));
  };
  // The last part of a short block may end before the others.
  int64_t last = std::max<int64_t>(width - (parts - 1) * each, 0);
  k.loop(k.constant(0), k.constant(last), [&](Value j) { codesAt(j, parts); });
  for (int64_t j = last; j < each; ++j) {
    int64_t present = 0;
    while (present < parts && present * each + j < width)
      ++present;
    codesAt(k.constant(j), present);
  }
}

void RowCodec::writeBlock(Value data, Value start, Value block, Value numbers) {
  writeBlock(data, start, block, layout.block, numbers, k.constant(0));
}

void RowCodec::write(Value data, Value start, Value numbers) {
  k.loop(k.constant(0), k.constant(layout.fullBlocks()), [&](Value block) {
    writeBlock(data, start, block, layout.block, numbers, k.mul(block, k.constant(layout.block)));
  });
  if (layout.tail())
    writeBlock(data, start, k.constant(layout.fullBlocks()), layout.tail(), numbers,
               k.constant(layout.fullBlocks() * layout.block));
}

void RowCodec::clear(Value data, Value start) {
  Value nothing = arith::ConstantOp::create(k.b, k.b.getI8IntegerAttr(0));
  k.loop(k.constant(0), k.constant(layout.bytes()),
         [&](Value i) { k.storeAt(data, k.add(start, i), k.b.getI8Type(), nothing); });
}
