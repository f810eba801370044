// A linear operation for many tokens, on the matrix instructions of warps.
#include "LinearKernel.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t blockThreads = 128;
static constexpr int64_t tileColumns = 128; // of activations that shared memory holds at once; whole blocks of them
static constexpr int64_t mostBlock = 256;   // columns of a block whose products are written out one after another

namespace {
/// A block of threads multiplies 16 · `rowTiles` rows for each of its warps with 8 · `tokenTiles` tokens. Activations
/// go through shared memory, some tiles ahead where the architecture copies on its own; each weight is read by one warp
/// alone, straight into the registers where it is decoded.
class ManyTokens {
public:
  ManyTokens(Kernel &kernel, const DeviceLinear &linear, const DeviceActivations &activations, int rowTiles,
             int tokenTiles)
      : k(kernel), t(kernel, blockThreads), b(kernel.b), linear(linear), layout(this->linear.layout),
        decoder(t, this->linear.format, layout), unit(t, linear.type, decoder), rowTiles(rowTiles),
        tokenTiles(tokenTiles), copiesAhead(kernel.lowering.facts.device->capability >= 80),
        packed(kernel.argument(linear.weights)), tokens(kernel.dim(linear.tokens)),
        codes(kernel.argument(activations.codes)) {
    if (activations.scales)
      scales = k.argument(activations.scales);
    needsSums = linear.type == ComputeType::Int8 && (decoder.bias() || layout.hasZero);
    if (needsSums)
      sums = k.argument(activations.sums);
    padded = deviceColumns(layout, layout.block);
    columns = std::max(tileColumns, padded), perTile = columns / padded;
    wholeTiles = layout.fullBlocks() / perTile, restBlocks = layout.fullBlocks() % perTile;
    stages = copiesAhead ? 3 : 1;
    rowBytes = columns * unit.activationBytes();
    // A row more than its bytes, so that the lanes of a warp read from different banks.
    rowStride = rowBytes + 32 * unit.activationBytes();
    stageBytes = llvm::alignTo(tokenCount() * (rowStride + perTile * 4 * (bool(scales) + needsSums)), 16);
  }

  int64_t rowCount() const { return t.warps() * rowTiles * MatrixUnit::rows; }
  int64_t tokenCount() const { return tokenTiles * MatrixUnit::tokens; }

  void write(Value rowGroup, Value firstToken) {
    this->firstToken = firstToken;
    lastToken = k.sub(tokens, k.constant(1));
    int64_t resultBytes = rowCount() * tokenCount() * 4;
    area = t.shared(std::max(stages * stageBytes, resultBytes), 128);
    g = k.div(t.lane(), k.constant(4)), quad = k.rem(t.lane(), k.constant(4));
    Value firstTile = k.mul(k.add(k.mul(rowGroup, k.constant(t.warps())), t.warp()), k.constant(rowTiles));
    for (int m = 0; m < rowTiles; ++m) { // those beyond the matrix read its last tile
      Value tile = k.min(k.add(firstTile, k.constant(m)), k.constant(layout.tiles() - 1));
      bases.push_back(t.at(packed, k.mul(tile, k.constant(layout.tileBytes()))));
    }
    SmallVector<Value> total(size_t(rowTiles) * tokenTiles * 4, k.constantF32(0));
    bool hasRest = restBlocks || layout.tail();
    for (int64_t s = 0; s + 1 < stages; ++s) {
      if (s < wholeTiles)
        copy(k.constant(s), k.constant(s), perTile, 0);
      else if (s == wholeTiles && hasRest)
        copyRest(k.constant(s));
      commit();
    }
    total = k.loop(k.constant(0), k.constant(wholeTiles), total, [&](Value i, ValueRange state) {
      step(i, hasRest);
      return multiplyTile(i, stageOf(i), perTile, 0, state);
    });
    if (hasRest) {
      Value i = k.constant(wholeTiles);
      step(i, hasRest);
      total = multiplyTile(i, stageOf(i), restBlocks, layout.tail(), total);
    }
    store(rowGroup, total);
  }

private:
  Value stageOf(Value tile) { return k.rem(tile, k.constant(stages)); }
  Value stageAt(Value stage) { return t.at(area, k.mul(stage, k.constant(stageBytes))); }
  /// In a stage: the scales (first) or sums (then) of the activations, [block][token].
  Value statisticsAt(Value stage, bool isSum) {
    return t.at(stageAt(stage), tokenCount() * (rowStride + (isSum && scales ? perTile * 4 : 0)));
  }

