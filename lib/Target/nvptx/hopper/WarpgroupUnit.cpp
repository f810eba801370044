#include "WarpgroupUnit.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t quads = 4; // lanes that share a row

/// Columns in a register, and registers that a packed lane becomes.
static int64_t columnsPerWord(ComputeType type) { return 4 / WarpgroupUnit::activationBytes(type); }
static int64_t wordsPerLane(const PackedLayout &layout, ComputeType type) {
  return layout.chunkColumns() / columnsPerWord(type);
}

WarpgroupUnit::WarpgroupUnit(ThreadBlock &block, ComputeType type, ThreadDecoder &decoder, const Format &format,
                             const PackedLayout &layout, int64_t tokens)
    : t(block), k(block.k), b(block.b), type(type), decoder(decoder), format(format), layout(layout), tokens(tokens),
      warp(block, type, decoder) {}

bool WarpgroupUnit::has(const DeviceFacts &facts, ComputeType type) {
  return facts.architecture == "sm_90a" && type != ComputeType::F32;
}

llvm::StringRef WarpgroupUnit::instruction(ComputeType type) {
  return type == ComputeType::Int8  ? "wgmma.m64nNk32.s32.s8"
         : type == ComputeType::Fp8 ? "wgmma.m64nNk32.f32.e4m3"
                                    : "wgmma.m64nNk16.f32.bf16";
}

/// Of four lanes' words, the instruction has the first ones side by side, then the second ones, and so on.
Value WarpgroupUnit::positionOf(Kernel &k, const PackedLayout &layout, ComputeType type, Value column) {
  int64_t inWord = columnsPerWord(type), inLane = wordsPerLane(layout, type);
  if (inLane == 1)
    return column;
  Value word = k.div(column, k.constant(inWord)), rest = k.rem(column, k.constant(inWord));
  Value lane = k.rem(k.div(word, k.constant(inLane)), k.constant(quads)), number = k.rem(word, k.constant(inLane));
  Value group = k.div(word, k.constant(quads * inLane));
  Value position = k.add(k.mul(group, k.constant(quads * inLane)), k.add(k.mul(number, k.constant(quads)), lane));
  return k.add(k.mul(position, k.constant(inWord)), rest);
}

void WarpgroupUnit::declareSums() {
  t.assembly(llvm::formatv(".reg .{0} part<{1}>;", isInteger() ? "s32" : "f32", tokens / 2).str(), "", {});
}

/// Whether packed lanes are what the instruction takes.
bool WarpgroupUnit::isPlain() const {
  return type == ComputeType::Bf16 ? format.element->name() == "bfloat16" : layout.codeBits == 8;
}

WarpgroupUnit::Registers WarpgroupUnit::wordsOf(Value lane) { return isPlain() ? Registers{lane} : warp.wordsOf(lane); }

/// The packed lanes of both rows, for each four chunks of the block. Half of the lanes read the lower row first, so
/// that all of a warp read from different banks.
SmallVector<WarpgroupUnit::Registers> WarpgroupUnit::load(Value codes, int64_t columns) {
  Value g = k.div(t.lane(), k.constant(quads)), quad = k.rem(t.lane(), k.constant(quads));
  Value isLow = k.less(quad, k.constant(2)), row = k.mul(g, k.constant(4)), below = k.add(row, k.constant(32));
  Value offsets[] = {k.select(isLow, row, below), k.select(isLow, below, row)};
  int64_t chunks = layout.chunks(columns);
  SmallVector<Registers> all;
  for (int64_t first = 0; first < chunks; first += quads) {
    Value chunk = quad;
    if (first + quads > chunks) // what stands beyond the block meets activations of 0, and only has to be a number
      chunk = k.min(chunk, k.constant(chunks - 1 - first));
    Value place = t.at(t.at(codes, k.mul(chunk, k.constant(layout.chunkBytes()))), first * layout.chunkBytes());
    Value one = t.load(t.i32, t.at(place, offsets[0]), 4), other = t.load(t.i32, t.at(place, offsets[1]), 4);
    all.push_back({k.select(isLow, one, other), k.select(isLow, other, one)});
  }
  return all;
}

