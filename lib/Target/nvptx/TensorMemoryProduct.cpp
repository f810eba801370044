// A linear operation for many tokens on the matrix unit whose sums are in tensor memory (tcgen05).
#include "ScaledProduct.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t blockThreads = 128, tileRows = 128, tileTokens = 128;
static constexpr int64_t lineBytes = ScaledRecords::codeBytes; // of a row or token in shared memory
static constexpr int64_t atomBytes = 512;                      // scales of 128 rows for four blocks
static constexpr int64_t tileBytes = tileRows * lineBytes;     // of weights, and of activations
static constexpr int64_t patternBytes = 1024;                  // after which the order of 16-byte pieces repeats

namespace {
/// A block of four warps multiplies 128 rows with 128 tokens. All threads copy records of weights and of activations
/// to shared memory, some ahead; one starts the products. Weights stand there as they are packed, in lines of 128 bytes
/// for a row, the 16-byte pieces of line r exchanged by XOR with r % 8. Columns change places only within a block,
/// alike in both operands. Scales go on to tensor memory, in atoms: those of row r for four blocks in the word r / 32
/// of the 16 bytes r % 32. Sums stay in tensor memory over the whole depth.
class TensorMemoryProduct {
public:
  TensorMemoryProduct(Kernel &kernel, const DeviceLinear &linear, ScaledKind kind, const BlockRounding &rounding,
                      const BlockActivations &activations)
      : k(kernel), t(kernel, blockThreads), b(kernel.b), linear(linear), layout(this->linear.layout), kind(kind),
        order(recordsOf(*kernel.lowering.facts.device, rounding, layout)), packed(kernel.argument(linear.weights)),
        tokens(kernel.dim(linear.tokens)), records(kernel.argument(activations.records)),
        tokenScales(activations.tokenScales ? kernel.argument(activations.tokenScales) : Value()) {
    wholeRecords = layout.columns / order.columns();
    chunksPerBlock = layout.block / layout.chunkColumns();
    atoms = order.blocks() / 4;
    columns = 2 * tileTokens; // sums, and behind them the scales of weights and of activations: a power of two
    stageBytes = llvm::alignTo(2 * tileBytes + 2 * atoms * atomBytes, patternBytes);
  }

  void write(Value rowGroup, Value firstToken) {
    this->rowGroup = rowGroup, this->firstToken = firstToken;
    area = t.shared(stages * stageBytes, patternBytes);
    done = t.shared(8 * stages, 8);
    Value place = t.shared(4, 4);
    Value isFirst = k.equal(t.thread(), k.constant(0)), isFirstWarp = k.equal(t.warp(), k.constant(0));
    k.when(isFirst, [&] {
      for (int64_t s = 0; s < stages; ++s)
        run("mbarrier.init.shared::cta.b64 [$0], 1;", "r", {doneAt(k.constant(s))});
      run("fence.mbarrier_init.release.cluster;", "", {});
    });
    k.when(isFirstWarp, [&] {
      run(llvm::formatv("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [$0], {0}; "
                        "tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;",
                        columns),
          "r", {address(place)});
    });
    run("tcgen05.fence::before_thread_sync;", "", {});
    t.barrier();
    run("tcgen05.fence::after_thread_sync;", "", {});
    sums = t.load(t.i32, place, 4);
    for (int64_t s = 0; s + 1 < stages; ++s) {
      if (s < order.count())
        copy(k.constant(s), s >= wholeRecords);
      NVVM::CpAsyncCommitGroupOp::create(b);
    }
    k.loop(k.constant(0), k.constant(wholeRecords), [&](Value i) {
      arrive();
      k.when(isFirst, [&] { multiply(i, ScaledRecords::steps); });
      copyAhead(i);
    });
    if (wholeRecords < order.count()) {
      arrive();
      k.when(isFirst, [&] { multiply(k.constant(wholeRecords), order.restSteps()); });
    }
    wait(k.constant(order.count() - 1));
    run("tcgen05.fence::after_thread_sync;", "", {});
    store();
    run("tcgen05.fence::before_thread_sync;", "", {});
    t.barrier();
    k.when(isFirstWarp, [&] {
      run("tcgen05.fence::after_thread_sync;", "", {});
      run(llvm::formatv("tcgen05.dealloc.cta_group::1.sync.aligned.b32 $0, {0};", columns), "r", {sums});
    });
  }

private:
  static constexpr int64_t stages = 3;

  void run(const std::string &text, const std::string &constraints, ValueRange operands) {
    assemble(Type(), text, constraints, operands);
  }
  Value assemble(Type result, const std::string &text, std::string constraints, ValueRange operands) {
    constraints += constraints.empty() ? "~{memory}" : ",~{memory}";
    auto op = LLVM::InlineAsmOp::create(b, result ? TypeRange(result) : TypeRange(), operands, text, constraints,
                                        /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                        LLVM::AsmDialectAttr(), ArrayAttr());
    return result ? op.getRes() : Value();
  }

