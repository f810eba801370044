// A linear operation for many tokens on the matrix unit whose sums are in tensor memory (tcgen05), with scales.
#include "ScaledProduct.h"
#include "TensorMemory.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t tileTokens = 128;
static constexpr int64_t atomBytes = 512;                                          // scales of 128 rows for four blocks
static constexpr int64_t tileBytes = TensorMemory::rows * TensorMemory::lineBytes; // of weights, and of activations

namespace {
/// A block of four warps multiplies 128 rows with 128 tokens. All threads copy records of weights and of activations
/// to shared memory, some ahead; one starts the products. Weights stand there as they are packed, so that columns
/// change places only within a block, alike in both operands. Scales go on to tensor memory, in atoms: those of row r
/// for four blocks in the word r / 32 of the 16 bytes r % 32. Sums stay in tensor memory over the whole depth.
class TensorMemoryProduct {
public:
  TensorMemoryProduct(Kernel &kernel, const DeviceLinear &linear, ScaledKind kind, const BlockRounding &rounding,
                      const BlockActivations &activations)
      : k(kernel), t(kernel, TensorMemory::threads), unit(t, 2 * tileTokens, stages), b(kernel.b), linear(linear),
        layout(this->linear.layout), kind(kind), order(recordsOf(*kernel.lowering.facts.device, rounding, layout)),
        packed(kernel.argument(linear.weights)), tokens(kernel.dim(linear.tokens)),
        records(kernel.argument(activations.records)),
        tokenScales(activations.tokenScales ? kernel.argument(activations.tokenScales) : Value()) {
    wholeRecords = layout.columns / order.columns();
    atoms = order.blocks() / 4;
    stageBytes = llvm::alignTo(2 * tileBytes + 2 * atoms * atomBytes, TensorMemory::patternBytes);
  }

  void write(Value rowGroup, Value firstToken) {
    this->rowGroup = rowGroup, this->firstToken = firstToken;
    area = t.shared(stages * stageBytes, TensorMemory::patternBytes);
    Value isFirst = k.equal(t.thread(), k.constant(0));
    unit.begin();
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
    unit.wait(k.constant(order.count() - 1));
    unit.behind();
    store();
    unit.end();
  }

private:
  static constexpr int64_t stages = 3;

  Value stageAt(Value record) { return t.at(area, k.mul(k.rem(record, k.constant(stages)), k.constant(stageBytes))); }

  /// Has the next record in shared memory, for the matrix unit too.
  void arrive() {
    NVVM::CpAsyncWaitGroupOp::create(b, int32_t(stages - 2));
    unit.show();
    t.barrier();
  }

  /// While record `i` is multiplied: begins to copy a later one to where the one before stood.
  void copyAhead(Value i) {
    Value next = k.add(i, k.constant(stages - 1)), zero = k.constant(0);
    auto refill = [&](bool isRest) {
      k.when(k.less(zero, i), [&] { unit.wait(k.sub(i, k.constant(1))); });
      copy(next, isRest);
    };
    k.when(k.less(next, k.constant(wholeRecords)), [&] { refill(false); });
    if (wholeRecords < order.count())
      k.when(k.equal(next, k.constant(wholeRecords)), [&] { refill(true); });
    NVVM::CpAsyncCommitGroupOp::create(b);
  }

  Value atomWord(Value atom, Value line) {
    return t.at(atom, k.add(k.mul(k.rem(line, k.constant(32)), k.constant(16)),
                            k.mul(k.div(line, k.constant(32)), k.constant(4))));
  }

  void copy(Value record, bool isRest) {
    Value stage = stageAt(record);
    // Four bytes of a line, or of 4-bit codes under elements of 8 bits: 16 of these in the first half of a piece.
    int64_t chunks = order.columns() / layout.chunkColumns();
    int64_t used = chunks * (isRest ? order.restSteps() : ScaledRecords::steps) / ScaledRecords::steps;
    unit.copyWeights(layout, packed, rowGroup, k.mul(record, k.constant(chunks)), used,
                     chunks * 16 / TensorMemory::lineBytes, isRest, stage);
    copyActivations(record, t.at(stage, tileBytes));
    copyScales(record, t.at(stage, 2 * tileBytes), isRest);
  }

  Value recordAt(Value token, Value record) {
    Value source = k.min(k.add(firstToken, token), k.sub(tokens, k.constant(1)));
    return t.at(records,
                k.add(k.mul(source, k.constant(order.tokenBytes())), k.mul(record, k.constant(ScaledRecords::bytes))));
  }

  void copyActivations(Value record, Value to) {
    constexpr int64_t pieces = TensorMemory::lineBytes / 16;
    t.share(tileTokens * pieces, [&](Value i) {
      Value token = k.div(i, k.constant(pieces)), piece = k.rem(i, k.constant(pieces));
      unit.copyPiece(t.at(recordAt(token, record), k.mul(piece, k.constant(16))), unit.pieceAt(to, token, piece), 16);
    });
  }