  void commit() {
    if (copiesAhead)
      NVVM::CpAsyncCommitGroupOp::create(b);
  }

  /// Has tile `i` in shared memory, and begins to copy what comes some tiles later to where the one before stood.
  void step(Value i, bool hasRest) {
    if (copiesAhead)
      NVVM::CpAsyncWaitGroupOp::create(b, int32_t(stages - 2));
    t.barrier();
    Value next = k.add(i, k.constant(stages - 1));
    if (wholeTiles)
      k.when(k.less(next, k.constant(wholeTiles)), [&] { copy(next, stageOf(next), perTile, 0); });
    if (hasRest)
      k.when(k.equal(next, k.constant(wholeTiles)), [&] { copyRest(stageOf(next)); });
    commit();
    if (!copiesAhead)
      t.barrier();
  }

  void copyRest(Value stage) { copy(k.constant(wholeTiles), stage, restBlocks, layout.tail()); }

  /// Copies the activations of a tile of `blocks` whole blocks and one of `tail` columns.
  void copy(Value tile, Value stage, int64_t blocks, int64_t tail) {
    int64_t bytes =
        llvm::alignTo((blocks * padded + (tail ? deviceColumns(layout, tail) : 0)) * unit.activationBytes(), copyBytes);
    Value from = k.mul(tile, k.constant(rowBytes)), to = stageAt(stage);
    t.share(tokenCount() * (bytes / copyBytes), [&](Value piece) {
      Value token = k.div(piece, k.constant(bytes / copyBytes)), part = k.rem(piece, k.constant(bytes / copyBytes));
      Value offset = k.mul(part, k.constant(copyBytes));
      Value source = k.add(k.mul(sourceToken(token), k.constant(activationStride(layout, unit.activationBytes()))),
                           k.add(from, offset));
      copyPiece(t.at(codes, source), t.at(to, k.add(k.mul(token, k.constant(rowStride)), offset)), copyBytes);
    });
    copyStatistics(tile, stage, blocks + (tail != 0));
  }

  void copyStatistics(Value tile, Value stage, int64_t count) {
    auto statistics = [&](Value array, bool isSum) {
      t.share(tokenCount() * count, [&](Value piece) {
        Value token = k.rem(piece, k.constant(tokenCount())), block = k.div(piece, k.constant(tokenCount()));
        Value source = k.add(k.mul(sourceToken(token), k.constant(layout.blocks())),
                             k.add(k.mul(tile, k.constant(perTile)), block));
        copyPiece(t.at(array, k.mul(source, k.constant(4))),
                  t.at(statisticsAt(stage, isSum), k.mul(piece, k.constant(4))), 4);
      });
    };
    if (scales)
      statistics(scales, false);
    if (needsSums)
      statistics(sums, true);
  }

  Value sourceToken(Value token) { return k.min(k.add(firstToken, token), lastToken); }

  void copyPiece(Value from, Value to, int64_t bytes) {
    if (copiesAhead) {
      auto global = LLVM::LLVMPointerType::get(b.getContext(), 1);
      Value source = LLVM::AddrSpaceCastOp::create(b, global, from);
      auto modifier = bytes == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
      NVVM::CpAsyncOp::create(b, to, source, int32_t(bytes), modifier, Value());
      return;
    }
    Type type = bytes == 16 ? Type(VectorType::get(4, t.i32)) : t.i32;
    t.store(t.load(type, from, unsigned(bytes)), to, unsigned(bytes));
  }

  SmallVector<Value> multiplyTile(Value tile, Value stage, int64_t blocks, int64_t tail, ValueRange state) {
    SmallVector<Value> total(state);
    Value first = k.mul(tile, k.constant(perTile));
    for (int64_t j = 0; j < blocks; ++j)
      multiplyBlock(k.add(first, k.constant(j)), stage, j, layout.block, total);
    if (tail)
      multiplyBlock(k.constant(layout.fullBlocks()), stage, blocks, tail, total);
    return total;
  }

