// What a linear operation for many tokens costs on warpgroups, by the tile it is cut into.
#pragma once

#include "WarpgroupTile.h"

namespace qcc {

/// The time of a tile, in cycles of a multiprocessor, and what it is made of. `products` to `cache` are those of one
/// stage of columns: whichever is the longest is how long the stage takes.
struct TileCost {
  WarpgroupTile tile;
  int64_t units = 0, waves = 0; // of units on all multiprocessors
  double products = 0;          // on the matrix unit
  double instructions = 0;      // of everything else, on the four schedulers
  double alone = 0;             // products and instructions of one warpgroup, which come one after the other
  double shared = 0, cache = 0; // reading and writing shared memory; filling it from the second-level cache
  double arrival = 0;           // until a stage that was asked for is there, shared by those on their way
  double memory = 0;            // of the whole operation: weights, activations and results
  double parts = 0;             // of the whole operation: writing sums of splits and adding them up
  double cycles = 0;            // in all

  double stage() const { return std::max({products, instructions, alone, shared, cache, arrival}); }
};

/// What there is to cut.
struct TileProblem {
  const PackedLayout &layout;
  ComputeType type;
  int64_t tokens;

  bool hasSums() const;
  /// Instructions that make the registers of a step from a packed lane.
  double decodeInstructions() const;
};

/// The cost of every tile that fits a device, the cheapest first.
llvm::SmallVector<TileCost> tileCosts(const DeviceFacts &facts, const TileProblem &problem);
/// The same as a table, with the rates it was computed from.
std::string explainTiles(const DeviceFacts &facts, const TileProblem &problem, llvm::ArrayRef<TileCost> costs);

} // namespace qcc
