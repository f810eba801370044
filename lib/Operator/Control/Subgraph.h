// What If, Loop and Scan share: bodies that are lowered where the host stands, and what comes out of them.
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// The region that holds the subgraph of that name; null when the node has none.
mlir::Region *subgraphOf(const Node &node, llvm::StringRef name);

/// Moves out of a region, in front of the node that holds it, what does not depend on the region: constants and what
/// is computed from them, or everything where `all` is set. The symbols from number `first` on were made for the
/// region.
void hoist(Infer &infer, mlir::Region &region, size_t first, bool all);

/// Whether a length is known inside of a subgraph alone: the symbols from number `first` on were made for it.
bool isInner(const Dimensions &dims, Dim dim, size_t first);

/// Values that a subgraph yields, on their way into storage that is there before the subgraph runs.
class Yields {
public:
  explicit Yields(Lowering &lowering) : lowering(lowering) {}
  /// `value` is wanted in `storage`. Said before `block` is lowered, so that it is computed there where that is
  /// possible.
  void want(mlir::Value value, mlir::Value storage, mlir::Block &block);
  /// After the block is lowered: copies what was made elsewhere.
  void settle();

private:
  Lowering &lowering;
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> wanted;
};

} // namespace qcc
