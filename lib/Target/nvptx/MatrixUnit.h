// The matrix instructions of a GPU's warps.
#pragma once

#include "Decode.h"

namespace qcc {

/// What products are computed in.
enum class ComputeType { F32, Int8, Fp8, Bf16 };
ComputeType computeTypeOf(llvm::StringRef act);

/// Products of 16 rows of weights and 8 tokens over 32 columns, by one warp. With g = lane / 4 and t = lane % 4, a lane
/// holds columns 8t to 8t + 7 of rows g and g + 8, and of token g; so one 32-bit lane of packed 4-bit codes, or two of
/// 8-bit codes, are a lane's share of a row. The instructions number the columns of a step otherwise, but alike for
/// both operands, and a sum over all of them is the same.
class MatrixUnit {
public:
  MatrixUnit(ThreadBlock &block, ComputeType type, ThreadDecoder &decoder)
      : t(block), b(block.b), type(type), decoder(decoder) {}

  static constexpr int64_t rows = 16, tokens = 8, columns = 32;
  static bool has(const DeviceFacts &facts, ComputeType type);
  /// The instruction, for plans.
  static llvm::StringRef instruction(const DeviceFacts &facts, ComputeType type);

  /// Bytes of an activation.
  int64_t activationBytes() const { return type == ComputeType::Bf16 ? 2 : 1; }
  /// The type of sums of products.
  mlir::Type sumType() const { return type == ComputeType::Int8 ? t.i32 : t.f32; }

  using Registers = llvm::SmallVector<mlir::Value>;
  /// Lanes of packed codes of rows g and g + 8 to what the instructions take.
  Registers weights(llvm::ArrayRef<mlir::Value> upper, llvm::ArrayRef<mlir::Value> lower);
  /// The same of the lanes of one row, in the order of columns.
  Registers wordsOf(llvm::ArrayRef<mlir::Value> lanes);
  /// The 32-bit words of a lane's share of a token.
  int64_t activationWords() const { return 2 * activationBytes(); }
  /// sums += weights · activations; sums are those of (row g, tokens 2t and 2t + 1), then of row g + 8.
  Registers multiply(llvm::ArrayRef<mlir::Value> weights, llvm::ArrayRef<mlir::Value> activations,
                     llvm::ArrayRef<mlir::Value> sums);

private:
  Registers call(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands, int results);

  ThreadBlock &t;
  mlir::ImplicitLocOpBuilder &b;
  const ComputeType type;
  ThreadDecoder &decoder;
};

} // namespace qcc
