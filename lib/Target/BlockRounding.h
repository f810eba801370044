// Activations in the blocks of a number format, rounded when the program runs.
#pragma once

#include "qcc/Tile/Kernel.h"

namespace qcc {

/// The arithmetic of a compute type that is a format of 4- or 8-bit floats in blocks with 8-bit scales. Every target
/// emits it from here, so that all of them round alike. Magnitudes are a float's bits without its sign: as integers
/// they are ordered as the numbers are, with infinities and NaNs at the end; what holds one of these becomes NaN.
class BlockRounding {
public:
  static std::optional<BlockRounding> of(llvm::StringRef act);

  int64_t block = 0;          // columns; the last block of a token may be short
  int64_t codeBits = 0;       // 4: e2m1; 8: e4m3
  bool hasTokenScale = false; // e4m3 scales, in units of a power of two for each token; else e8m0

  mlir::Value magnitude(mlir::ImplicitLocOpBuilder &b, mlir::Value x) const;
  mlir::Value larger(mlir::ImplicitLocOpBuilder &b, mlir::Value a, mlir::Value c) const;
  /// The unit of a token's scales: the least power of two under which all of them can be expressed.
  mlir::Value tokenScale(mlir::ImplicitLocOpBuilder &b, mlir::Value largestOfToken) const;
  /// The code of a block's scale, an i8. `tokenScale` is null where there is none.
  mlir::Value scaleCode(mlir::ImplicitLocOpBuilder &b, mlir::Value largest, mlir::Value tokenScale) const;
  mlir::Value scale(mlir::ImplicitLocOpBuilder &b, mlir::Value scaleCode, mlir::Value tokenScale) const;
  /// The code of an element, an i8, under its block's scale, and the number that it is without it.
  mlir::Value code(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Value scale) const;
  mlir::Value value(mlir::ImplicitLocOpBuilder &b, mlir::Value code) const;

private:
  float largest = 0; // that elements express
};

} // namespace qcc
