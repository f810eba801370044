// Vector code for a CPU target: lanes, memory, and the int8 dot product in whatever instructions the target has.
#pragma once

#include "qcc/Tile/Kernel.h"
#include "qcc/Tile/Lowering.h"

namespace qcc {

/// Emits vector code into a kernel. A register holds `lanes` 32-bit lanes.
class Simd {
public:
  enum class Isa { Avx512, Avx2, Sse, Neon };

  /// `integer` says that int8 dot products will be emitted: AVX-512 without VNNI has none as good as AVX2's.
  /// `most` limits the lanes, for rows that do not fill a register.
  Simd(Kernel &kernel, bool integer, int most = 16);

  Kernel &k;
  mlir::ImplicitLocOpBuilder &b;
  const Isa isa;
  const int lanes;
  mlir::Type i8, i16, i32, i64, f32, ptr;
  mlir::VectorType bytes, words, dwords, floats;

  static Isa isaOf(const TargetFacts &facts, bool integer);
  static int lanesOf(Isa isa);

  // Constants, memory; offsets are in bytes.
  mlir::Value splat(mlir::VectorType type, int64_t value);
  mlir::Value splat(float value);
  mlir::Value at(mlir::Value base, mlir::Value offset);
  mlir::Value at(mlir::Value base, int64_t offset);
  mlir::Value load(mlir::Type type, mlir::Value address, unsigned align = 1);
  void store(mlir::Value value, mlir::Value address, unsigned align = 1);
  mlir::Value cast(mlir::VectorType type, mlir::Value value);
  mlir::Value spread(mlir::VectorType type, mlir::Value scalar);
  mlir::Value intrinsic(mlir::Type type, llvm::StringRef name, mlir::ValueRange arguments);
  mlir::VectorType vectorOf(mlir::Type element) { return mlir::VectorType::get(lanes, element); }

  /// Which lanes, counted from `first`, are below `limit` (i64).
  mlir::Value lanesBelow(mlir::Value limit, int64_t first);

  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value sum);
  mlir::Value addInt(mlir::Value x, mlir::Value y);
  mlir::Value shiftRight(mlir::VectorType type, mlir::Value x, int n);

  // int8 dot products. Operands hold four consecutive columns of a row in each lane; activations stay within ±127, so
  // that no sum saturates.

  /// What is added to signed operands before they are multiplied: 128 where the instruction takes unsigned ones.
  int signedBias() const { return hasVnni ? 128 : 0; }
  /// The parts of a sum while a block is added up: i32 lanes, or i16 pairs when `small`: operands of 0 to 15 on targets
  /// that sum pairs.
  bool sumsPairs(bool small) const { return small && (isa == Isa::Avx2 || isa == Isa::Sse) && !hasVnni; }
  mlir::VectorType partType(bool small) { return sumsPairs(small) ? words : dwords; }
  /// part += operand · activation in every lane. `small`: the operand is unsigned and below 16.
  mlir::Value dot(mlir::Value part, mlir::Value operand, mlir::Value activation, bool small);
  /// i16 pairs to i32 lanes; at most 8 dots may have been summed.
  mlir::Value widenPairs(mlir::Value part);
  static constexpr int dotsPerPairSum = 8; // 8 · 2 · 15 · 127 < 2^15

  /// Four registers' worth of 8-bit numbers, given as vectors of `lanes` bytes, so that each lane has one of each.
  mlir::Value interleave(llvm::ArrayRef<mlir::Value> four);

  /// table[index] in every byte; index bytes are below 16. `values` has 16 entries.
  mlir::Value lookupBytes(llvm::ArrayRef<int8_t> values, mlir::Value index);
  /// table[index] in every lane, index lanes below 16.
  mlir::Value lookupFloats(llvm::ArrayRef<float> values, mlir::Value index);
  /// IEEE half floats, in the low halves of i32 lanes whose high halves are 0, as floats.
  mlir::Value halfToFloat(mlir::Value halves);
  /// The instruction that multiplies, for plans.
  static llvm::StringRef instruction(const TargetFacts &facts, bool integer);

private:
  const bool hasVnni, hasDotprod;
};

} // namespace qcc
