// Winograd's F(2 x 2, 3 x 3) in float32 on a CPU target: what stands around the products of tiles.
#pragma once

#include "qcc/Target/FloatWindows.h"

namespace qcc {

/// The 4 x 4 tiles of planes, two positions apart, and the 2 x 2 results of each.
struct FloatTiles {
  FloatWindow window; // of the tiles
  Dim images;
  int64_t height = 1, width = 1; // of the results

  int64_t count() const { return window.down.output * window.across.output; }
};

/// Emits and launches the transformation Bᵀ d B of all tiles of images x channels planes, to images x 16 x channels x
/// tiles.
void emitTiles(Lowering &lowering, const FloatTiles &tiles, int64_t channels,
               std::function<mlir::Value(Kernel &)> planes, mlir::Value storage);
/// Takes each element of images x channels x height x width once.
using TileStore = std::function<void(Kernel &, mlir::Value image, mlir::Value channel, mlir::Value y, mlir::Value x,
                                     mlir::Value result)>;
/// Emits and launches the transformation Aᵀ m A of sums, images x 16 x channels x tiles, to results.
void emitTileResults(Lowering &lowering, const FloatTiles &tiles, int64_t channels, mlir::Value sums,
                     const TileStore &store);

} // namespace qcc