/// The descriptor of rows of 128 bytes in the 128-byte pattern (PTX ISA, "Matrix Descriptor").
Value WarpgroupUnit::describe(Value place) {
  constexpr uint64_t betweenEights = 1024 >> 4, pattern = 1; // 8 rows of 128 bytes; 128-byte swizzle
  Value address = arith::ExtUIOp::create(b, t.i64, LLVM::PtrToIntOp::create(b, t.i32, place));
  Value start = arith::AndIOp::create(b, arith::ShRUIOp::create(b, address, k.constant(4)), k.constant(0x3fff));
  return arith::OrIOp::create(b, start, k.constant(int64_t(betweenEights << 32 | pattern << 62)));
}

void WarpgroupUnit::multiply(Value codes, int64_t columns, Value adds, llvm::function_ref<Value(int64_t)> tokensAt) {
  SmallVector<Registers> lanes = load(codes, columns);
  std::string d;
  for (int64_t i = 0; i < tokens / 2; ++i)
    d += (i ? ", part" : "part") + std::to_string(i);
  StringRef types = type == ComputeType::Bf16  ? "k16.f32.bf16.bf16"
                    : type == ComputeType::Fp8 ? "k32.f32.e4m3.e4m3"
                    : decoder.isUnsigned()     ? "k32.s32.u8.s8"
                                               : "k32.s32.s8.s8";
  // Registers that have been written are fenced: all at once where nothing is decoded, else those of the next step
  // while one is multiplied.
  constexpr StringLiteral fence = "wgmma.fence.sync.aligned; ";
  if (isPlain()) {
    Registers all;
    std::string constraints;
    for (const Registers &both : lanes)
      for (Value lane : both) {
        all.push_back(lane);
        constraints += constraints.empty() ? "r" : ",r";
      }
    t.assembly(fence, constraints, all);
  }
  SmallVector<std::pair<Value, Value>> words; // of both rows, for half a step
  int64_t steps = llvm::divideCeil(int64_t(lanes.size()) * wordsPerLane(layout, type), 2);
  auto lane = lanes.begin();
  for (int64_t s = 0; s < steps; ++s) {
    while (int64_t(words.size()) < 2 * (s + 1) && lane != lanes.end()) {
      Registers upper = wordsOf((*lane)[0]), lower = wordsOf((*lane)[1]);
      for (auto [u, l] : llvm::zip(upper, lower))
        words.push_back({u, l});
      ++lane;
    }
    auto [a0, a1] = words[2 * s];
    auto [a2, a3] = words[std::min<size_t>(2 * s + 1, words.size() - 1)];
    StringRef signs = isInteger() ? "" : type == ComputeType::Bf16 ? ", 1, 1, 0" : ", 1, 1";
    std::string text =
        llvm::formatv("{{ .reg .pred adds; setp.ne.b32 adds, $5, 0; {0}"
                      "wgmma.mma_async.sync.aligned.m64n{1}{2} {{{3}}, {{$0, $1, $2, $3}, $4, adds{4}; {5}}",
                      isPlain() ? StringRef() : StringRef(fence), tokens, types, d, signs,
                      s + 1 == steps ? "wgmma.commit_group.sync.aligned; " : "");
    t.assembly(text, "r,r,r,r,l,r", {a0, a1, a2, a3, describe(tokensAt(s)), s ? t.integer(1) : adds});
    used.append({a0, a1, a2, a3});
  }
}

/// Registers of weights are operands of the wait, so that nothing is put into them before.
void WarpgroupUnit::wait() {
  std::string constraints;
  for (size_t i = 0; i < used.size(); ++i)
    constraints += "r,";
  t.assembly("wgmma.wait_group.sync.aligned 0;", constraints + "~{memory}", used);
  used.clear();
}

SmallVector<Value> WarpgroupUnit::sums() {
  std::string text, constraints;
  for (int64_t i = 0; i < tokens / 2; ++i) {
    text += llvm::formatv("mov.b32 ${0}, part{0}; ", i).str();
    constraints += isInteger() ? "=r," : "=f,";
  }
  wait();
  constraints.pop_back();
  return t.assembly(text, constraints, {}, SmallVector<Type>(tokens / 2, isInteger() ? t.i32 : t.f32));
}
