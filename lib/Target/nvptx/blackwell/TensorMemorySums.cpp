// A linear operation for many tokens on the matrix unit whose sums are in tensor memory (tcgen05), of operands that
// have no scales there.
#include "ScaledProduct.h"
#include "TensorMemory.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t tileTokens = 64;
static constexpr int64_t stepBytes = 32; // of a line, that one instruction multiplies
static constexpr int64_t weightBytes = TensorMemory::rows * TensorMemory::lineBytes;
static constexpr int64_t activationsBytes = tileTokens * TensorMemory::lineBytes;

static int64_t lineColumnsOf(ComputeType type) { return TensorMemory::lineBytes / (type == ComputeType::Bf16 ? 2 : 1); }

bool qcc::usesTensorMemory(const DeviceFacts &facts, const PackedLayout &layout, ComputeType type) {
  if (!hasTensorMemory(facts) || layout.hasZero)
    return false;
  bool divides = layout.block >= 32 && lineColumnsOf(type) % layout.block == 0;
  // Only codes that are operands as they are stored: others are decoded in registers, for the instructions of warps.
  switch (type) {
  case ComputeType::Bf16:
    return layout.element == "bfloat16";
  case ComputeType::Fp8:
    return layout.element == "e4m3" && divides;
  case ComputeType::Int8: // sm_103a has no such kind
    return facts.capability == 100 && layout.codeBits == 8 && divides;
  case ComputeType::F32:
    return false;
  }
  return false;
}

StringRef qcc::tensorMemoryInstruction(ComputeType type) {
  return type == ComputeType::Int8  ? "tcgen05.mma.m128n64k32.i8"
         : type == ComputeType::Fp8 ? "tcgen05.mma.m128n64k32.f8f6f4.e4m3"
                                    : "tcgen05.mma.m128n64k16.f16.bf16";
}

namespace {
/// A block of four warps multiplies 128 rows with 64 tokens, line after line of 128 bytes. Where activations have a
/// scale for each block of columns, a block's sums are read from tensor memory and added up in registers, scaled, by
/// the thread whose row they are; else they stay there over the whole depth.
class TensorMemorySums {
public:
  TensorMemorySums(Kernel &kernel, const DeviceLinear &linear, const DeviceActivations &activations)
      : k(kernel), t(kernel, TensorMemory::threads), b(kernel.b), linear(linear), layout(this->linear.layout),
        decoder(t, this->linear.format, layout), perLine(activations.scales ? lineColumns() / layout.block : 1),
        unit(t, perLine * tileTokens, stages), packed(kernel.argument(linear.weights)),
        tokens(kernel.dim(linear.tokens)), codes(kernel.argument(activations.codes)),
        scales(activations.scales ? kernel.argument(activations.scales) : Value()) {
    wholeLines = layout.columns / lineColumns();
    lines = llvm::divideCeil(layout.columns, lineColumns());
    stageBytes = llvm::alignTo(weightBytes + activationsBytes + perLine * tileTokens * 4, TensorMemory::patternBytes);
  }

  void write(Value rowGroup, Value firstToken) {
    this->rowGroup = rowGroup, this->firstToken = firstToken;
    area = t.shared(stages * stageBytes, TensorMemory::patternBytes);
    unit.begin();
    for (int64_t s = 0; s + 1 < stages; ++s) {
      if (s < lines)
        copy(k.constant(s), s >= wholeLines);
      NVVM::CpAsyncCommitGroupOp::create(b);
    }
    SmallVector<Value> total(scales ? tileTokens : 0, k.constantF32(0));
    total = k.loop(k.constant(0), k.constant(wholeLines), total, [&](Value i, ValueRange state) {
      arrive();
      multiply(i, lineColumns());
      copyAhead(i);
      return scales ? addUp(i, perLine, state) : SmallVector<Value>(state);
    });
    if (wholeLines < lines) {
      Value i = k.constant(wholeLines);
      arrive();
      multiply(i, layout.columns % lineColumns());
      if (scales)
        total = addUp(i, layout.blocks() - wholeLines * perLine, total);
    }
    if (scales) {
      unit.end(); // behind whose barrier nobody reads scales any more
      return storeRegisters(total);
    }
    unit.wait(k.constant(lines - 1));
    unit.behind();
    storeSums();
    unit.end();
  }

private:
  static constexpr int64_t stages = 3;