  /// A thread makes the words of one row's scales and copies those of one token.
  void copyScales(Value record, Value to, bool isRest) {
    Value line = t.thread(), row = k.rem(line, k.constant(16));
    Value base = unit.tileBase(layout, packed, rowGroup, k.div(line, k.constant(16)));
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
      unit.copyPiece(t.at(own, ScaledRecords::codeBytes + 4 * atom),
                     atomWord(t.at(to, (atoms + atom) * atomBytes), line), 4);
    }
  }

  /// The instruction descriptor (PTX ISA) of a step, whose scales begin at byte `scale` of a word.
  int64_t instruction(int64_t scale) const {
    uint64_t type = kind == ScaledKind::Mxf8f6f4 ? 0 : 1; // e4m3; of the other kinds, e2m1
    uint64_t ofWeights = order.isInterleaved ? 5 : type;  // e2m1 beside e4m3
    uint64_t isPowerOfTwo = kind != ScaledKind::Mxf4nvf4;
    return int64_t(TensorMemory::shape(tileTokens) | uint64_t(scale) << 4 | ofWeights << 7 | type << 10 |
                   isPowerOfTwo << 23 | uint64_t(scale) << 29);
  }

  /// Starts the products of a record.
  void multiply(Value record, int64_t steps) {
    Value stage = stageAt(record), sums = unit.first();
    Value scalesOfRows = arith::AddIOp::create(b, sums, t.integer(tileTokens)); // and behind them those of tokens
    for (int64_t atom = 0; atom < 2 * atoms; ++atom) {
      Value from = unit.describeShortLines(t.at(stage, 2 * tileBytes + atom * atomBytes));
      unit.run("tcgen05.cp.cta_group::1.32x128b.warpx4 [$0], $1;", "r,l",
               {arith::AddIOp::create(b, scalesOfRows, t.integer(4 * atom)), from});
    }
    Value rows = unit.describeTile(stage), tokenLines = unit.describeTile(t.at(stage, tileBytes));
    const char *name = kind == ScaledKind::Mxf4nvf4 ? "mxf4nvf4.block_scale.scale_vec::4X"
                       : kind == ScaledKind::Mxf4   ? "mxf4.block_scale.scale_vec::2X"
                                                    : "mxf8f6f4.block_scale.scale_vec::1X";
    int64_t perAtom = ScaledRecords::steps / atoms; // steps whose scales an atom has
    for (int64_t s = 0; s < steps; ++s) {           // 32 bytes of a line, in units of 16
      Value scales = arith::AddIOp::create(b, scalesOfRows, t.integer(4 * (s / perAtom)));
      Value tokenScalesAt = arith::AddIOp::create(b, scales, t.integer(4 * atoms));
      Value goesOn = s ? t.integer(1) : unit.narrow(record); // the first product of all replaces what was there
      unit.run(llvm::formatv("{{ .reg .pred p; setp.ne.b32 p, $6, 0; tcgen05.mma.cta_group::1.kind::{0} [$0], $1, $2, "
                             "$3, [$4], [$5], p; }",
                             name),
               "r,l,l,r,r,r,r",
               {sums, k.add(rows, k.constant(2 * s)), k.add(tokenLines, k.constant(2 * s)),
                t.integer(instruction(s % perAtom * (4 / perAtom))), scales, tokenScalesAt, goesOn});
    }
    unit.commit(record);
  }

  /// Each thread stores its row's sums, so that neighbouring threads store neighbouring rows of a token.
  void store() {
    Value output = k.add(k.mul(rowGroup, k.constant(TensorMemory::rows)), t.thread());
    k.loop(
        k.constant(0), k.constant(tileTokens),
        [&](Value first) {
          for (auto [i, sum] : llvm::enumerate(unit.load(unit.narrow(first), t.f32))) {
            Value token = k.add(k.add(firstToken, first), k.constant(int64_t(i)));
            linear.store(t, packed, tokens, token, output, sum, tokenScales);
          }
        },
        TensorMemory::loadColumns);
  }

  Kernel &k;
  ThreadBlock t;
  TensorMemory unit;
  ImplicitLocOpBuilder &b;
  DeviceLinear linear;
  const PackedLayout &layout;
  ScaledKind kind;
  ScaledRecords order;
  int64_t wholeRecords, stageBytes;
  int64_t atoms; // of a record, of weights and of activations each
  Value packed, tokens, records, tokenScales, rowGroup, firstToken, area;
};
} // namespace

void qcc::emitTensorMemoryProduct(Lowering &lowering, const DeviceLinear &linear, ScaledKind kind,
                                  const BlockRounding &rounding, const BlockActivations &activations) {
  Dimensions &dims = lowering.dims;
  qnt::LinearOp op = linear.op;
  Kernel k(lowering, linear.kernelName((op.getAct() + "_tcgen05").str()), lowering.loc);
  TensorMemoryProduct product(k, linear, kind, rounding, activations);
  int64_t groups = llvm::divideCeil(linear.layout.rows, TensorMemory::rows);
  Value count = k.constant(groups);
  product.write(k.rem(k.lo(), count), k.mul(k.div(k.lo(), count), k.constant(tileTokens)));
  Dim units = dims.mul(dims.ceilDiv(linear.tokens, tileTokens), dims.constant(groups));
  k.launch(units, dims.mul(units, dims.constant(linear.layout.columns)));
}
