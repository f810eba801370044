// A linear operation for many tokens, on instructions of warps that multiply blocks and their scales.
#include "ScaledProduct.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t blockThreads = 128;

bool qcc::hasTensorMemory(const DeviceFacts &facts) { return facts.isSpecific() && facts.capability / 10 == 10; }

std::optional<ScaledKind> qcc::scaledKind(const DeviceFacts &facts, StringRef act, const PackedLayout &layout) {
  auto rounding = BlockRounding::of(act);
  if (!rounding || facts.capability < 100 || !facts.isSpecific() || layout.hasZero)
    return std::nullopt;
  bool isFp4 = layout.element == "e2m1", isFp8 = layout.element == "e4m3";
  if (rounding->hasTokenScale) // scales of 8-bit floats for 16 numbers
    return isFp4 && layout.scale == "e4m3" && layout.block == 16 ? std::optional(ScaledKind::Mxf4nvf4) : std::nullopt;
  if (layout.scale != "e8m0" || layout.block != 32)
    return std::nullopt;
  if (rounding->codeBits == 4)
    return isFp4 ? std::optional(ScaledKind::Mxf4) : std::nullopt;
  return isFp4 || isFp8 ? std::optional(ScaledKind::Mxf8f6f4) : std::nullopt;
}

StringRef qcc::scaledInstruction(const DeviceFacts &facts, ScaledKind kind) {
  bool isTensor = hasTensorMemory(facts);
  switch (kind) {
  case ScaledKind::Mxf8f6f4:
    return isTensor ? "tcgen05.mma.m128n128k32.mxf8f6f4.1x.ue8m0" : "mma.sync.m16n8k32.mxf8f6f4.1x.ue8m0";
  case ScaledKind::Mxf4:
    return isTensor ? "tcgen05.mma.m128n128k64.mxf4.2x.ue8m0" : "mma.sync.m16n8k64.mxf4.2x.ue8m0";
  case ScaledKind::Mxf4nvf4:
    return isTensor ? "tcgen05.mma.m128n128k64.mxf4nvf4.4x.ue4m3" : "mma.sync.m16n8k64.mxf4nvf4.4x.ue4m3";
  }
  return "";
}

namespace {
/// A block of four warps multiplies 16 · `rowTiles` rows for each of them with 8 · `tokenTiles` tokens. Records of
/// activations come through shared memory, some ahead; each weight is read by one warp alone, and what is stored of it
/// is what the instruction takes. Sums stay in the instruction's registers over the whole depth.
///
/// With g = lane / 4 and t = lane % 4, a register holds eight 4-bit or four 8-bit codes of row (or token) g. Those of
/// the first half of a step's registers are of the columns that the instruction numbers from 0 on, and scales are
/// counted by these numbers: columns change places only within a block of weights, alike in both operands.
class ScaledProduct {
public:
  ScaledProduct(Kernel &kernel, const DeviceLinear &linear, ScaledKind kind, const BlockRounding &rounding,
                const BlockActivations &activations, int rowTiles, int tokenTiles)
      : k(kernel), t(kernel, blockThreads), b(kernel.b), linear(linear), layout(this->linear.layout), kind(kind),
        order(recordsOf(*kernel.lowering.facts.device, rounding, layout)), rowTiles(rowTiles), tokenTiles(tokenTiles),
        packed(kernel.argument(linear.weights)), tokens(kernel.dim(linear.tokens)),
        records(kernel.argument(activations.records)),
        tokenScales(activations.tokenScales ? kernel.argument(activations.tokenScales) : Value()) {
    wholeRecords = layout.columns / order.columns();
    chunksPerBlock = layout.block / layout.chunkColumns();
    words = order.blocks() / 4;
  }

  int64_t rowCount() const { return t.warps() * rowTiles * 16; }
  int64_t tokenCount() const { return tokenTiles * 8; }

