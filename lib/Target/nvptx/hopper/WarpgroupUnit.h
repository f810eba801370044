// The matrix instructions of Hopper's warpgroups.
#pragma once

#include "../MatrixUnit.h"

namespace qcc {

/// Products of 64 rows of weights, 16 of each warp, with tokens, over steps of 32 bytes of activations. Weights come
/// from registers; tokens lie in shared memory, in tiles of rows of 128 bytes whose 16-byte pieces in row r are
/// exchanged by XOR with r % 8. Each group of four packed lanes of a row is a sequence of columns; `positionOf` says
/// where the instruction has them, and activations stand in that order.
class WarpgroupUnit {
public:
  WarpgroupUnit(ThreadBlock &block, ComputeType type, ThreadDecoder &decoder, const Format &format,
                const PackedLayout &layout, int64_t tokens);

  static constexpr int64_t alignment = 1024; // of the tokens' tile: the pattern repeats so often
  static constexpr int64_t rowBytes = 128, stepBytes = 32, threads = 128, rows = 64;
  static constexpr int64_t mostSteps = 8; // of a block
  static bool has(const DeviceFacts &facts, ComputeType type);
  static llvm::StringRef instruction(ComputeType type);
  static int64_t activationBytes(ComputeType type) { return type == ComputeType::Bf16 ? 2 : 1; }
  /// The place among activations of a padded column of a row.
  static mlir::Value positionOf(Kernel &k, const PackedLayout &layout, ComputeType type, mlir::Value column);

  /// Names the registers of sums; once, where the kernel begins.
  void declareSums();
  /// Begins to multiply a block of columns: the weights whose codes begin at `codes` in shared memory, for the rows
  /// lane / 4 and that plus 8 of the warp's tile, with the tokens at `tokens(step)`. Products are added to the
  /// sums there are, or begin new ones where `adds` (an i32) is 0.
  void multiply(mlir::Value codes, int64_t columns, mlir::Value adds, llvm::function_ref<mlir::Value(int64_t)> tokens);
  /// Waits for all of it. For each 8 of the tokens, sums of (row lane / 4, tokens 2t and 2t + 1), t = lane % 4, then of
  /// the row 8 below.
  llvm::SmallVector<mlir::Value> sums();
  /// Waits for all of it, and leaves the sums where they are.
  void wait();

private:
  using Registers = llvm::SmallVector<mlir::Value>;
  llvm::SmallVector<Registers> load(mlir::Value codes, int64_t columns);
  bool isPlain() const;
  Registers wordsOf(mlir::Value lane);
  mlir::Value describe(mlir::Value tokens);
  bool isInteger() const { return type == ComputeType::Int8; }

  ThreadBlock &t;
  Kernel &k;
  mlir::ImplicitLocOpBuilder &b;
  const ComputeType type;
  ThreadDecoder &decoder;
  const Format &format;
  const PackedLayout &layout;
  const int64_t tokens;
  MatrixUnit warp;
  Registers used; // by instructions that may not have ended
};

} // namespace qcc
