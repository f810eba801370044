#include "MatrixUnit.h"
#include "../BlockRounding.h"

using namespace mlir;
using namespace qcc;

ComputeType qcc::computeTypeOf(llvm::StringRef act) {
  return act.starts_with("int8") ? ComputeType::Int8
         : act == "fp8"          ? ComputeType::Fp8
         : act == "bf16"         ? ComputeType::Bf16
         // Numbers of block formats are bfloat16 ones, scales and all.
         : BlockRounding::of(act) ? ComputeType::Bf16
                                  : ComputeType::F32;
}

bool MatrixUnit::has(const DeviceFacts &facts, ComputeType type) {
  switch (type) {
  case ComputeType::F32:
    return false;
  case ComputeType::Int8:
    return true;
  case ComputeType::Fp8:
    return facts.capability >= 89;
  case ComputeType::Bf16:
    return facts.capability >= 80;
  }
  return false;
}

llvm::StringRef MatrixUnit::instruction(const DeviceFacts &facts, ComputeType type) {
  switch (type) {
  case ComputeType::F32:
    return "fma.rn.f32";
  case ComputeType::Int8:
    return facts.capability < 80 ? "mma.sync.m8n8k16.s32.s8" : "mma.sync.m16n8k32.s32.s8";
  case ComputeType::Fp8:
    return has(facts, type) ? "mma.sync.m16n8k32.f32.e4m3" : "fma.rn.f32";
  case ComputeType::Bf16:
    return has(facts, type) ? "mma.sync.m16n8k16.f32.bf16" : "fma.rn.f32";
  }
  return "";
}

MatrixUnit::Registers MatrixUnit::wordsOf(ArrayRef<Value> lanes) {
  Registers words;
  for (Value lane : lanes) {
    if (type != ComputeType::Bf16) {
      Registers four = type == ComputeType::Int8 ? decoder.integers(lane) : decoder.fp8(lane);
      words.append(four.begin(), four.end());
      continue;
    }
    Registers numbers = decoder.floats(lane);
    for (size_t i = 0; i + 1 < numbers.size(); i += 2) {
      auto pairType = VectorType::get(2, b.getBF16Type());
      Value pair = LLVM::PoisonOp::create(b, pairType);
      for (int half = 0; half < 2; ++half)
        pair = LLVM::InsertElementOp::create(b, pair, arith::TruncFOp::create(b, b.getBF16Type(), numbers[i + half]),
                                             t.integer(half));
      words.push_back(LLVM::BitcastOp::create(b, t.i32, pair));
    }
  }
  return words;
}

MatrixUnit::Registers MatrixUnit::weights(ArrayRef<Value> upper, ArrayRef<Value> lower) {
  Registers high = wordsOf(upper), low = wordsOf(lower), result;
  for (auto [a, c] : llvm::zip(high, low)) {
    result.push_back(a);
    result.push_back(c);
  }
  return result;
}

MatrixUnit::Registers MatrixUnit::call(StringRef name, ArrayRef<Value> operands, int results) {
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(results, sumType()));
  Value all = t.intrinsic(type, name, operands);
  Registers parts;
  for (int i = 0; i < results; ++i)
    parts.push_back(LLVM::ExtractValueOp::create(b, all, i));
  return parts;
}

MatrixUnit::Registers MatrixUnit::multiply(ArrayRef<Value> a, ArrayRef<Value> x, ArrayRef<Value> sums) {
  Registers c(sums);
  bool isUnsigned = type == ComputeType::Int8 && decoder.isUnsigned();
  if (type == ComputeType::Int8 && t.k.lowering.facts.device->capability < 80) {
    StringRef name = isUnsigned ? "llvm.nvvm.mma.m8n8k16.row.col.u8.s8" : "llvm.nvvm.mma.m8n8k16.row.col.s8";
    for (int half = 0; half < 2; ++half)
      for (int row = 0; row < 2; ++row) {
        Registers two = call(name, {a[2 * half + row], x[half], c[2 * row], c[2 * row + 1]}, 2);
        c[2 * row] = two[0], c[2 * row + 1] = two[1];
      }
    return c;
  }
  StringRef name = type == ComputeType::Bf16  ? "llvm.nvvm.mma.m16n8k16.row.col.bf16"
                   : type == ComputeType::Fp8 ? "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"
                   : isUnsigned               ? "llvm.nvvm.mma.m16n8k32.row.col.u8.s8"
                                              : "llvm.nvvm.mma.m16n8k32.row.col.s8";
  for (size_t i = 0; i * 4 < a.size(); ++i)
    c = call(name, {a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3], x[2 * i], x[2 * i + 1], c[0], c[1], c[2], c[3]},
             4);
  return c;
}
