// The sums of convolutions of codes as they lie in registers.
#pragma once

#include "Widen.h"
#include "qcc/Target/CodeConvolution.h"

namespace qcc {

/// A register holds 16 columns of a row of results, or 8 of each of two rows where rows are that short.
class CodeRows {
public:
  /// Whether the target multiplies bytes and results can be stored from registers.
  static bool fits(Lowering &lowering, const CodeConvolution &convolution);

  CodeRows(Simd &simd, const CodeConvolution &convolution)
      : s(simd), k(simd.k), c(convolution), narrow(k, /*integer=*/true, lanesOf(convolution)) {}

  static int64_t lanesOf(const CodeConvolution &c) { return c.across.output <= 8 ? 8 : 16; }
  /// Rows of results in a register.
  static int64_t rowsOf(const CodeConvolution &c) { return 16 / lanesOf(c); }
  /// Registers down and across all results of a plane.
  static int64_t linesOf(const CodeConvolution &c) { return llvm::divideCeil(c.down.output, rowsOf(c)); }
  static int64_t vectorsOf(const CodeConvolution &c) { return llvm::divideCeil(c.across.output, lanesOf(c)); }

  /// Calls body(first, size, hasLast) for the registers of a row in groups of up to `most`; `hasLast` tells whether the
  /// last of them is the row's last.
  void forGroups(int64_t most, llvm::function_ref<void(mlir::Value, int64_t, bool)> body);
  /// Stores a register of sums of result `m`: its first row is `y`, its number in the row `vector`, `isLast` whether
  /// that is the last.
  void store(mlir::Value image, mlir::Value m, mlir::Value y, mlir::Value vector, bool isLast, mlir::Value sum);

  /// The 16 codes of a row from position `start` on; outside of the positions 0 to `limit` they are the zero.
  mlir::Value codesAt(mlir::Value row, mlir::Value start, mlir::Value limit);
  mlir::Value zeros();

private:
  Simd &s;
  Kernel &k;
  const CodeConvolution &c;
  Simd narrow; // of as many lanes as a row has in a register
};

} // namespace qcc
