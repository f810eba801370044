#include "Simd.h"
#include "qcc/Tile/Numbers.h"

using namespace mlir;
using namespace qcc;

Simd::Isa Simd::isaOf(const TargetFacts &facts, bool integer) {
  if (llvm::StringRef(facts.triple).starts_with("aarch64"))
    return Isa::Neon;
  if (facts.has("avx512bw") && (!integer || facts.has("avx512vnni")))
    return Isa::Avx512;
  return facts.has("avx2") ? Isa::Avx2 : Isa::Sse;
}

int Simd::lanesOf(Isa isa) { return isa == Isa::Avx512 ? 16 : isa == Isa::Avx2 ? 8 : 4; }

llvm::StringRef Simd::instruction(const TargetFacts &facts, bool integer) {
  switch (isaOf(facts, integer)) {
  case Isa::Avx512:
    return integer ? "vpdpbusd" : "vfmadd231ps";
  case Isa::Avx2:
    return integer ? "vpmaddubsw" : "vfmadd231ps";
  case Isa::Sse:
    return integer ? "pmaddubsw" : "mulps";
  case Isa::Neon:
    return integer ? (facts.has("dotprod") ? "sdot" : "smull") : "fmla";
  }
  return "";
}

Simd::Simd(Kernel &kernel, bool integer, int most)
    : k(kernel), b(kernel.b), isa(isaOf(kernel.lowering.facts, integer)), lanes(std::min(lanesOf(isa), most)),
      hasVnni(isa == Isa::Avx512 && kernel.lowering.facts.has("avx512vnni")),
      hasDotprod(kernel.lowering.facts.has("dotprod")) {
  i8 = b.getI8Type(), i16 = b.getI16Type(), i32 = b.getI32Type(), i64 = b.getI64Type(), f32 = b.getF32Type();
  ptr = LLVM::LLVMPointerType::get(b.getContext());
  bytes = VectorType::get(lanes * 4, i8), words = VectorType::get(lanes * 2, i16);
  dwords = vectorOf(i32), floats = vectorOf(f32);
}

Value Simd::splat(VectorType type, int64_t value) {
  Attribute element = b.getIntegerAttr(type.getElementType(), value);
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, element));
}
Value Simd::splat(float value) { return arith::ConstantOp::create(b, DenseElementsAttr::get(floats, value)); }

