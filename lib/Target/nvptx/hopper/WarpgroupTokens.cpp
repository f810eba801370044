// A linear operation for many tokens, on the matrix instructions of warpgroups.
#include "../LinearKernel.h"
#include "CopyRing.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t readerGroups = 2; // warpgroups that multiply; one more copies
static constexpr int64_t readerWarps = readerGroups * WarpgroupUnit::threads / ThreadBlock::warpThreads;
static constexpr int64_t blockThreads = (readerGroups + 1) * WarpgroupUnit::threads;
static constexpr int64_t blockRows = readerGroups * WarpgroupUnit::rows;
static constexpr int64_t blockTiles = WarpgroupStage::tiles;
static_assert(blockRows == WarpgroupTile::rows && blockRows == blockTiles * PackedLayout::tileRows);
// Of the 65536 registers of a multiprocessor.
static constexpr int64_t writerRegisters = 40, readerRegisters = 232;

namespace {
/// Blocks of threads stay on their multiprocessors and compute one unit after another: 128 rows of so many tokens, over
/// a part of the columns. One warp keeps a ring of stages filled with weights as they are packed and activations;
/// two warpgroups take from it, each for its own 64 rows.
class WarpgroupTokens {
public:
  WarpgroupTokens(Kernel &kernel, const DeviceLinear &linear, const DeviceActivations &activations,
                  const WarpgroupTile &tile)
      : k(kernel), t(kernel, blockThreads), b(kernel.b), linear(linear), layout(this->linear.layout),
        decoder(t, this->linear.format, layout),
        unit(t, linear.type, decoder, this->linear.format, layout, tile.tokens), tile(tile),
        stage(layout, linear.type, tile.tokens, needsSums()), packed(kernel.argument(linear.weights)),
        tokens(kernel.dim(linear.tokens)), stride(kernel.dim(activations.stride)),
        codes(kernel.argument(activations.codes)) {
    if (activations.scales)
      scales = k.argument(activations.scales);
    if (stage.hasSums)
      sums = k.argument(activations.sums);
    isScaled = scales || layout.scaleBytes;
  }

  void write(Value partial) {
    k.persist();
    unit.declareSums();
    CopyRing copies(t, tile.stages, stage.bytes(), readerWarps);
    ring = &copies;
    results = t.shared(WarpgroupTile::resultBytes, 128);
    ring->initialise();
    t.barrier();
    Value isReader = k.less(t.warp(), k.constant(readerWarps));
    auto op = scf::IfOp::create(b, isReader, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.elseBlock());
    setRegisters("dec", writerRegisters);
    k.when(k.equal(t.warp(), k.constant(readerWarps)),
           [&] { eachUnit([&](Value, const Place &place, CopyRing::Turn turn) { return fill(place, turn); }); });
    b.setInsertionPointToStart(op.thenBlock());
    setRegisters("inc", readerRegisters);
    eachUnit([&](Value, const Place &place, CopyRing::Turn turn) { return compute(place, turn, partial); });
  }

  /// Units of the launch.
  Dim units() const {
    Dimensions &dims = k.lowering.dims;
    return dims.mul(dims.ceilDiv(linear.tokens, tile.tokens), dims.constant(rowGroups() * tile.splits));
  }

private:
  struct Place {
    Value rowGroup, firstToken, split, first, last; // stages [first, last)
  };

  bool needsSums() const { return linear.type == ComputeType::Int8 && (decoder.bias() || layout.hasZero); }
  int64_t rowGroups() const { return llvm::divideCeil(layout.rows, blockRows); }

  void setRegisters(StringRef how, int64_t count) {
    t.assembly(("setmaxnreg." + how + ".sync.aligned.u32 " + Twine(count) + ";").str(), "", {});
  }