  void write(Value rowGroup, Value firstToken) {
    this->firstToken = firstToken;
    lastToken = k.sub(tokens, k.constant(1));
    area = t.shared(std::max(stages * stageBytes(), rowCount() * tokenCount() * 4), 128);
    g = k.div(t.lane(), k.constant(4)), quad = k.rem(t.lane(), k.constant(4));
    Value firstTile = k.mul(k.add(k.mul(rowGroup, k.constant(t.warps())), t.warp()), k.constant(rowTiles));
    for (int m = 0; m < rowTiles; ++m) { // those beyond the matrix read its last tile
      Value tile = k.min(k.add(firstTile, k.constant(m)), k.constant(layout.tiles() - 1));
      bases.push_back(t.at(packed, k.mul(tile, k.constant(layout.tileBytes()))));
    }
    for (int64_t s = 0; s + 1 < stages; ++s) {
      if (s < order.count())
        copy(k.constant(s), k.constant(s));
      NVVM::CpAsyncCommitGroupOp::create(b);
    }
    SmallVector<Value> total(size_t(rowTiles) * tokenTiles * 4, k.constantF32(0));
    total = k.loop(k.constant(0), k.constant(wholeRecords), total, [&](Value i, ValueRange state) {
      arrive();
      copyAhead(i);
      return multiply(i, ScaledRecords::steps, true, state);
    });
    if (wholeRecords < order.count()) {
      arrive();
      total = multiply(k.constant(wholeRecords), order.restSteps(), false, total);
    }
    store(rowGroup, total);
  }

private:
  static constexpr int64_t stages = 3, copyBytes = 16;
  int64_t stageBytes() const { return tokenCount() * ScaledRecords::bytes; }
  Value stageAt(Value record) { return t.at(area, k.mul(k.rem(record, k.constant(stages)), k.constant(stageBytes()))); }

  /// Has the next record of all tokens in shared memory.
  void arrive() {
    NVVM::CpAsyncWaitGroupOp::create(b, int32_t(stages - 2));
    t.barrier();
  }

  /// While record `i` is multiplied: begins to copy a later one to where the one before stood.
  void copyAhead(Value i) {
    Value next = k.add(i, k.constant(stages - 1));
    k.when(k.less(next, k.constant(order.count())), [&] { copy(next, next); });
    NVVM::CpAsyncCommitGroupOp::create(b);
  }

  void copy(Value record, Value stage) {
    constexpr int64_t pieces = ScaledRecords::bytes / copyBytes;
    Value to = stageAt(stage);
    auto global = LLVM::LLVMPointerType::get(b.getContext(), 1);
    t.share(tokenCount() * pieces, [&](Value piece) {
      Value token = k.div(piece, k.constant(pieces)), part = k.rem(piece, k.constant(pieces));
      Value source = k.min(k.add(firstToken, token), lastToken);
      Value offset = k.add(k.mul(source, k.constant(order.tokenBytes())),
                           k.add(k.mul(record, k.constant(ScaledRecords::bytes)), k.mul(part, k.constant(16))));
      Value from = LLVM::AddrSpaceCastOp::create(b, global, t.at(records, offset));
      NVVM::CpAsyncOp::create(b, t.at(to, k.mul(piece, k.constant(copyBytes))), from, int32_t(copyBytes),
                              NVVM::LoadCacheModifierKind::CG, Value());
    });
  }

  /// The bytes of a tile from the start on where row 0 of a chunk stands: of the one that stands `chunk` behind the
  /// whole block `block` of a record.
  Value chunkOffset(Value record, int64_t block, Value chunk, bool isWhole) {
    Value perBlock = k.constant(chunksPerBlock), bytes = k.constant(layout.blockBytes(layout.block));
    Value whole = k.add(k.mul(record, k.constant(order.blocks())), k.constant(block));
    Value offset;
    if (isWhole) {
      offset = k.add(k.mul(whole, bytes), k.mul(k.div(chunk, perBlock), bytes));
      offset = k.add(offset, k.mul(k.rem(chunk, perBlock), k.constant(layout.chunkBytes())));
    } else { // what lies behind the last chunk meets activations that are 0
      int64_t last = layout.fullBlocks() * chunksPerBlock + (layout.tail() ? layout.chunks(layout.tail()) : 0) - 1;
      Value at = k.min(k.add(k.mul(whole, perBlock), chunk), k.constant(last));
      offset = k.add(k.mul(k.div(at, perBlock), bytes), k.mul(k.rem(at, perBlock), k.constant(layout.chunkBytes())));
    }
    return k.add(offset, k.constant(layout.codesOffset()));
  }

