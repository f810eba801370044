#include "BlockRounding.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "qcc/Format/Format.h"
#include "qcc/Tile/Numbers.h"
#include <cmath>

using namespace mlir;
using namespace qcc;

static constexpr int32_t infinity = 0x7f800000, smallestNormal = 0x00800000;

std::optional<BlockRounding> BlockRounding::of(StringRef act) {
  auto found = findFormat(act);
  if (!found)
    return llvm::consumeError(found.takeError()), std::nullopt;
  const Format &format = *found;
  if (format.isPlain() || !llvm::is_contained({"e2m1", "e4m3"}, format.element->name()) ||
      !llvm::is_contained({"e8m0", "e4m3"}, format.scale->name()))
    return std::nullopt;
  BlockRounding result;
  result.block = format.block, result.codeBits = format.element->bits(), result.largest = format.element->largest();
  result.hasTokenScale = format.scale->tensorScaleFor() != 0;
  return result;
}

static Value integer(ImplicitLocOpBuilder &b, int32_t value) {
  return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
}
static Value real(ImplicitLocOpBuilder &b, float value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}
static Value asFloat(ImplicitLocOpBuilder &b, Value bits) { return arith::BitcastOp::create(b, b.getF32Type(), bits); }
static Value asBits(ImplicitLocOpBuilder &b, Value x) { return arith::BitcastOp::create(b, b.getI32Type(), x); }
static Value isNoNumber(ImplicitLocOpBuilder &b, Value magnitude) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::uge, magnitude, integer(b, infinity));
}

static Type elementType(ImplicitLocOpBuilder &b, int64_t codeBits) {
  return codeBits == 4 ? Type(Float4E2M1FNType::get(b.getContext())) : Type(Float8E4M3FNType::get(b.getContext()));
}
static Type scaleType(ImplicitLocOpBuilder &b, bool hasTokenScale) {
  return hasTokenScale ? Type(Float8E4M3FNType::get(b.getContext())) : Type(Float8E8M0FNUType::get(b.getContext()));
}

Value BlockRounding::magnitude(ImplicitLocOpBuilder &b, Value x) const {
  return arith::AndIOp::create(b, asBits(b, x), integer(b, 0x7fffffff));
}

Value BlockRounding::larger(ImplicitLocOpBuilder &b, Value a, Value c) const { return arith::MaxSIOp::create(b, a, c); }

Value BlockRounding::tokenScale(ImplicitLocOpBuilder &b, Value largestOfToken) const {
  constexpr float largestScale = 448;
  Value wanted = asBits(b, arith::DivFOp::create(b, asFloat(b, largestOfToken), real(b, largest * largestScale)));
  Value raised =
      arith::AndIOp::create(b, arith::AddIOp::create(b, wanted, integer(b, smallestNormal - 1)), integer(b, infinity));
  Value unit = asFloat(b, arith::MaxSIOp::create(b, raised, integer(b, smallestNormal)));
  return arith::SelectOp::create(b, isNoNumber(b, largestOfToken), asFloat(b, integer(b, 0x7fc00000)), unit);
}

Value BlockRounding::scaleCode(ImplicitLocOpBuilder &b, Value most, Value tokenScale) const {
  Type i8 = b.getI8Type();
  if (hasTokenScale) {
    Value wanted = arith::DivFOp::create(b, arith::DivFOp::create(b, asFloat(b, most), real(b, largest)), tokenScale);
    Value code = toStorage(b, wanted, scaleType(b, true));
    // A positive scale stays positive.
    Value isPositive = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, most, integer(b, 0));
    Value least = arith::ExtUIOp::create(b, i8, isPositive);
    return arith::MaxUIOp::create(b, code, least);
  }
  // OCP Microscaling Formats 1.0, section 6.3: the exponent of the largest magnitude less that of the largest element.
  Value exponent = arith::ShRUIOp::create(b, most, integer(b, 23));
  Value code =
      arith::MaxSIOp::create(b, arith::SubIOp::create(b, exponent, integer(b, std::ilogb(largest))), integer(b, 0));
  return arith::TruncIOp::create(b, i8, arith::SelectOp::create(b, isNoNumber(b, most), integer(b, 255), code));
}

Value BlockRounding::scale(ImplicitLocOpBuilder &b, Value scaleCode, Value tokenScale) const {
  Value own = fromStorage(b, scaleCode, scaleType(b, hasTokenScale));
  return hasTokenScale ? Value(arith::MulFOp::create(b, own, tokenScale)) : own;
}

Value BlockRounding::code(ImplicitLocOpBuilder &b, Value x, Value scale) const {
  // 0 / 0 of a block of zeros is a NaN, which becomes 0 in e2m1; scales of e8m0 are never 0.
  return toStorage(b, arith::DivFOp::create(b, x, scale), elementType(b, codeBits));
}

Value BlockRounding::value(ImplicitLocOpBuilder &b, Value code) const {
  return fromStorage(b, code, elementType(b, codeBits));
}
