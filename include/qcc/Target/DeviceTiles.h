// Winograd's transformations on a GPU.
#pragma once

#include "qcc/Target/FloatTiles.h"

namespace qcc {

/// As `emitTiles` and `emitTileResults`: a thread for each tile.
void emitDeviceTiles(Lowering &lowering, const FloatTiles &tiles, int64_t channels,
                     const std::function<mlir::Value(Kernel &)> &planes, mlir::Value storage);
void emitDeviceTileResults(Lowering &lowering, const FloatTiles &tiles, int64_t channels, mlir::Value sums,
                           const TileStore &store);

} // namespace qcc