  /// The packed lanes that hold this thread's columns of a step, of a row of a block.
  SmallVector<Value> lanesOf(Value blockCodes, Value row, int64_t step, int64_t columns) {
    int64_t perThread = 8 / layout.chunkColumns(), chunks = layout.chunks(columns);
    bool isWhole = (step + 1) * MatrixUnit::columns <= chunks * layout.chunkColumns();
    SmallVector<Value> lanes;
    for (int64_t i = 0; i < perThread; ++i) {
      Value chunk = k.add(k.constant((4 * step) * perThread + i), k.mul(quad, k.constant(perThread)));
      Value used = isWhole ? chunk : k.min(chunk, k.constant(chunks - 1));
      Value offset = k.add(k.mul(used, k.constant(layout.chunkBytes())), k.mul(row, k.constant(4)));
      lanes.push_back(t.load(t.i32, t.at(blockCodes, offset), 4));
    }
    return lanes;
  }

  /// What stands beyond the block's columns is not to count.
  SmallVector<Value> withoutRest(SmallVector<Value> words, int64_t step, int64_t columns) {
    int64_t present = layout.chunks(columns) * layout.chunkColumns();
    if ((step + 1) * MatrixUnit::columns <= present)
      return words;
    int64_t perWord = 16 / int64_t(words.size()); // columns of this thread's 8, of two rows
    for (auto [i, word] : llvm::enumerate(words)) {
      Value column =
          k.add(k.mul(quad, k.constant(8)), k.constant(step * MatrixUnit::columns + int64_t(i) / 2 * perWord));
      word = k.select(k.less(column, k.constant(present)), word, t.integer(0));
    }
    return words;
  }

  /// The lane's number in its group of four, or that of the last whose columns of a step a block has.
  Value presentQuad(int64_t step, int64_t columns) {
    int64_t present = llvm::divideCeil(columns - step * MatrixUnit::columns, 8);
    return present >= 4 ? quad : k.min(quad, k.constant(present - 1));
  }

  void multiplyBlock(Value index, Value stage, int64_t place, int64_t blockColumns, SmallVector<Value> &total) {
    Value offset = k.mul(index, k.constant(layout.blockBytes(layout.block)));
    SmallVector<Value> rows = {g, k.add(g, k.constant(8))}, heads;
    for (Value base : bases)
      heads.push_back(t.at(base, offset));
    Value zero = unit.sumType() == t.i32 ? t.integer(0) : k.constantF32(0);
    SmallVector<Value> part(total.size(), zero);
    int64_t steps = llvm::divideCeil(blockColumns, MatrixUnit::columns), bytes = unit.activationBytes();
    for (int64_t s = 0; s < steps; ++s) {
      SmallVector<SmallVector<Value>> weights;
      for (Value head : heads) {
        Value blockCodes = t.at(head, layout.codesOffset());
        weights.push_back(withoutRest(
            unit.weights(lanesOf(blockCodes, rows[0], s, blockColumns), lanesOf(blockCodes, rows[1], s, blockColumns)),
            s, blockColumns));
      }
      for (int n = 0; n < tokenTiles; ++n) {
        Value at = k.add(k.mul(k.add(g, k.constant(n * MatrixUnit::tokens)), k.constant(rowStride)),
                         k.add(k.mul(presentQuad(s, blockColumns), k.constant(8 * bytes)),
                               k.constant((place * padded + s * MatrixUnit::columns) * bytes)));
        int64_t words = unit.activationWords();
        Value loaded = t.load(VectorType::get(words, t.i32), t.at(stageAt(stage), at), unsigned(words * 4));
        SmallVector<Value> x;
        for (int64_t i = 0; i < words; ++i)
          x.push_back(LLVM::ExtractElementOp::create(b, loaded, t.integer(i)));
        for (int m = 0; m < rowTiles; ++m) {
          size_t first = (size_t(m) * tokenTiles + n) * 4;
          SmallVector<Value> sum = unit.multiply(weights[m], x, ArrayRef(part).slice(first, 4));
          std::copy(sum.begin(), sum.end(), part.begin() + first);
        }
      }
    }
    scale(heads, rows, stage, place, part, total);
  }