Value Simd::at(Value base, Value offset) {
  return LLVM::GEPOp::create(b, ptr, i8, base, ArrayRef<LLVM::GEPArg>{offset}, LLVM::GEPNoWrapFlags::inbounds);
}
Value Simd::at(Value base, int64_t offset) {
  if (offset == 0)
    return base;
  if (offset != int32_t(offset))
    return at(base, k.constant(offset));
  return LLVM::GEPOp::create(b, ptr, i8, base, ArrayRef<LLVM::GEPArg>{int32_t(offset)}, LLVM::GEPNoWrapFlags::inbounds);
}
Value Simd::load(Type type, Value address, unsigned align) { return LLVM::LoadOp::create(b, type, address, align); }
void Simd::store(Value value, Value address, unsigned align) { LLVM::StoreOp::create(b, value, address, align); }
Value Simd::cast(VectorType type, Value value) {
  return value.getType() == type ? value : Value(vector::BitCastOp::create(b, type, value));
}
Value Simd::spread(VectorType type, Value scalar) { return vector::BroadcastOp::create(b, type, scalar); }
Value Simd::intrinsic(Type type, StringRef name, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), arguments).getResult(0);
}
Value Simd::lanesBelow(Value limit, int64_t first) {
  SmallVector<int32_t> numbers;
  for (int lane = 0; lane < lanes; ++lane)
    numbers.push_back(int32_t(first + lane));
  Value counted = arith::ConstantOp::create(b, DenseElementsAttr::get(dwords, ArrayRef<int32_t>(numbers)));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, counted,
                               spread(dwords, arith::TruncIOp::create(b, i32, limit)));
}
Value Simd::fma(Value x, Value y, Value sum) { return vector::FMAOp::create(b, x, y, sum); }
Value Simd::addInt(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
Value Simd::shiftRight(VectorType type, Value x, int n) {
  return n ? Value(arith::ShRUIOp::create(b, x, splat(type, n))) : x;
}

Value Simd::dot(Value part, Value operand, Value activation, bool small) {
  if (hasVnni)
    return intrinsic(dwords, "llvm.x86.avx512.vpdpbusd.512", {part, operand, activation});
  if (isa == Isa::Neon) {
    if (hasDotprod)
      return intrinsic(dwords, "llvm.aarch64.neon.sdot.v4i32.v16i8", {part, operand, activation});
    auto products = VectorType::get(8, i16);
    auto pairs = [&](int64_t from) {
      auto half = [&](Value v) { return vector::ExtractStridedSliceOp::create(b, v, from, 8, 1).getResult(); };
      Value product = intrinsic(products, "llvm.aarch64.neon.smull.v8i16", {half(operand), half(activation)});
      return intrinsic(dwords, "llvm.aarch64.neon.saddlp.v4i32.v8i16", {product});
    };
    return addInt(part, intrinsic(dwords, "llvm.aarch64.neon.addp.v4i32", {pairs(0), pairs(8)}));
  }
  bool wide = isa == Isa::Avx2;
  StringRef multiply = wide ? "llvm.x86.avx2.pmadd.ub.sw" : "llvm.x86.ssse3.pmadd.ub.sw.128";
  if (small)
    return addInt(part, intrinsic(words, multiply, {operand, activation}));
  // |operand| times the activation with the operand's sign: 2 · 128 · 127 < 2^15
  Value magnitude = LLVM::AbsOp::create(b, bytes, operand, /*is_int_min_poison=*/false);
  StringRef sign = wide ? "llvm.x86.avx2.psign.b" : "llvm.x86.ssse3.psign.b.128";
  Value pairs = intrinsic(words, multiply, {magnitude, intrinsic(bytes, sign, {activation, operand})});
  return addInt(part, widenPairs(pairs));
}

Value Simd::interleave(ArrayRef<Value> four) {
  SmallVector<int64_t> pairs, quads;
  for (int64_t i = 0; i < lanes; ++i)
    pairs.append({i, i + lanes}), quads.append({2 * i, 2 * i + 1, 2 * (i + lanes), 2 * (i + lanes) + 1});
  Value low = vector::ShuffleOp::create(b, four[0], four[1], pairs);
  Value high = vector::ShuffleOp::create(b, four[2], four[3], pairs);
  return vector::ShuffleOp::create(b, low, high, quads);
}

Value Simd::widenPairs(Value part) {
  return intrinsic(dwords, isa == Isa::Avx2 ? "llvm.x86.avx2.pmadd.wd" : "llvm.x86.sse2.pmadd.wd",
                   {part, splat(words, 1)});
}

Value Simd::lookupBytes(ArrayRef<int8_t> values, Value index) {
  SmallVector<int8_t> all;
  while (int64_t(all.size()) < bytes.getNumElements())
    all.append(values.begin(), values.end());
  Value table = arith::ConstantOp::create(b, DenseElementsAttr::get(bytes, ArrayRef<int8_t>(all)));
  switch (isa) {
  case Isa::Avx512: // four copies of the table: index bits 4 and 5 do no harm
    if (k.lowering.facts.has("avx512vbmi"))
      return intrinsic(bytes, "llvm.x86.avx512.permvar.qi.512", {table, index});
    return intrinsic(bytes, "llvm.x86.avx512.pshuf.b.512", {table, index});
  case Isa::Avx2:
    return intrinsic(bytes, "llvm.x86.avx2.pshuf.b", {table, index});
  case Isa::Sse:
    return intrinsic(bytes, "llvm.x86.ssse3.pshuf.b.128", {table, index});
  case Isa::Neon:
    return intrinsic(bytes, "llvm.aarch64.neon.tbl1.v16i8", {table, index});
  }
  return {};
}

Value Simd::lookupFloats(ArrayRef<float> values, Value index) {
  auto constant = [&](ArrayRef<float> part) -> Value {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(floats, part));
  };
  if (isa == Isa::Avx512) // looks at the low four bits only
    return intrinsic(floats, "llvm.x86.avx512.permvar.sf.512", {constant(values), index});
  if (isa == Isa::Avx2) { // two halves, chosen by the index's fourth bit
    Value low = intrinsic(floats, "llvm.x86.avx2.permps", {constant(values.take_front(8)), index});
    Value high = intrinsic(floats, "llvm.x86.avx2.permps", {constant(values.take_back(8)), index});
    Value upper = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, index, splat(dwords, 7));
    return arith::SelectOp::create(b, upper, high, low);
  }
  // A tree of selects over the index's bits.
  SmallVector<Value> level;
  for (float value : values)
    level.push_back(splat(value));
  for (int bit = 0; level.size() > 1; ++bit) {
    Value isSet = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                        arith::AndIOp::create(b, index, splat(dwords, 1 << bit)), splat(dwords, 0));
    SmallVector<Value> next;
    for (size_t i = 0; i < level.size(); i += 2)
      next.push_back(arith::SelectOp::create(b, isSet, level[i + 1], level[i]));
    level = next;
  }
  return level[0];
}

Value Simd::halfToFloat(Value halves) {
  Value narrow = arith::TruncIOp::create(b, vectorOf(i16), halves);
  if (k.lowering.facts.has("f16c") || isa == Isa::Neon)
    return arith::ExtFOp::create(b, floats, cast(vectorOf(b.getF16Type()), narrow));
  // Exponent and mantissa moved to f32's place, times 2^(127 - 15), which also normalizes subnormals. Infinities and
  // NaNs keep all exponent bits.
  Value magnitude = arith::AndIOp::create(b, halves, splat(dwords, 0x7fff));
  Value moved = arith::ShLIOp::create(b, magnitude, splat(dwords, 13));
  Value value = cast(dwords, arith::MulFOp::create(b, cast(floats, moved), splat(0x1p112f)));
  Value isFinite = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, magnitude, splat(dwords, 0x7c00));
  Value other = arith::OrIOp::create(b, moved, splat(dwords, 0x7f800000));
  Value sign = arith::AndIOp::create(b, arith::ShLIOp::create(b, halves, splat(dwords, 16)), splat(dwords, 1ll << 31));
  return cast(floats, arith::OrIOp::create(b, arith::SelectOp::create(b, isFinite, value, other), sign));
}