  /// The number of a place in shared memory.
  Value address(Value place) { return LLVM::PtrToIntOp::create(b, t.i32, place); }
  Value narrow(Value wide) { return arith::TruncIOp::create(b, t.i32, wide); }
  Value stageAt(Value record) { return t.at(area, k.mul(k.rem(record, k.constant(stages)), k.constant(stageBytes))); }
  Value doneAt(Value record) { return address(t.at(done, k.mul(k.rem(record, k.constant(stages)), k.constant(8)))); }

  /// Until the products of a record are complete.
  void wait(Value record) {
    Value round = k.rem(k.div(record, k.constant(stages)), k.constant(2));
    run("{ .reg .pred p;\nagain:\nmbarrier.try_wait.parity.shared.b64 p, [$0], $1;\n@!p bra again; }", "r,r",
        {doneAt(record), narrow(round)});
  }

  /// Has the next record in shared memory, for the matrix unit too.
  void arrive() {
    NVVM::CpAsyncWaitGroupOp::create(b, int32_t(stages - 2));
    run("fence.proxy.async.shared::cta;", "", {});
    t.barrier();
  }

  /// While record `i` is multiplied: begins to copy a later one to where the one before stood.
  void copyAhead(Value i) {
    Value next = k.add(i, k.constant(stages - 1)), zero = k.constant(0);
    auto refill = [&](bool isRest) {
      k.when(k.less(zero, i), [&] { wait(k.sub(i, k.constant(1))); });
      copy(next, isRest);
    };
    k.when(k.less(next, k.constant(wholeRecords)), [&] { refill(false); });
    if (wholeRecords < order.count())
      k.when(k.equal(next, k.constant(wholeRecords)), [&] { refill(true); });
    NVVM::CpAsyncCommitGroupOp::create(b);
  }

  void copyPiece(Value from, Value to, int64_t bytes) {
    auto global = LLVM::LLVMPointerType::get(b.getContext(), 1);
    auto modifier = bytes == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
    NVVM::CpAsyncOp::create(b, to, LLVM::AddrSpaceCastOp::create(b, global, from), int32_t(bytes), modifier, Value());
  }

  /// Where the 16-byte piece `piece` of a line stands in a tile.
  Value pieceAt(Value tile, Value line, Value piece) {
    Value place = arith::XOrIOp::create(b, piece, k.rem(line, k.constant(8)));
    return t.at(tile, k.add(k.mul(line, k.constant(lineBytes)), k.mul(place, k.constant(16))));
  }
  Value atomWord(Value atom, Value line) {
    return t.at(atom, k.add(k.mul(k.rem(line, k.constant(32)), k.constant(16)),
                            k.mul(k.div(line, k.constant(32)), k.constant(4))));
  }

  void copy(Value record, bool isRest) {
    Value stage = stageAt(record);
    copyWeights(record, stage, isRest);
    copyActivations(record, t.at(stage, tileBytes));
    copyScales(record, t.at(stage, 2 * tileBytes), isRest);
  }

  /// A tile of 16 rows, beyond the matrix the last one.
  Value tileBase(Value tile) {
    Value own = k.min(k.add(k.mul(rowGroup, k.constant(tileRows / 16)), tile), k.constant(layout.tiles() - 1));
    return t.at(packed, k.mul(own, k.constant(layout.tileBytes())));
  }
  int64_t lastChunk() const {
    return layout.fullBlocks() * chunksPerBlock + (layout.tail() ? layout.chunks(layout.tail()) : 0) - 1;
  }