  /// total += the block's sums times its scales.
  void scale(ArrayRef<Value> heads, ArrayRef<Value> rows, Value stage, int64_t place, ArrayRef<Value> part,
             SmallVector<Value> &total) {
    SumScaling scaling(t, decoder, layout, linear.type == ComputeType::Int8);
    SmallVector<SumScaling::Row> ofRows;
    for (Value head : heads)
      for (Value row : rows)
        ofRows.push_back(scaling.row(head, row));
    for (int n = 0; n < tokenTiles; ++n) {
      Value token = k.add(k.constant(place * tokenCount() + n * MatrixUnit::tokens), k.mul(quad, k.constant(2)));
      auto two = [&](Type type, bool isSum) {
        Value loaded =
            t.load(VectorType::get(2, type), t.at(statisticsAt(stage, isSum), k.mul(token, k.constant(4))), 8);
        return SmallVector<Value>{LLVM::ExtractElementOp::create(b, loaded, t.integer(0)),
                                  LLVM::ExtractElementOp::create(b, loaded, t.integer(1))};
      };
      SmallVector<Value> own = scales ? two(t.f32, false) : SmallVector<Value>{};
      SmallVector<Value> codeSums = needsSums ? two(t.i32, true) : SmallVector<Value>{};
      for (int m = 0; m < rowTiles; ++m)
        for (int i = 0; i < 4; ++i) {
          Value &sum = total[(size_t(m) * tokenTiles + n) * 4 + i];
          sum = scaling.add(sum, part[(size_t(m) * tokenTiles + n) * 4 + i], ofRows[2 * size_t(m) + i / 2],
                            own.empty() ? Value() : own[i % 2], codeSums.empty() ? Value() : codeSums[i % 2]);
        }
    }
  }

  void store(Value rowGroup, ArrayRef<Value> total) {
    shareFragments(k, t, area, rowTiles, tokenTiles, total, [&](Value row, Value token, Value address) {
      Value output = k.add(k.mul(rowGroup, k.constant(rowCount())), row);
      linear.store(t, packed, tokens, k.add(firstToken, token), output, t.load(t.f32, address, 4));
    });
  }

  static constexpr int64_t copyBytes = 16;

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  DeviceLinear linear;
  const PackedLayout &layout;
  ThreadDecoder decoder;
  MatrixUnit unit;
  int rowTiles, tokenTiles;
  bool copiesAhead, needsSums = false;
  int64_t padded, columns, perTile, wholeTiles, restBlocks, stages, rowBytes, rowStride, stageBytes;
  Value packed, tokens, codes, scales, sums, firstToken, lastToken, area, g, quad;
  SmallVector<Value> bases; // of this warp's tiles of weights
};
} // namespace

bool qcc::hasManyTokens(const DeviceFacts &facts, const PackedLayout &layout, ComputeType type) {
  if (!MatrixUnit::has(facts, type) || layout.codeBits > 16 || layout.codeBits < 4)
    return false;
  int64_t padded = deviceColumns(layout, layout.block);
  bool divides = tileColumns % padded == 0 || padded % tileColumns == 0;
  // Zeros of floats would have to be taken away before products, which only the decode to numbers does.
  return divides && padded <= mostBlock && (!layout.hasZero || type == ComputeType::Int8);
}

void qcc::emitManyTokens(Lowering &lowering, const DeviceLinear &linear, const DeviceActivations &activations) {
  Dimensions &dims = lowering.dims;
  int rowTiles = linear.layout.tiles() >= 8 ? 2 : 1;
  constexpr int tokenTiles = 4;
  Kernel k(lowering, linear.kernelName("mma"), lowering.loc);
  ManyTokens many(k, linear, activations, rowTiles, tokenTiles);
  int64_t groups = llvm::divideCeil(linear.layout.rows, many.rowCount());
  Value count = k.constant(groups);
  many.write(k.rem(k.lo(), count), k.mul(k.div(k.lo(), count), k.constant(many.tokenCount())));
  Dim units = dims.mul(dims.ceilDiv(linear.tokens, many.tokenCount()), dims.constant(groups));
  k.launch(units, dims.mul(units, dims.constant(linear.layout.columns)));
}