  int64_t lineColumns() const { return lineColumnsOf(linear.type); }
  int64_t elementBytes() const { return TensorMemory::lineBytes / lineColumns(); }
  Value stageAt(Value line) { return t.at(area, k.mul(k.rem(line, k.constant(stages)), k.constant(stageBytes))); }
  /// In a stage: the scales of the activations, [block of the line][token].
  Value scalesAt(Value line) { return t.at(stageAt(line), weightBytes + activationsBytes); }

  void arrive() {
    NVVM::CpAsyncWaitGroupOp::create(b, int32_t(stages - 2));
    unit.show();
    unit.before(); // sums that this thread has read may be overwritten
    t.barrier();
    unit.behind();
  }

  /// While line `i` is multiplied: begins to copy a later one to where the one before stood.
  void copyAhead(Value i) {
    Value next = k.add(i, k.constant(stages - 1)), zero = k.constant(0);
    auto refill = [&](bool isRest) {
      if (!scales) // else it has been waited for
        k.when(k.less(zero, i), [&] { unit.wait(k.sub(i, k.constant(1))); });
      copy(next, isRest);
    };
    k.when(k.less(next, k.constant(wholeLines)), [&] { refill(false); });
    if (wholeLines < lines)
      k.when(k.equal(next, k.constant(wholeLines)), [&] { refill(true); });
    NVVM::CpAsyncCommitGroupOp::create(b);
  }

  void copy(Value line, bool isRest) {
    int64_t chunks = lineColumns() / layout.chunkColumns(), used = chunks;
    if (isRest) // all columns of the instructions that there are
      used = llvm::alignTo(layout.columns % lineColumns() * elementBytes(), stepBytes) / 4;
    unit.copyWeights(layout, packed, rowGroup, k.mul(line, k.constant(chunks)), used, 4, isRest, stageAt(line));
    constexpr int64_t pieces = TensorMemory::lineBytes / 16;
    int64_t stride = activationStride(layout, elementBytes()), present = stride / 16 - wholeLines * pieces;
    Value to = t.at(stageAt(line), weightBytes);
    t.share(tileTokens * pieces, [&](Value i) {
      Value token = k.div(i, k.constant(pieces)), piece = k.rem(i, k.constant(pieces)), used = piece, bytes;
      if (isRest) { // zeros behind the last column
        used = k.min(piece, k.constant(present - 1));
        bytes = arith::SelectOp::create(b, k.less(piece, k.constant(present)), t.integer(16), t.integer(0));
      }
      Value from = k.add(k.mul(source(token), k.constant(stride)),
                         k.add(k.mul(line, k.constant(TensorMemory::lineBytes)), k.mul(used, k.constant(16))));
      unit.copyPiece(t.at(codes, from), unit.pieceAt(to, token, piece), 16, bytes);
    });
    if (!scales)
      return;
    t.share(perLine * tileTokens, [&](Value i) {
      Value token = k.rem(i, k.constant(tileTokens)), block = k.div(i, k.constant(tileTokens));
      Value number = k.min(k.add(k.mul(line, k.constant(perLine)), block), k.constant(layout.blocks() - 1));
      Value from = k.add(k.mul(source(token), k.constant(layout.blocks())), number);
      unit.copyPiece(t.at(scales, k.mul(from, k.constant(4))), t.at(scalesAt(line), k.mul(i, k.constant(4))), 4);
    });
  }

  Value source(Value token) { return k.min(k.add(firstToken, token), k.sub(tokens, k.constant(1))); }

  /// One thread starts the products of the first `count` columns of a line.
  void multiply(Value line, int64_t count) {
    uint64_t type = linear.type == ComputeType::Fp8 ? 0 : 1; // e4m3; s8 and bf16 under their kinds
    uint64_t ofSums = linear.type == ComputeType::Int8 ? 2 : 1;
    Value shape = t.integer(int64_t(TensorMemory::shape(tileTokens) | ofSums << 4 | type << 7 | type << 10));
    const char *kind = linear.type == ComputeType::Int8 ? "i8" : linear.type == ComputeType::Fp8 ? "f8f6f4" : "f16";
    k.when(k.equal(t.thread(), k.constant(0)), [&] {
      Value rows = unit.describeTile(stageAt(line)), tokenLines = unit.describeTile(t.at(stageAt(line), weightBytes));
      int64_t steps = llvm::divideCeil(count * elementBytes(), stepBytes);
      int64_t perBlock = scales ? layout.block * elementBytes() / stepBytes : steps;
      for (int64_t s = 0; s < steps; ++s) {
        Value goesOn = s % perBlock ? t.integer(1) : scales ? t.integer(0) : unit.narrow(line);
        unit.run(llvm::formatv("{{ .reg .pred p; setp.ne.b32 p, $4, 0; tcgen05.mma.cta_group::1.kind::{0} [$0], $1, "
                               "$2, $3, p; }",
                               kind),
                 "r,l,l,r,r",
                 {arith::AddIOp::create(b, unit.first(), t.integer(s / perBlock * tileTokens)),
                  k.add(rows, k.constant(stepBytes / 16 * s)), k.add(tokenLines, k.constant(stepBytes / 16 * s)), shape,
                  goesOn});
      }
      unit.commit(line);
    });
  }

