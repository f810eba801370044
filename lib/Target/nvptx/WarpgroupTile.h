// How linear operations for many tokens are cut for warpgroups.
#pragma once

#include "WarpgroupUnit.h"

namespace qcc {

/// What a block of threads computes at a time, beside its 128 rows.
struct WarpgroupTile {
  static constexpr int64_t rows = 128, mostTokens = 128;
  /// Of shared memory beside the stages: 16 rows of 32 tokens of each of 8 warps, on their way out.
  static constexpr int64_t resultTokens = 32, resultBytes = 8 * 16 * resultTokens * 4;
  int64_t tokens = 0; // 8 to 128
  int64_t splits = 1; // of the columns, whose sums are added up by another kernel
  int64_t stages = 0; // of columns that are on their way or being multiplied

  bool operator!=(const WarpgroupTile &other) const {
    return tokens != other.tokens || splits != other.splits || stages != other.stages;
  }
};

/// A stage of columns in shared memory: activations in rows of 128 bytes, [row][token], weights of 8 tiles as they are
/// packed, scales and sums of activations [block][token].
struct WarpgroupStage {
  static constexpr int64_t tiles = 8;

  WarpgroupStage(const PackedLayout &layout, ComputeType type, int64_t tokens, bool hasSums)
      : layout(layout), type(type), tokens(tokens), hasSums(hasSums) {}

  /// Bytes of a token's activations in a block of columns.
  int64_t blockBytes() const {
    return layout.chunks(layout.block) * layout.chunkColumns() * WarpgroupUnit::activationBytes(type);
  }
  int64_t rows() const { return std::max<int64_t>(1, blockBytes() / WarpgroupUnit::rowBytes); }
  int64_t blocks() const { return std::max<int64_t>(1, WarpgroupUnit::rowBytes / blockBytes()); }
  /// Of so many blocks and columns behind them.
  int64_t rowsOf(int64_t count, int64_t tail) const {
    int64_t more = llvm::alignTo(layout.chunks(tail) * layout.chunkColumns(), MatrixUnit::columns);
    return llvm::divideCeil(count * blockBytes() + more * WarpgroupUnit::activationBytes(type),
                            WarpgroupUnit::rowBytes);
  }

  /// Stages of the matrix: those full of blocks, and one of what is left.
  int64_t whole() const { return layout.fullBlocks() / blocks(); }
  int64_t restBlocks() const { return layout.fullBlocks() % blocks(); }
  int64_t count() const { return whole() + (restBlocks() || layout.tail()); }

  int64_t weightBytes() const { return blocks() * layout.blockBytes(layout.block); }
  bool hasScales() const { return type != ComputeType::Bf16; }
  int64_t tokensAt(int64_t row) const { return row * tokens * WarpgroupUnit::rowBytes; }
  int64_t weightsAt(int64_t tile) const { return tokensAt(rows()) + tile * weightBytes(); }
  int64_t scalesAt(int64_t block) const { return weightsAt(tiles) + block * tokens * 4; }
  int64_t sumsAt(int64_t block) const { return scalesAt(hasScales() ? blocks() : 0) + block * tokens * 4; }
  int64_t bytes() const { return llvm::alignTo(sumsAt(hasSums ? blocks() : 0), WarpgroupUnit::alignment); }

  const PackedLayout &layout;
  const ComputeType type;
  const int64_t tokens;
  const bool hasSums;
};

} // namespace qcc