  /// A warp copies two tiles of 16 rows, two chunks at once, four bytes of a row by each lane.
  void copyWeights(Value record, Value to, bool isRest) {
    Value row = k.rem(t.lane(), k.constant(16)), second = k.div(t.lane(), k.constant(16));
    Value perBlock = k.constant(chunksPerBlock), blockBytes = k.constant(layout.blockBytes(layout.block));
    // Four bytes of a line, or of 4-bit codes under elements of 8 bits: 16 of these in the first half of a piece.
    int64_t chunksPerRecord = order.blocks() * chunksPerBlock, perPiece = chunksPerRecord * 16 / lineBytes;
    int64_t used = chunksPerRecord * (isRest ? order.restSteps() : ScaledRecords::steps) / ScaledRecords::steps;
    Value first = k.mul(record, k.constant(chunksPerRecord));
    for (int64_t m = 0; m < 2; ++m) {
      Value tile = k.add(k.mul(t.warp(), k.constant(2)), k.constant(m)), base = tileBase(tile);
      Value line = k.add(k.mul(tile, k.constant(16)), row);
      for (int64_t pair = 0; pair < used / 2; ++pair) {
        Value chunk = k.add(k.constant(2 * pair), second), at = k.add(first, chunk);
        if (isRest) // what lies behind the last chunk meets activations that are 0
          at = k.min(at, k.constant(lastChunk()));
        Value offset =
            k.add(k.mul(k.div(at, perBlock), blockBytes), k.mul(k.rem(at, perBlock), k.constant(layout.chunkBytes())));
        offset = k.add(k.add(offset, k.constant(layout.codesOffset())), k.mul(row, k.constant(4)));
        Value target = pieceAt(to, line, k.div(chunk, k.constant(perPiece)));
        copyPiece(t.at(base, offset), t.at(target, k.mul(k.rem(chunk, k.constant(perPiece)), k.constant(4))), 4);
      }
    }
  }

  Value recordAt(Value token, Value record) {
    Value source = k.min(k.add(firstToken, token), k.sub(tokens, k.constant(1)));
    return t.at(records,
                k.add(k.mul(source, k.constant(order.tokenBytes())), k.mul(record, k.constant(ScaledRecords::bytes))));
  }

  void copyActivations(Value record, Value to) {
    constexpr int64_t pieces = lineBytes / 16;
    t.share(tileTokens * pieces, [&](Value i) {
      Value token = k.div(i, k.constant(pieces)), piece = k.rem(i, k.constant(pieces));
      copyPiece(t.at(recordAt(token, record), k.mul(piece, k.constant(16))), pieceAt(to, token, piece), 16);
    });
  }

  /// A thread makes the words of one row's scales and copies those of one token.
  void copyScales(Value record, Value to, bool isRest) {
    Value line = t.thread(), base = tileBase(k.div(line, k.constant(16))), row = k.rem(line, k.constant(16));
    Value own = recordAt(line, record);
    for (int64_t atom = 0; atom < atoms; ++atom) {
      Value word = t.integer(0);
      for (int64_t i = 0; i < 4; ++i) {
        Value block = k.add(k.mul(record, k.constant(order.blocks())), k.constant(4 * atom + i));
        if (isRest)
          block = k.min(block, k.constant(layout.blocks() - 1));
        Value from = t.at(base, k.add(k.mul(block, k.constant(layout.blockBytes(layout.block))), row));
        Value code = arith::ExtUIOp::create(b, t.i32, t.load(t.i8, from, 1));
        word = arith::OrIOp::create(b, word, arith::ShLIOp::create(b, code, t.integer(8 * i)));
      }
      t.store(word, atomWord(t.at(to, atom * atomBytes), line), 4);
      copyPiece(t.at(own, lineBytes + 4 * atom), atomWord(t.at(to, (atoms + atom) * atomBytes), line), 4);
    }
  }

  /// The descriptor of a matrix in shared memory (PTX ISA, "Shared memory descriptor"): `eights` bytes from eight lines
  /// to the next.
  Value describe(Value place, int64_t eights, uint64_t pattern) {
    Value start = arith::ShRUIOp::create(b, arith::ExtUIOp::create(b, t.i64, address(place)), k.constant(4));
    start = arith::AndIOp::create(b, start, k.constant(0x3fff));
    uint64_t rest = uint64_t(eights >> 4) << 32 | uint64_t(1) << 46 | pattern << 61;
    return arith::OrIOp::create(b, start, k.constant(int64_t(rest)));
  }

  /// The instruction descriptor (PTX ISA) of a step, whose scales begin at byte `scale` of a word.
  int64_t instruction(int64_t scale) const {
    uint64_t type = kind == ScaledKind::Mxf8f6f4 ? 0 : 1; // e4m3; of the other kinds, e2m1
    uint64_t ofWeights = order.isInterleaved ? 5 : type;  // e2m1 beside e4m3
    uint64_t isPowerOfTwo = kind != ScaledKind::Mxf4nvf4;
    return int64_t(uint64_t(scale) << 4 | ofWeights << 7 | type << 10 | uint64_t(tileTokens / 8) << 17 |
                   isPowerOfTwo << 23 | uint64_t(tileRows / 16) << 24 | uint64_t(scale) << 29);
  }