  /// total += the sums of a line's blocks times their scales.
  SmallVector<Value> addUp(Value line, int64_t blocks, ValueRange state) {
    bool isInteger = linear.type == ComputeType::Int8;
    SmallVector<Value> total(state), factors;
    Value base = unit.tileBase(layout, packed, rowGroup, k.div(t.thread(), k.constant(16)));
    for (int64_t j = 0; j < blocks && layout.scaleBytes; ++j) {
      Value block = k.add(k.mul(line, k.constant(perLine)), k.constant(j));
      Value place = k.add(k.mul(block, k.constant(layout.blockBytes(layout.block))),
                          k.mul(k.rem(t.thread(), k.constant(16)), k.constant(layout.scaleBytes)));
      factors.push_back(decoder.scale(t.at(base, place), isInteger));
    }
    unit.wait(line);
    unit.behind();
    for (int64_t j = 0; j < blocks; ++j)
      for (int64_t n = 0; n < tileTokens; n += TensorMemory::loadColumns) {
        SmallVector<Value> sums = unit.load(t.integer(j * tileTokens + n), isInteger ? t.i32 : t.f32);
        for (auto [i, sum] : llvm::enumerate(sums)) {
          Value own = t.load(t.f32, t.at(scalesAt(line), (j * tileTokens + n + int64_t(i)) * 4), 4);
          Value number = isInteger ? Value(arith::SIToFPOp::create(b, t.f32, sum)) : sum;
          Value factor = factors.empty() ? own : Value(arith::MulFOp::create(b, factors[j], own));
          total[n + int64_t(i)] = t.fma(number, factor, total[n + int64_t(i)]);
        }
      }
    return total;
  }

  void storeSum(Value token, Value sum) {
    Value output = k.add(k.mul(rowGroup, k.constant(TensorMemory::rows)), t.thread());
    linear.store(t, packed, tokens, k.add(firstToken, token), output, sum);
  }

  /// Each thread stores its row's sums, so that neighbouring threads store neighbouring rows of a token.
  void storeSums() {
    k.loop(
        k.constant(0), k.constant(tileTokens),
        [&](Value first) {
          for (auto [i, sum] : llvm::enumerate(unit.load(unit.narrow(first), t.f32)))
            storeSum(k.add(first, k.constant(int64_t(i))), sum);
        },
        TensorMemory::loadColumns);
  }

  /// The same through memory that a loop can count through.
  void storeRegisters(ArrayRef<Value> total) {
    auto place = [&](Value token) {
      return t.at(area, k.mul(k.add(k.mul(token, k.constant(TensorMemory::rows)), t.thread()), k.constant(4)));
    };
    for (int64_t n = 0; n < tileTokens; ++n)
      t.store(total[n], place(k.constant(n)), 4);
    k.loop(k.constant(0), k.constant(tileTokens),
           [&](Value token) { storeSum(token, t.load(t.f32, place(token), 4)); });
  }

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  DeviceLinear linear;
  const PackedLayout &layout;
  ThreadDecoder decoder;
  int64_t perLine; // blocks whose sums are apart
  TensorMemory unit;
  int64_t wholeLines, lines, stageBytes;
  Value packed, tokens, codes, scales, rowGroup, firstToken, area;
};
} // namespace

void qcc::emitTensorMemorySums(Lowering &lowering, const DeviceLinear &linear, const DeviceActivations &activations) {
  Dimensions &dims = lowering.dims;
  Kernel k(lowering, linear.kernelName("tcgen05"), lowering.loc);
  TensorMemorySums sums(k, linear, activations);
  int64_t groups = llvm::divideCeil(linear.layout.rows, TensorMemory::rows);
  Value count = k.constant(groups);
  sums.write(k.rem(k.lo(), count), k.mul(k.div(k.lo(), count), k.constant(tileTokens)));
  Dim units = dims.mul(dims.ceilDiv(linear.tokens, tileTokens), dims.constant(groups));
  k.launch(units, dims.mul(units, dims.constant(linear.layout.columns)));
}