  void eachUnit(llvm::function_ref<CopyRing::Turn(Value, const Place &, CopyRing::Turn)> body) {
    Value grid = arith::ExtUIOp::create(b, t.i64, NVVM::GridDimXOp::create(b, t.i32));
    CopyRing::Turn turn = ring->first();
    auto loop = scf::ForOp::create(b, k.lo(), k.hi(), grid, ValueRange{turn.stage, turn.parity});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    // Units that follow one another have the same weights, which are read from the second one on from the cache.
    Value unitNumber = loop.getInductionVar(), splits = k.constant(tile.splits);
    Value tokenTiles = k.div(k.add(tokens, k.constant(tile.tokens - 1)), k.constant(tile.tokens));
    Place place;
    place.split = k.rem(unitNumber, splits);
    Value rest = k.div(unitNumber, splits);
    place.rowGroup = k.div(rest, tokenTiles);
    place.firstToken = k.mul(k.rem(rest, tokenTiles), k.constant(tile.tokens));
    int64_t each = llvm::divideCeil(stage.count(), tile.splits);
    place.first = k.mul(place.split, k.constant(each));
    place.last = k.min(k.add(place.first, k.constant(each)), k.constant(stage.count()));
    turn = body(unitNumber, place, {loop.getRegionIterArgs()[0], loop.getRegionIterArgs()[1]});
    scf::YieldOp::create(b, ValueRange{turn.stage, turn.parity});
  }

  /// body(i, columns' whole blocks, columns of a short one behind them, state) for the stages of a place. State begins
  /// with the turn.
  SmallVector<Value>
  eachStage(const Place &place, CopyRing::Turn turn, ArrayRef<Value> init,
            llvm::function_ref<SmallVector<Value>(Value, int64_t, int64_t, CopyRing::Turn, ValueRange)> body) {
    SmallVector<Value> state = {turn.stage, turn.parity};
    state.append(init.begin(), init.end());
    auto step = [&](int64_t blocks, int64_t tail) {
      return [&, blocks, tail](Value i, ValueRange carried) {
        CopyRing::Turn here{carried[0], carried[1]};
        SmallVector<Value> after = body(i, blocks, tail, here, carried.drop_front(2));
        CopyRing::Turn next = ring->next(here);
        SmallVector<Value> all = {next.stage, next.parity};
        all.append(after);
        return all;
      };
    };
    state = k.loop(place.first, k.min(place.last, k.constant(stage.whole())), state, step(stage.blocks(), 0));
    if (!stage.restBlocks() && !layout.tail())
      return state;
    auto rest = step(stage.restBlocks(), layout.tail());
    if (tile.splits == 1)
      return rest(k.constant(stage.whole()), state);
    Value from = k.max(place.first, k.constant(stage.whole()));
    return k.loop(from, place.last, state, rest);
  }

  // --- the warp that copies

  /// What a lane copies of every stage.
  struct Share {
    Value from, step; // the first stage's, and how far it is to the next one's
    Value to;         // bytes from the start of a stage
    Value bytes, restBytes;
  };