  /// Starts the products of a record.
  void multiply(Value record, int64_t steps) {
    Value stage = stageAt(record);
    Value scalesOfRows = arith::AddIOp::create(b, sums, t.integer(tileTokens));
    for (int64_t atom = 0; atom < 2 * atoms; ++atom) {
      Value from = describe(t.at(stage, 2 * tileBytes + atom * atomBytes), 128, 0);
      run("tcgen05.cp.cta_group::1.32x128b.warpx4 [$0], $1;", "r,l",
          {arith::AddIOp::create(b, scalesOfRows, t.integer(4 * atom)), from});
    }
    constexpr uint64_t pattern128 = 2;
    Value rows = describe(stage, patternBytes, pattern128);
    Value tokenLines = describe(t.at(stage, tileBytes), patternBytes, pattern128);
    const char *name = kind == ScaledKind::Mxf4nvf4 ? "mxf4nvf4.block_scale.scale_vec::4X"
                       : kind == ScaledKind::Mxf4   ? "mxf4.block_scale.scale_vec::2X"
                                                    : "mxf8f6f4.block_scale.scale_vec::1X";
    int64_t perAtom = ScaledRecords::steps / atoms; // steps whose scales an atom has
    for (int64_t s = 0; s < steps; ++s) {           // 32 bytes of a line, in units of 16
      Value scales = arith::AddIOp::create(b, scalesOfRows, t.integer(4 * (s / perAtom)));
      Value tokenScalesAt = arith::AddIOp::create(b, scales, t.integer(4 * atoms));
      Value goesOn = s ? t.integer(1) : narrow(record); // the first product of all replaces what was there
      run(llvm::formatv("{{ .reg .pred p; setp.ne.b32 p, $6, 0; tcgen05.mma.cta_group::1.kind::{0} [$0], $1, $2, $3, "
                        "[$4], [$5], p; }",
                        name),
          "r,l,l,r,r,r,r",
          {sums, k.add(rows, k.constant(2 * s)), k.add(tokenLines, k.constant(2 * s)),
           t.integer(instruction(s % perAtom * (4 / perAtom))), scales, tokenScalesAt, goesOn});
    }
    run("tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [$0];", "r", {doneAt(record)});
  }

  /// Each thread stores its row's sums, so that neighbouring threads store neighbouring rows of a token.
  void store() {
    constexpr int64_t atOnce = 8;
    Value output = k.add(k.mul(rowGroup, k.constant(tileRows)), t.thread());
    Value lanes = arith::ShLIOp::create(b, narrow(k.mul(t.warp(), k.constant(32))), t.integer(16));
    Value from = arith::AddIOp::create(b, sums, lanes);
    std::string registers, constraints;
    for (int64_t i = 0; i < atOnce; ++i) {
      registers += (i ? ", $" : "$") + std::to_string(i);
      constraints += "=f,";
    }
    auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(atOnce, t.f32));
    k.loop(
        k.constant(0), k.constant(tileTokens),
        [&](Value first) {
          Value all = assemble(type,
                               llvm::formatv("tcgen05.ld.sync.aligned.32x32b.x{0}.b32 {{{1}}, [${0}]; "
                                             "tcgen05.wait::ld.sync.aligned;",
                                             atOnce, registers),
                               constraints + "r", {arith::AddIOp::create(b, from, narrow(first))});
          for (int64_t i = 0; i < atOnce; ++i) {
            Value token = k.add(k.add(firstToken, first), k.constant(i));
            Value sum = LLVM::ExtractValueOp::create(b, all, i);
            k.when(k.both(k.less(token, tokens), k.less(output, k.constant(layout.rows))),
                   [&] { storeScaledSum(k, linear, packed, tokenScales, token, output, sum); });
          }
        },
        atOnce);
  }

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  DeviceLinear linear;
  const PackedLayout &layout;
  ScaledKind kind;
  ScaledRecords order;
  int64_t wholeRecords, chunksPerBlock, stageBytes;
  int64_t atoms;   // of a record, of weights and of activations each
  int64_t columns; // of tensor memory
  Value packed, tokens, records, tokenScales, rowGroup, firstToken, area, done, sums;
};
} // namespace

void qcc::emitTensorMemoryProduct(Lowering &lowering, const DeviceLinear &linear, ScaledKind kind,
                                  const BlockRounding &rounding, const BlockActivations &activations) {
  Dimensions &dims = lowering.dims;
  qnt::LinearOp op = linear.op;
  Kernel k(lowering, linear.kernelName((op.getAct() + "_tcgen05").str()), lowering.loc);
  TensorMemoryProduct product(k, linear, kind, rounding, activations);
  Value groups = k.constant(llvm::divideCeil(linear.layout.rows, tileRows));
  product.write(k.rem(k.lo(), groups), k.mul(k.div(k.lo(), groups), k.constant(tileTokens)));
  Dim units =
      dims.mul(dims.ceilDiv(linear.tokens, tileTokens), dims.constant(llvm::divideCeil(linear.layout.rows, tileRows)));
  k.launch(units, dims.mul(units, dims.constant(linear.layout.columns)));
}
