#include "hopper/TileCost.h"
#include "Architectures.h"
#include <gtest/gtest.h>

using namespace qcc;

namespace {
struct Linear {
  Linear(llvm::StringRef format, ComputeType type, int64_t rows, int64_t columns)
      : layout(PackedLayout::of(llvm::cantFail(findFormat(format)), rows, columns)), type(type),
        facts(*findArchitecture("sm_90a")) {}
  TileCost best(int64_t tokens) const { return tileCosts(facts, {layout, type, tokens}).front(); }

  PackedLayout layout;
  ComputeType type;
  DeviceFacts facts;
};

const Linear linears[] = {{"int8", ComputeType::Int8, 576, 576},
                          {"fp8", ComputeType::Fp8, 4096, 4096},
                          {"int4-g32", ComputeType::Int8, 1536, 576},
                          {"int4-g128", ComputeType::Bf16, 4096, 14336},
                          {"bfloat16", ComputeType::Bf16, 49152, 576}};
} // namespace

TEST(TileCost, MoreTokensNeverCostLess) {
  for (const Linear &linear : linears) {
    double before = 0;
    for (int64_t tokens : {5, 8, 9, 16, 33, 64, 100, 128, 200, 512, 2048, 8192}) {
      double cycles = linear.best(tokens).cycles;
      EXPECT_GE(cycles, before) << linear.layout.rows << " rows, " << tokens << " tokens";
      before = cycles;
    }
  }
}

TEST(TileCost, MoreRowsAndColumnsNeverCostLess) {
  for (int64_t tokens : {16, 100, 2048}) {
    double rows = 0, columns = 0;
    for (int64_t size : {256, 576, 1024, 4096, 8192, 20000}) {
      double wider = Linear("fp8", ComputeType::Fp8, size, 4096).best(tokens).cycles;
      double deeper = Linear("fp8", ComputeType::Fp8, 4096, size).best(tokens).cycles;
      EXPECT_GE(wider, rows);
      EXPECT_GE(deeper, columns);
      rows = wider, columns = deeper;
    }
  }
}

TEST(TileCost, NothingIsFasterThanMemoryAndTheMatrixUnit) {
  for (const Linear &linear : linears)
    for (int64_t tokens : {5, 64, 4096})
      for (const TileCost &cost : tileCosts(linear.facts, {linear.layout, linear.type, tokens})) {
        double products = double(linear.layout.rows * tokens * linear.layout.columns) *
                          double(WarpgroupUnit::activationBytes(linear.type)) / linear.facts.rates.productBytes /
                          double(linear.facts.rates.multiprocessors);
        EXPECT_GE(cost.cycles, cost.memory);
        EXPECT_GE(cost.cycles, products);
      }
}

TEST(TileCost, TilesFitSharedMemory) {
  for (const Linear &linear : linears)
    for (const TileCost &cost : tileCosts(linear.facts, {linear.layout, linear.type, 300})) {
      WarpgroupStage stage(linear.layout, linear.type, cost.tile.tokens, true);
      EXPECT_GE(cost.tile.stages, 2);
      EXPECT_LE(cost.tile.stages * stage.bytes() + WarpgroupTile::resultBytes,
                linear.facts.sharedBytes + 1024 * cost.tile.stages);
      EXPECT_LE(cost.tile.splits, stage.count());
    }
}

TEST(TileCost, FewUnitsAreSplitAndManyAreNot) {
  EXPECT_GT(Linear("fp8", ComputeType::Fp8, 576, 14336).best(16).tile.splits, 1);
  EXPECT_EQ(Linear("fp8", ComputeType::Fp8, 16384, 4096).best(4096).tile.splits, 1);
  EXPECT_GE(Linear("fp8", ComputeType::Fp8, 16384, 4096).best(4096).tile.tokens, 64);
}
