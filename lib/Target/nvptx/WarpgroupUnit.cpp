#include "WarpgroupUnit.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qcc;

llvm::StringRef WarpgroupUnit::instruction(ComputeType type) {
  return type == ComputeType::Int8 ? "wgmma.m64n64k32.s32.s8" : "wgmma.m64n64k32.f32.e4m3";
}

/// Four columns of a row, from column 32 · step + 16 · half + 4 · quad on: what a register of the instruction holds.
Value WarpgroupUnit::word(Value codes, Value row, Value quad, int64_t step, int half, int64_t columns) {
  Kernel &k = t.k;
  int64_t first = step * MatrixUnit::columns + 16 * half, present = layout.chunks(columns) * layout.chunkColumns();
  Value column = k.add(k.constant(first), k.mul(quad, k.constant(4)));
  bool isWhole = first + 16 <= present;
  Value used = isWhole ? column : k.min(column, k.constant(present - 4));
  Value address = t.at(codes, k.mul(row, k.constant(4)));
  Value lane = decoder.load(address, k.div(used, k.constant(layout.chunkColumns()))).front();
  if (layout.codeBits == 4) { // the second four columns of a chunk stand in the high halves of its bytes
    Value isSecond = k.rem(k.div(used, k.constant(4)), k.constant(2));
    Value distance = arith::TruncIOp::create(b, t.i32, k.mul(isSecond, k.constant(4)));
    lane = arith::ShRUIOp::create(b, lane, distance);
  }
  Value four = (type == ComputeType::Int8 ? decoder.integers(lane) : decoder.fp8(lane)).front();
  return isWhole ? four : k.select(k.less(column, k.constant(present)), four, t.integer(0));
}

/// The descriptor of a tile of rows of 128 bytes in the 128-byte pattern (PTX ISA, "Matrix Descriptor").
Value WarpgroupUnit::describe(Value tokens) {
  constexpr uint64_t betweenEights = 1024 >> 4, pattern = 1; // 8 rows of 128 bytes; 128-byte swizzle
  Value address = arith::ExtUIOp::create(b, t.i64, LLVM::PtrToIntOp::create(b, t.i32, tokens));
  Value start = arith::AndIOp::create(b, arith::ShRUIOp::create(b, address, t.k.constant(4)), t.k.constant(0x3fff));
  return arith::OrIOp::create(b, start, t.k.constant(int64_t(betweenEights << 32 | pattern << 62)));
}

SmallVector<Value> WarpgroupUnit::multiply(ArrayRef<Value> heads, ArrayRef<Value> rows, Value quad, int64_t columns,
                                           Value tokens, int tokenTiles) {
  int64_t steps = llvm::divideCeil(columns, MatrixUnit::columns), perHead = 4 * tokenTiles;
  bool isInteger = type == ComputeType::Int8;
  Type sumType = isInteger ? t.i32 : t.f32;
  size_t sums = heads.size() * size_t(perHead);
  // One piece of assembly from fence to wait: nothing may touch the registers in between.
  std::string text = "{ .reg .pred p, q; setp.ne.b32 p, 0, 0; setp.eq.b32 q, 0, 0; wgmma.fence.sync.aligned; ";
  std::string constraints;
  for (size_t i = 0; i < sums; ++i)
    constraints += isInteger ? "=&r," : "=&f,";
  SmallVector<Value> operands;
  std::string types = !isInteger ? "f32.e4m3.e4m3" : decoder.isUnsigned() ? "s32.u8.s8" : "s32.s8.s8";
  size_t descriptor = sums + heads.size() * size_t(steps) * 4;
  for (auto [m, head] : llvm::enumerate(heads)) {
    Value codes = t.at(head, layout.codesOffset());
    for (int64_t s = 0; s < steps; ++s) {
      std::string a, d;
      for (int i = 0; i < 4; ++i) {
        a += (i ? ", $" : "$") + std::to_string(sums + operands.size());
        operands.push_back(word(codes, rows[i % 2], quad, s, i / 2, columns));
        constraints += "r,";
      }
      for (int64_t i = 0; i < perHead; ++i)
        d += (i ? ", $" : "$") + std::to_string(int64_t(m) * perHead + i);
      text +=
          llvm::formatv("wgmma.mma_async.sync.aligned.m64n{0}k32.{1} {{{2}}, {{{3}}, ${4}, {5}{6}; ", 8 * tokenTiles,
                        types, d, a, descriptor + size_t(s), s ? "q" : "p", isInteger ? "" : ", 1, 1");
    }
  }
  text += "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0; }";
  Value base = describe(tokens);
  for (int64_t s = 0; s < steps; ++s) { // a step is 32 bytes, in units of 16
    operands.push_back(t.k.add(base, t.k.constant(2 * s)));
    constraints += "l,";
  }
  constraints.pop_back();
  auto resultType = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(sums, sumType));
  Value all =
      LLVM::InlineAsmOp::create(b, resultType, operands, text, constraints, /*has_side_effects=*/true,
                                /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
          .getRes();
  SmallVector<Value> result;
  for (size_t i = 0; i < sums; ++i)
    result.push_back(LLVM::ExtractValueOp::create(b, all, int64_t(i)));
  return result;
}
