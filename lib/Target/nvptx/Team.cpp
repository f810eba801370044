#include "qcc/Tile/Team.h"
#include "ThreadBlock.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t shortRow = 16;         // that one thread has for itself
static constexpr int64_t elementsPerThread = 8; // enough to have several reads on their way
static constexpr int64_t mostThreads = 256, usualThreads = 128;

static std::unique_ptr<ThreadBlock> threadsFor(Kernel &k, Dim length) {
  if (!k.lowering.facts.device)
    return nullptr;
  int64_t count = usualThreads;
  if (auto known = constantOf(length)) {
    if (*known <= shortRow)
      return nullptr;
    int64_t wanted = llvm::PowerOf2Ceil(llvm::divideCeil(*known, elementsPerThread));
    count = std::clamp(wanted, ThreadBlock::warpThreads, mostThreads);
  }
  return std::make_unique<ThreadBlock>(k, count);
}

Team::Team(Kernel &kernel, Dim length) : k(kernel), threads(threadsFor(kernel, length)) {}
Team::Team(Kernel &kernel) : k(kernel) {}
Team::Team(Team &&) = default;
Team::~Team() = default;

void Team::each(Value from, Value to, llvm::function_ref<void(Value)> body) const {
  if (isOne())
    return k.loop(from, to, body);
  k.loop(k.add(from, threads->thread()), to, body, threads->threads);
}

SmallVector<Value> Team::each(Value from, Value to, ValueRange init,
                              llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) const {
  if (isOne())
    return k.loop(from, to, init, body);
  return k.loop(k.add(from, threads->thread()), to, init, body, threads->threads);
}

/// The value of the thread of this warp whose lane number differs in the bits of `mask`, of any scalar type.
static Value shuffle(ThreadBlock &t, Value value, int mask) {
  auto &b = t.b;
  Type type = value.getType();
  unsigned width = type.getIntOrFloatBitWidth();
  if (width == 32)
    return t.shuffleXor(value, mask);
  Type bits = b.getIntegerType(width);
  if (type != bits)
    value = arith::BitcastOp::create(b, bits, value);
  if (width < 32) {
    value = t.shuffleXor(arith::ExtUIOp::create(b, t.i32, value), mask);
    value = arith::TruncIOp::create(b, bits, value);
  } else {
    Value half = arith::ConstantOp::create(b, b.getI64IntegerAttr(32));
    auto moved = [&](Value part) -> Value {
      Value word = t.shuffleXor(arith::TruncIOp::create(b, t.i32, part), mask);
      return arith::ExtUIOp::create(b, t.i64, word);
    };
    Value low = moved(value), high = moved(arith::ShRUIOp::create(b, value, half));
    value = arith::OrIOp::create(b, low, arith::ShLIOp::create(b, high, half));
  }
  return type == bits ? value : Value(arith::BitcastOp::create(b, type, value));
}

Value Team::across(Value mine, llvm::function_ref<Value(Value, Value)> combine) const {
  if (isOne())
    return mine;
  ThreadBlock &t = *threads;
  for (int bit = ThreadBlock::warpThreads / 2; bit > 0; bit /= 2)
    mine = combine(mine, shuffle(t, mine, bit));
  if (t.warps() == 1)
    return mine;
  Type type = mine.getType();
  unsigned bytes = std::max(4u, type.getIntOrFloatBitWidth() / 8);
  Value area = t.shared(t.warps() * bytes, bytes);
  auto place = [&](Value warp) { return t.at(area, k.mul(warp, k.constant(bytes))); };
  bool isFlag = type == t.i1; // which takes a byte in memory
  k.when(k.equal(t.lane(), k.constant(0)), [&] {
    t.store(isFlag ? Value(arith::ExtUIOp::create(t.b, t.i8, mine)) : mine, place(t.warp()),
            storageBytes(isFlag ? t.i8 : type));
  });
  t.barrier();
  Value all;
  for (int64_t warp = 0; warp < t.warps(); ++warp) {
    Value part = t.load(isFlag ? t.i8 : type, place(k.constant(warp)), storageBytes(isFlag ? t.i8 : type));
    if (isFlag)
      part = arith::TruncIOp::create(t.b, t.i1, part);
    all = all ? combine(all, part) : part;
  }
  return all;
}

void Team::once(llvm::function_ref<void()> body) const {
  if (isOne())
    return body();
  k.when(k.equal(threads->thread(), k.constant(0)), body);
}

void Team::barrier() const {
  if (!isOne())
    threads->barrier();
}

Value Team::scratch(int64_t bytes) const { return isOne() ? k.threadScratch(bytes) : threads->shared(bytes); }
