// Products whose operands both have scales for their blocks, which the matrix unit applies.
#pragma once

#include "../../BlockRounding.h"
#include "../LinearKernel.h"

namespace qcc {

/// The kinds of PTX: elements of one byte in blocks of 32 columns, of four bits in such blocks, of four bits in blocks
/// of 16.
enum class ScaledKind { Mxf8f6f4, Mxf4, Mxf4nvf4 };

/// The kind that multiplies activations of a compute type with weights of a layout on an architecture that has it.
std::optional<ScaledKind> scaledKind(const DeviceFacts &facts, llvm::StringRef act, const PackedLayout &layout);
/// The instruction, for plans.
llvm::StringRef scaledInstruction(const DeviceFacts &facts, ScaledKind kind);
/// Whether the matrix unit has its sums in tensor memory.
bool hasTensorMemory(const DeviceFacts &facts);

/// Activations in the order of these products: for each token and `columns` columns (a record) 128 bytes of codes, in
/// the order of the weights' chunks, and behind them a byte of scale for each block. Columns behind the last hold
/// zeros.
struct ScaledRecords {
  static constexpr int64_t codeBytes = 128, bytes = 144, steps = 4;
  int64_t block, codeBits, depth;
  /// Whether codes of 8 bits stand as packed ones of 4 bits do, when those are read from the low bits on: of 8 columns
  /// 0, 4, 1, 5, 2, 6, 3, 7.
  bool isInterleaved = false;
  int64_t columns() const { return codeBytes * 8 / codeBits; }
  int64_t stepColumns() const { return columns() / steps; } // of one instruction
  int64_t count() const { return (depth + columns() - 1) / columns(); }
  int64_t restSteps() const { return (depth % columns() + stepColumns() - 1) / stepColumns(); }
  int64_t tokenBytes() const { return count() * bytes; }
  int64_t blocks() const { return columns() / block; } // of a record
};
ScaledRecords recordsOf(const DeviceFacts &facts, const BlockRounding &rounding, const PackedLayout &layout);

/// The activations of such a compute type, on the host.
struct BlockActivations {
  mlir::Value floats;      // [token][column], rounded, for few tokens and for products in other types
  mlir::Value records;     // where there is a kind
  mlir::Value tokenScales; // what a token's sums are multiplied with; null where there is nothing
};

/// Rounds `x` for all linear operations that read it: to floats where there are at most `fewTokens` tokens or no
/// records are wanted, else to records.
BlockActivations roundToBlocks(Lowering &lowering, mlir::Value x, const BlockRounding &rounding,
                               const PackedLayout &layout, Dim tokens, int64_t fewTokens, bool wantsRecords);

/// Many tokens, by instructions of warps that take scales.
void emitScaledProduct(Lowering &lowering, const DeviceLinear &linear, ScaledKind kind, const BlockRounding &rounding,
                       const BlockActivations &activations);

/// The same where there is tensor memory.
void emitTensorMemoryProduct(Lowering &lowering, const DeviceLinear &linear, ScaledKind kind,
                             const BlockRounding &rounding, const BlockActivations &activations);
/// Whether the matrix unit with tensor memory multiplies operands without scales there, and by which instruction.
bool usesTensorMemory(const DeviceFacts &facts, const PackedLayout &layout, ComputeType type);
llvm::StringRef tensorMemoryInstruction(ComputeType type);
void emitTensorMemorySums(Lowering &lowering, const DeviceLinear &linear, const DeviceActivations &activations);

} // namespace qcc