  /// A warp's weights of a step: registers of the rows g and g + 8 for the first half of its columns, then the second.
  SmallVector<Value> weightsOf(Value base, Value record, int64_t s, bool isWhole) {
    int64_t first = s * order.stepColumns() / layout.block; // block of the record
    auto word = [&](int64_t block, Value chunk, int64_t row) -> Value {
      Value offset = k.add(chunkOffset(record, block, chunk, isWhole), k.mul(g, k.constant(4)));
      return t.load(t.i32, t.at(base, k.add(offset, k.constant(4 * row))), 4);
    };
    SmallVector<Value> registers;
    if (kind != ScaledKind::Mxf8f6f4) {
      int64_t halfBlocks = order.stepColumns() / 2 / layout.block;
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t row : {0, 8})
          registers.push_back(word(first + half * halfBlocks, quad, row));
      return registers;
    }
    if (layout.codeBits == 8) {
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t row : {0, 8})
          registers.push_back(word(first, k.add(k.mul(quad, k.constant(2)), k.constant(half)), row));
      return registers;
    }
    // Numbers of four bits stand in the bits 2 to 5 of a byte.
    Value upper = word(first, quad, 0), lower = word(first, quad, 8);
    for (Value lane : {upper, lower})
      registers.push_back(
          arith::ShLIOp::create(b, arith::AndIOp::create(b, lane, t.integer(0x0f0f0f0f)), t.integer(2)));
    for (Value lane : {upper, lower})
      registers.push_back(
          arith::AndIOp::create(b, arith::ShRUIOp::create(b, lane, t.integer(2)), t.integer(0x3c3c3c3c)));
    return registers;
  }

  /// Registers of scales of a record's weights, two words of four blocks in each: the lanes t = 0, 1 have the first
  /// word's for the rows g and g + 8, and t = 2, 3 the second's.
  SmallVector<Value> scalesOf(Value base, Value record, bool isWhole) {
    SmallVector<Value> registers;
    Value row = k.add(g, k.mul(k.rem(quad, k.constant(2)), k.constant(8)));
    for (int64_t first = 0; first < words; first += 2) {
      Value own = k.constant(first);
      if (words > 1)
        own = k.add(own, k.div(quad, k.constant(2)));
      Value word = t.integer(0);
      for (int64_t i = 0; i < 4; ++i) {
        Value block = k.add(k.add(k.mul(record, k.constant(order.blocks())), k.mul(own, k.constant(4))), k.constant(i));
        if (!isWhole)
          block = k.min(block, k.constant(layout.blocks() - 1));
        Value at = k.add(k.mul(block, k.constant(layout.blockBytes(layout.block))), row);
        Value code = arith::ExtUIOp::create(b, t.i32, t.load(t.i8, t.at(base, at), 1));
        word = arith::OrIOp::create(b, word, arith::ShLIOp::create(b, code, t.integer(8 * i)));
      }
      registers.push_back(word);
    }
    return registers;
  }

  SmallVector<Value> multiply(Value record, int64_t steps, bool isWhole, ValueRange state) {
    SmallVector<Value> total(state);
    SmallVector<SmallVector<SmallVector<Value>>> weights(rowTiles);
    SmallVector<SmallVector<Value>> weightScales;
    for (int m = 0; m < rowTiles; ++m) {
      for (int64_t s = 0; s < steps; ++s)
        weights[m].push_back(weightsOf(bases[m], record, s, isWhole));
      weightScales.push_back(scalesOf(bases[m], record, isWhole));
    }
    Value stage = stageAt(record);
    for (int n = 0; n < tokenTiles; ++n) {
      Value token = t.at(stage, k.mul(k.add(g, k.constant(n * 8)), k.constant(ScaledRecords::bytes)));
      // Lane t has the scales of word t.
      Value own = words > 1 ? k.rem(quad, k.constant(words)) : k.constant(0);
      Value scales = t.load(t.i32, t.at(t.at(token, ScaledRecords::codeBytes), k.mul(own, k.constant(4))), 4);
      for (int64_t s = 0; s < steps; ++s) {
        SmallVector<Value> x = tokenWords(token, s);
        for (int m = 0; m < rowTiles; ++m) {
          size_t first = (size_t(m) * tokenTiles + n) * 4;
          SmallVector<Value> sum =
              product(weights[m][s], weightScales[m], x, scales, s, ArrayRef(total).slice(first, 4));
          std::copy(sum.begin(), sum.end(), total.begin() + first);
        }
      }
    }
    return total;
  }

  SmallVector<Value> tokenWords(Value token, int64_t s) {
    constexpr int64_t stepBytes = ScaledRecords::codeBytes / ScaledRecords::steps;
    if (kind != ScaledKind::Mxf8f6f4) {
      Value at = t.at(t.at(token, s * stepBytes), k.mul(quad, k.constant(4)));
      return {t.load(t.i32, at, 4), t.load(t.i32, t.at(at, 16), 4)};
    }
    Value at = t.at(t.at(token, s * stepBytes), k.mul(quad, k.constant(8)));
    Value both = t.load(VectorType::get(2, t.i32), at, 8);
    return {LLVM::ExtractElementOp::create(b, both, t.integer(0)),
            LLVM::ExtractElementOp::create(b, both, t.integer(1))};
  }

  SmallVector<Value> product(ArrayRef<Value> a, ArrayRef<Value> aScales, ArrayRef<Value> x, Value xScales, int64_t s,
                             ArrayRef<Value> sums) {
    std::string name = kind == ScaledKind::Mxf4nvf4 ? "m16n8k64.row.col.mxf4nvf4.scale.4x.f32.e2m1.e2m1.f32.ue4m3"
                       : kind == ScaledKind::Mxf4   ? "m16n8k64.row.col.mxf4.scale.2x.f32.e2m1.e2m1.f32.ue8m0"
                                                    : llvm::formatv("m16n8k32.row.col.mxf8f6f4.scale.1x.f32.{0}.e4m3."
                                                                    "f32.ue8m0",
                                                                    layout.element)
                                                          .str();
    auto number = [&](int64_t value) -> Value {
      return arith::ConstantOp::create(b, b.getI16IntegerAttr(int16_t(value)));
    };
    int64_t perWord = ScaledRecords::steps / words, word = s / perWord; // steps whose scales a word has
    Value byte = number(s % perWord * (4 / perWord));
    SmallVector<Value> operands(a);
    operands.append(x.begin(), x.end());
    operands.append(sums.begin(), sums.end());
    operands.append({aScales[word / 2], byte, number(word % 2), xScales, byte, number(word)});
    auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(4, t.f32));
    Value all = t.intrinsic(type, "llvm.nvvm.mma.block.scale." + name, operands);
    SmallVector<Value> parts;
    for (int i = 0; i < 4; ++i)
      parts.push_back(LLVM::ExtractValueOp::create(b, all, i));
    return parts;
  }

  void store(Value rowGroup, ArrayRef<Value> total) {
    shareFragments(k, t, area, rowTiles, tokenTiles, total, [&](Value row, Value token, Value address) {
      Value output = k.add(k.mul(rowGroup, k.constant(rowCount())), row);
      linear.store(t, packed, tokens, k.add(firstToken, token), output, t.load(t.f32, address, 4), tokenScales);
    });
  }

  Kernel &k;
  ThreadBlock t;
  ImplicitLocOpBuilder &b;
  DeviceLinear linear;
  const PackedLayout &layout;
  ScaledKind kind;
  ScaledRecords order;
  int rowTiles, tokenTiles;
  int64_t wholeRecords, chunksPerBlock;
  int64_t words; // of four scales each, of a record
  Value packed, tokens, records, tokenScales, firstToken, lastToken, area, g, quad;
  SmallVector<Value> bases; // of this warp's tiles of weights
};
} // namespace

void qcc::emitScaledProduct(Lowering &lowering, const DeviceLinear &linear, ScaledKind kind,
                            const BlockRounding &rounding, const BlockActivations &activations) {
  Dimensions &dims = lowering.dims;
  qnt::LinearOp op = linear.op;
  auto known = constantOf(linear.tokens);
  int rowTiles = linear.layout.tiles() >= 8 ? 2 : 1, tokenTiles = known && *known <= 32 ? 4 : 8;
  Kernel k(lowering, linear.kernelName((op.getAct() + "_scaled").str()), lowering.loc);
  ScaledProduct product(k, linear, kind, rounding, activations, rowTiles, tokenTiles);
  int64_t groups = llvm::divideCeil(linear.layout.rows, product.rowCount());
  Value count = k.constant(groups);
  product.write(k.rem(k.lo(), count), k.mul(k.div(k.lo(), count), k.constant(product.tokenCount())));
  Dim units = dims.mul(dims.ceilDiv(linear.tokens, product.tokenCount()), dims.constant(groups));
  k.launch(units, dims.mul(units, dims.constant(linear.layout.columns)));
}
