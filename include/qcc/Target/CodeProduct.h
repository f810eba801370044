// Products of int8 codes on a CPU target.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// sum(image, row, column) = sum over k < depth of left(row, k) * right(image, k, column) - offsets(row), of signed
/// left and unsigned right codes, in exact integers.
struct CodeProduct {
  Dim images;
  int64_t rows = 1, columns = 1, depth = 1;
  /// Addresses: rows x depth, images x depth x columns bytes, and an i32 for each row.
  std::function<mlir::Value(Kernel &)> left, right, offsets;
  /// Takes each sum once, as a float32.
  std::function<void(Kernel &, mlir::Value image, mlir::Value row, mlir::Value column, mlir::Value sum)> store;
};

/// Whether a target multiplies unsigned codes with signed ones faster than their values in float32.
bool multipliesCodes(const TargetFacts &facts);

/// Emits and launches the product. False, with nothing emitted, where the target has no dot products of unsigned and
/// signed bytes, or for results that this is not made for.
bool emitCodeProduct(Lowering &lowering, llvm::StringRef name, const CodeProduct &product);

} // namespace qcc
