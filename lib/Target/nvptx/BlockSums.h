// What becomes of the sums of products that matrix instructions leave in the registers of a warp's lanes.
#pragma once

#include "Decode.h"

namespace qcc {

/// Adds a block's sums to totals, times the scales of its row and its token.
class SumScaling {
public:
  /// `integer`: sums are of products of integer codes.
  SumScaling(ThreadBlock &block, ThreadDecoder &decoder, const PackedLayout &layout, bool integer)
      : t(block), decoder(decoder), layout(layout), integer(integer) {}

  struct Row {
    mlir::Value factor; // null where the format has no scales of blocks
    mlir::Value zero;   // less than nothing, times the factor; null where the format has no zeros
  };
  /// Of the packed block at `head`.
  Row row(mlir::Value head, mlir::Value number);
  /// total + sum times all scales. Of a token: its scale, null where tokens have none, and the sum of its codes where
  /// integers have a bias or a zero.
  mlir::Value add(mlir::Value total, mlir::Value sum, const Row &row, mlir::Value scale, mlir::Value codeSum);

private:
  ThreadBlock &t;
  ThreadDecoder &decoder;
  const PackedLayout &layout;
  const bool integer;
};

/// Hands sums on through shared memory, so that neighbouring threads take neighbouring rows of a token: in each warp
/// `rowTiles` x `tokenTiles` fragments of 16 rows and 8 tokens, of which a lane holds (row lane / 4, tokens 2 (lane %
/// 4) and the next), then the same of row lane / 4 + 8. body(row, token, address of the sum), both in the block.
void shareFragments(Kernel &k, ThreadBlock &block, mlir::Value area, int64_t rowTiles, int64_t tokenTiles,
                    llvm::ArrayRef<mlir::Value> sums,
                    llvm::function_ref<void(mlir::Value row, mlir::Value token, mlir::Value address)> body);

} // namespace qcc
