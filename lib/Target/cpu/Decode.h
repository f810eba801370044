// Codes of a packed weight to numbers in registers.
#pragma once

#include "Simd.h"
#include "qcc/Pack/PackedLayout.h"

namespace qcc {

/// The decode of one format for one kernel.
class Decoder {
public:
  Decoder(Simd &simd, const Format &format, const PackedLayout &layout) : s(simd), format(format), layout(layout) {}

  /// The planes of a chunk's codes, for the rows from `address` on.
  llvm::SmallVector<mlir::Value> load(mlir::Value address);
  /// A chunk of codes as the operands of int8 dot products, four columns of each row in each; moved up by `bias()`.
  llvm::SmallVector<mlir::Value> integers(llvm::ArrayRef<mlir::Value> planes);
  /// What `integers` adds to every number: the dot product is too large by this times the sum of the activations.
  int bias() const;
  /// Whether the operands are unsigned and below 16.
  bool isSmall() const;

  /// A chunk of codes as floats, one column in each, scales left out.
  llvm::SmallVector<mlir::Value> floats(llvm::ArrayRef<mlir::Value> planes);

  /// The scales of `lanes` rows, as floats; times what an integer view's numbers are too large by, where `integer`.
  mlir::Value scales(mlir::Value address, bool integer);
  /// The zeros of `lanes` rows, as floats.
  mlir::Value zeros(mlir::Value address);

private:
  bool isAffine() const { return layout.codeBits <= 4 && (layout.bias || layout.hasZero); }
  mlir::Value narrowIntegers(llvm::ArrayRef<mlir::Value> planes, int64_t operand);

  Simd &s;
  const Format &format;
  const PackedLayout &layout;
};

} // namespace qcc