  Share shareOf(const Place &place) {
    Value none = k.constant(0), null = packed;
    Share share{null, none, none, none, none};
    int64_t first = 0, rest = stage.restBlocks(), tail = layout.tail();
    // Lanes [first, first + count) have a part of each, of which a stage of the rest has as many as `restCount`.
    auto add = [&](int64_t count, int64_t restCount, llvm::function_ref<Share(Value)> make) {
      Value number = k.sub(t.lane(), k.constant(first));
      Value isMine = k.both(k.less(k.constant(first - 1), t.lane()), k.less(number, k.constant(count)));
      Share mine = make(number);
      mine.restBytes = k.select(k.less(number, k.constant(restCount)), mine.restBytes, none);
      for (auto part : {&Share::from, &Share::step, &Share::to, &Share::bytes, &Share::restBytes})
        share.*part = k.select(isMine, mine.*part, share.*part);
      first += count;
    };
    add(blockTiles, blockTiles, [&](Value number) -> Share {
      // Tiles beyond the matrix are its last one.
      Value tileNumber = k.add(k.mul(place.rowGroup, k.constant(blockTiles)), number);
      tileNumber = k.min(tileNumber, k.constant(layout.tiles() - 1));
      Value bytes = k.constant(stage.weightBytes());
      return {t.at(packed, k.mul(tileNumber, k.constant(layout.tileBytes()))), bytes,
              k.add(k.constant(stage.weightsAt(0)), k.mul(number, bytes)), bytes,
              k.constant(rest * layout.blockBytes(layout.block) + (tail ? layout.blockBytes(tail) : 0))};
    });
    auto ofTokens = [&](Value array, int64_t bytesOfToken, int64_t count, int64_t restCount, int64_t to) {
      add(count, restCount, [&](Value number) -> Share {
        Value bytes = k.constant(tile.tokens * bytesOfToken);
        Value from = k.mul(k.add(k.mul(number, stride), place.firstToken), k.constant(bytesOfToken));
        return {t.at(array, from), k.mul(stride, k.constant(count * bytesOfToken)),
                k.add(k.constant(to), k.mul(number, bytes)), bytes, bytes};
      });
    };
    ofTokens(codes, WarpgroupUnit::rowBytes, stage.rows(), stage.rowsOf(rest, tail), stage.tokensAt(0));
    if (scales)
      ofTokens(scales, 4, stage.blocks(), rest + (tail != 0), stage.scalesAt(0));
    if (sums)
      ofTokens(sums, 4, stage.blocks(), rest + (tail != 0), stage.sumsAt(0));
    assert(first <= ThreadBlock::warpThreads);
    return share;
  }

  /// Bytes that all lanes copy.
  int64_t bytesOf(int64_t blocks, int64_t tail) const {
    int64_t weights = blocks * layout.blockBytes(layout.block) + (tail ? layout.blockBytes(tail) : 0);
    int64_t statistics = (blocks + (tail != 0)) * tile.tokens * 4 * (bool(scales) + bool(sums));
    return blockTiles * weights + stage.rowsOf(blocks, tail) * tile.tokens * WarpgroupUnit::rowBytes + statistics;
  }

  CopyRing::Turn fill(const Place &place, CopyRing::Turn turn) {
    Share share = shareOf(place);
    SmallVector<Value> end =
        eachStage(place, turn, {}, [&](Value i, int64_t blocks, int64_t tail, CopyRing::Turn here, ValueRange) {
          ring->begin(here, bytesOf(blocks, tail));
          Value bytes = tail || blocks != stage.blocks() ? share.restBytes : share.bytes;
          k.when(k.less(k.constant(0), bytes), [&] {
            ring->copy(here.stage, t.at(ring->at(here.stage), share.to), t.at(share.from, k.mul(i, share.step)), bytes);
          });
          return SmallVector<Value>{};
        });
    return {end[0], end[1]};
  }

  // --- the warps that multiply

  CopyRing::Turn compute(const Place &place, CopyRing::Turn turn, Value partial) {
    SmallVector<Value> init;
    if (isScaled)
      init.append(size_t(tile.tokens) / 2, k.constantF32(0));
    SmallVector<Value> end =
        eachStage(place, turn, init, [&](Value i, int64_t blocks, int64_t tail, CopyRing::Turn here, ValueRange state) {
          SmallVector<Value> total(state);
          ring->waitFull(here);
          Value base = ring->at(here.stage);
          Value isFirst = k.equal(i, place.first);
          for (int64_t j = 0; j < blocks; ++j)
            multiplyBlock(base, j, layout.block, isFirst, total);
          if (tail)
            multiplyBlock(base, blocks, tail, isFirst, total);
          if (!isScaled)
            unit.wait();
          ring->release(here.stage);
          return total;
        });
    SmallVector<Value> total(ArrayRef(end).drop_front(2));
    if (!isScaled)
      total = unit.sums();
    store(place, total, partial);
    return {end[0], end[1]};
  }

