// What the kernels of attention on a GPU have in common: how work is cut, which keys a row sees, where results go.
#pragma once

#include "../ThreadBlock.h"
#include "qcc/Tile/Attention.h"
#include <memory>

namespace qcc {

/// How one attention is cut into units: (batch, group of heads that share keys, tile of queries, chunk of keys).
struct AttentionCut {
  int64_t together = 1; // heads of a unit
  Dim groups, chunks, chunkLength;
  mlir::Value partial; // of the host: maximum, sum and weighted values of each row and chunk, where there are several
};

/// The kernel for tiles of `queries` queries: rows of heads that share keys, all heads of a row next to each other.
class AttentionTile {
public:
  /// Ends the kernel and launches it over all units.
  void launch();

  virtual ~AttentionTile() = default;

protected:
  AttentionTile(Lowering &lowering, const StreamedAttention &a, const AttentionCut &cut, llvm::StringRef name,
                int64_t queries, int64_t threads);

  /// Emits what the block's unit is.
  void begin();
  mlir::Value rowOf(mlir::Value query) { return k.add(firstRow, k.div(query, k.constant(cut.together))); }
  mlir::Value headOf(mlir::Value query) { return k.add(firstHead, k.rem(query, k.constant(cut.together))); }
  /// The number of a query, or of the last one that there is.
  mlir::Value present(mlir::Value query) { return k.min(query, k.sub(count, k.constant(1))); }
  mlir::Value key(mlir::Value position, mlir::Value i) { return number(a.key, keyData, keyStart, position, i); }
  mlir::Value value(mlir::Value position, mlir::Value i) { return number(a.value, valueData, valueStart, position, i); }
  /// What becomes of a scaled product of a query and a key: -inf where the row does not see it.
  mlir::Value score(mlir::Value head, mlir::Value row, mlir::Value key, mlir::Value product);
  /// Hands on a query's result or, where keys are split, its part: `total` is the sum of its weights under `largest`,
  /// and `eachColumn` calls its argument with the columns that this thread has and their weighted sums.
  void finish(mlir::Value query, mlir::Value isFirst, mlir::Value largest, mlir::Value total,
              llvm::function_ref<void(llvm::function_ref<void(mlir::Value, mlir::Value)>)> eachColumn);

  mlir::Value power(mlir::Value x); // of e: the hardware's own, within 2 units in the last place
  mlir::Value minus(mlir::Value x, mlir::Value y) { return mlir::arith::SubFOp::create(b, x, y); }
  mlir::Value times(mlir::Value x, mlir::Value y) { return mlir::arith::MulFOp::create(b, x, y); }
  mlir::Value larger(mlir::Value x, mlir::Value y) { return mlir::LLVM::MaximumOp::create(b, x, y); }

  Lowering &lowering;
  const StreamedAttention &a;
  const AttentionCut &cut;
  const int64_t queries, size, valueSize; // lengths of keys and values
  Kernel k;
  ThreadBlock t;
  mlir::ImplicitLocOpBuilder &b;
  mlir::Value batch, firstHead, firstRow, count, position; // count: queries that there are
  mlir::Value from, end;                                   // keys that the unit's rows may see

private:
  Dim tiles() const { return lowering.dims.ceilDiv(a.rows, queries / cut.together); }
  mlir::Value number(const StoredRows &rows, mlir::Value data, mlir::Value start, mlir::Value position, mlir::Value i) {
    return rows.load(k, data, k.add(start, k.mul(position, k.dim(rows.position))), i, t.f32);
  }

  mlir::Value keyData, valueData, keyStart, valueStart, chunk;
};

/// The type in which matrix units multiply queries, keys and weights of an attention; null where they do not: that of
/// the tensors where it has 16 bits, and bfloat16 for float32 in a program whose linear operations all multiply
/// activations in floats of less than 32 bits.
mlir::Type matrixTypeOf(Lowering &lowering, const StreamedAttention &attention);

/// The kernel on matrix units, written and not yet launched.
inline constexpr int64_t matrixQueries = 64; // of its tile
std::unique_ptr<AttentionTile> writeMatrixAttention(Lowering &lowering, const StreamedAttention &attention,
                                                    const AttentionCut &cut, mlir::Type type);

} // namespace qcc
