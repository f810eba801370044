// The matrix instructions of Hopper's warpgroups.
#pragma once

#include "MatrixUnit.h"

namespace qcc {

/// Products of 16 rows of weights for each of four warps, from registers, with tokens that lie in shared memory: rows
/// of 128 bytes, the 16-byte pieces of row r exchanged by XOR with r % 8.
class WarpgroupUnit {
public:
  WarpgroupUnit(ThreadBlock &block, ComputeType type, ThreadDecoder &decoder, const PackedLayout &layout)
      : t(block), b(block.b), type(type), decoder(decoder), layout(layout) {}

  static constexpr int64_t alignment = 1024; // of the tokens' tile: the pattern repeats so often
  static bool has(const DeviceFacts &facts, ComputeType type) {
    return facts.architecture == "sm_90a" && (type == ComputeType::Int8 || type == ComputeType::Fp8);
  }
  static llvm::StringRef instruction(ComputeType type);

  /// The sums of one block of columns: of each head's rows (lane / 4 and that plus 8), in the order of `MatrixUnit` for
  /// each 8 of 8 · `tokenTiles` tokens. `tokens` is where the block's columns of the first token stand.
  llvm::SmallVector<mlir::Value> multiply(llvm::ArrayRef<mlir::Value> heads, llvm::ArrayRef<mlir::Value> rows,
                                          mlir::Value quad, int64_t columns, mlir::Value tokens, int tokenTiles);

private:
  mlir::Value word(mlir::Value codes, mlir::Value row, mlir::Value quad, int64_t step, int half, int64_t columns);
  mlir::Value describe(mlir::Value tokens);

  ThreadBlock &t;
  mlir::ImplicitLocOpBuilder &b;
  const ComputeType type;
  ThreadDecoder &decoder;
  const PackedLayout &layout;
};

} // namespace qcc