  void multiplyBlock(Value base, int64_t place, int64_t columns, Value isFirst, SmallVector<Value> &total) {
    Value head = t.at(t.at(base, k.mul(t.warp(), k.constant(stage.weightBytes()))),
                      stage.weightsAt(0) + place * layout.blockBytes(layout.block));
    Value adds = t.integer(0);
    if (!isScaled && place == 0)
      adds = k.select(isFirst, t.integer(0), t.integer(1));
    else if (!isScaled)
      adds = t.integer(1);
    unit.multiply(t.at(head, layout.codesOffset()), columns, adds, [&](int64_t step) {
      int64_t byte = place * stage.blockBytes() + step * WarpgroupUnit::stepBytes;
      return t.at(base, stage.tokensAt(byte / WarpgroupUnit::rowBytes) + byte % WarpgroupUnit::rowBytes);
    });
    if (isScaled)
      scale(head, base, place, total);
  }

  /// total += the block's sums times its scales.
  void scale(Value head, Value base, int64_t place, SmallVector<Value> &total) {
    SumScaling scaling(t, decoder, layout, linear.type == ComputeType::Int8);
    Value g = k.div(t.lane(), k.constant(4)), quad = k.rem(t.lane(), k.constant(4));
    SumScaling::Row rows[] = {scaling.row(head, g), scaling.row(head, k.add(g, k.constant(8)))};
    SmallVector<Value> part = unit.sums();
    Value pair = t.at(base, k.mul(quad, k.constant(8)));
    for (int64_t n = 0; n < tile.tokens / 8; ++n) {
      auto two = [&](Type type, int64_t at) {
        Value loaded = t.load(VectorType::get(2, type), t.at(pair, at + n * 32), 8);
        return SmallVector<Value>{LLVM::ExtractElementOp::create(b, loaded, t.integer(0)),
                                  LLVM::ExtractElementOp::create(b, loaded, t.integer(1))};
      };
      SmallVector<Value> own = scales ? two(t.f32, stage.scalesAt(place)) : SmallVector<Value>{};
      SmallVector<Value> codeSums = sums ? two(t.i32, stage.sumsAt(place)) : SmallVector<Value>{};
      for (size_t i = 0; i < 4; ++i) {
        Value &sum = total[size_t(n) * 4 + i];
        sum = scaling.add(sum, part[size_t(n) * 4 + i], rows[i / 2], own.empty() ? Value() : own[i % 2],
                          codeSums.empty() ? Value() : codeSums[i % 2]);
      }
    }
  }

  /// Hands the sums on to the warp's other lanes, so that neighbours store neighbouring rows of a token.
  void store(const Place &place, ArrayRef<Value> total, Value partial) {
    constexpr int64_t rows = PackedLayout::tileRows;
    int64_t together = std::min(tile.tokens, WarpgroupTile::resultTokens);
    Value area = t.at(results, k.mul(t.warp(), k.constant(WarpgroupTile::resultTokens * rows * 4)));
    Value firstRow = k.add(k.mul(place.rowGroup, k.constant(blockRows)), k.mul(t.warp(), k.constant(rows)));
    Value g = k.div(t.lane(), k.constant(4)), quad = k.rem(t.lane(), k.constant(4));
    Value mine = t.at(area, k.mul(k.add(k.mul(quad, k.constant(2 * rows)), g), k.constant(4)));
    for (int64_t first = 0; first < tile.tokens; first += together) {
      for (int64_t n = 0; n < together / 8; ++n)
        for (int64_t i = 0; i < 4; ++i)
          t.store(total[size_t((first / 8 + n) * 4 + i)], t.at(mine, ((n * 8 + i % 2) * rows + i / 2 * 8) * 4), 4);
      t.warpBarrier();
      k.loop(
          t.lane(), k.constant(together * rows),
          [&](Value i) {
            Value sum = t.load(t.f32, t.at(area, k.mul(i, k.constant(4))), 4);
            Value token = k.add(k.add(place.firstToken, k.constant(first)), k.div(i, k.constant(rows)));
            Value row = k.add(firstRow, k.rem(i, k.constant(rows)));
            if (!partial)
              return linear.store(t, packed, tokens, token, row, sum);
            k.when(k.both(k.less(token, tokens), k.less(row, k.constant(layout.rows))), [&] {
              Value number = k.add(k.mul(place.split, tokens), token);
              k.storeAt(partial, k.add(k.mul(number, k.constant(layout.rows)), row), t.f32, sum);
            });
          },
          ThreadBlock::warpThreads);
      t.warpBarrier();
    }
  }

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  DeviceLinear linear;
  const PackedLayout &layout;
  ThreadDecoder decoder;
  WarpgroupUnit unit;
  WarpgroupTile tile;
  WarpgroupStage stage;
  bool isScaled = false;
  CopyRing *ring = nullptr;
  Value packed, tokens, stride, codes, scales, sums, results;
};
} // namespace

bool qcc::usesWarpgroups(const DeviceFacts &facts, const PackedLayout &layout, ComputeType type) {
  if (!WarpgroupUnit::has(facts, type) || !hasManyTokens(facts, layout, type))
    return false;
  int64_t bytes = deviceColumns(layout, layout.block) * WarpgroupUnit::activationBytes(type);
  return bytes % WarpgroupUnit::stepBytes == 0 && layout.chunks(layout.block) % 4 == 0 &&
         bytes <= WarpgroupUnit::mostSteps * WarpgroupUnit::stepBytes &&
         (bytes % WarpgroupUnit::rowBytes == 0 || WarpgroupUnit::rowBytes % bytes == 0);
}

/// Adds up the parts of sums, always in the same order.
static void emitSumOfParts(Lowering &lowering, const DeviceLinear &linear, Value parts, int64_t count) {
  Dimensions &dims = lowering.dims;
  Kernel k(lowering, "sum_of_parts", lowering.loc);
  DeviceLinear own = linear;
  ThreadBlock t(k, ThreadBlock::warpThreads * 4);
  Value from = k.argument(parts), packed = k.argument(linear.weights), tokens = k.dim(linear.tokens);
  Value number = k.add(k.mul(k.lo(), k.constant(t.threads)), t.thread()), rows = k.constant(linear.layout.rows);
  Value token = k.div(number, rows), row = k.rem(number, rows), size = k.mul(tokens, rows);
  k.when(k.less(number, size), [&] {
    Value sum;
    for (int64_t i = 0; i < count; ++i) {
      Value part = k.loadAt(from, k.add(k.mul(k.constant(i), size), number), t.f32);
      sum = sum ? Value(arith::AddFOp::create(k.b, sum, part)) : part;
    }
    own.store(t, packed, tokens, token, row, sum);
  });
  Dim all = dims.mul(linear.tokens, dims.constant(linear.layout.rows));
  k.launch(dims.ceilDiv(all, t.threads), dims.mul(all, dims.constant(count)));
}

void qcc::emitWarpgroupTokens(Lowering &lowering, const DeviceLinear &linear, const DeviceActivations &activations,
                              const WarpgroupTile &tile, StringRef note) {
  Dimensions &dims = lowering.dims;
  Value parts;
  if (tile.splits > 1)
    parts = lowering.allocate(dims.mul(linear.tokens, dims.constant(tile.splits * linear.layout.rows * 4)));
  Kernel k(lowering, linear.kernelName("wgmma" + std::to_string(tile.tokens)), lowering.loc);
  k.note(note);
  WarpgroupTokens many(k, linear, activations, tile);
  many.write(parts ? k.argument(parts) : Value());
  k.launch(many.units(), dims.mul(many.units(), dims.constant(linear.layout.columns)));
  if (parts)
    emitSumOfParts(lowering, linear, parts, tile.splits);
}
