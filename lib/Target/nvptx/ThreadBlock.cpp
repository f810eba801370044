#include "ThreadBlock.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace qcc;

static constexpr StringLiteral sharedMemory = "shared_memory";
static constexpr unsigned sharedSpace = 3;
static constexpr int64_t sharedAlignment = 1024; // of the widest pattern in which matrix units read it

ThreadBlock::ThreadBlock(Kernel &kernel, int64_t threads) : k(kernel), b(kernel.b), threads(threads) {
  i1 = b.getI1Type(), i8 = b.getI8Type(), i16 = b.getI16Type(), i32 = b.getI32Type(), i64 = b.getI64Type();
  f32 = b.getF32Type(), ptr = LLVM::LLVMPointerType::get(b.getContext());
  sharedPtr = LLVM::LLVMPointerType::get(b.getContext(), sharedSpace);
  Value number = NVVM::ThreadIdXOp::create(b, i32);
  auto wide = [&](Value value) -> Value { return arith::ExtUIOp::create(b, i64, value); };
  threadNumber = wide(number);
  laneNumber = wide(arith::AndIOp::create(b, number, integer(warpThreads - 1)));
  warpNumber = wide(arith::ShRUIOp::create(b, number, integer(5)));
  k.cooperate(threads, 0);
}

Value ThreadBlock::integer(int64_t value) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(int32_t(value))); }

Value ThreadBlock::intrinsic(Type type, StringRef name, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), arguments).getResult(0);
}

void ThreadBlock::barrier() { NVVM::Barrier0Op::create(b); }
void ThreadBlock::warpBarrier() { NVVM::SyncWarpOp::create(b, integer(-1)); }

SmallVector<Value> ThreadBlock::assembly(StringRef text, StringRef constraints, ValueRange operands,
                                         ArrayRef<Type> results) {
  Type type = results.empty()       ? Type(LLVM::LLVMVoidType::get(b.getContext()))
              : results.size() == 1 ? results.front()
                                    : LLVM::LLVMStructType::getLiteral(b.getContext(), results);
  auto op = LLVM::InlineAsmOp::create(b, type, operands, text, constraints, /*has_side_effects=*/true,
                                      /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(),
                                      ArrayAttr());
  SmallVector<Value> values;
  for (size_t i = 0; i < results.size(); ++i)
    values.push_back(results.size() == 1 ? op.getRes() : LLVM::ExtractValueOp::create(b, op.getRes(), int64_t(i)));
  return values;
}

Value ThreadBlock::shuffleXor(Value value, int mask) {
  Type type = value.getType();
  Value bits = type == i32 ? value : Value(arith::BitcastOp::create(b, i32, value));
  Value all = integer(-1),
        moved = NVVM::ShflOp::create(b, i32, all, bits, integer(mask), integer(31), NVVM::ShflKind::bfly, UnitAttr());
  return type == i32 ? moved : Value(arith::BitcastOp::create(b, type, moved));
}

Value ThreadBlock::sumOverLanes(Value value, int mask) {
  for (int bit = 16; bit > 0; bit /= 2)
    if (mask & bit) {
      Value other = shuffleXor(value, bit);
      value = isa<FloatType>(value.getType()) ? Value(arith::AddFOp::create(b, value, other))
                                              : Value(arith::AddIOp::create(b, value, other));
    }
  return value;
}

Value ThreadBlock::shared(int64_t bytes, int64_t alignment) {
  ModuleOp module = k.lowering.target;
  if (!module.lookupSymbol(sharedMemory)) {
    OpBuilder at = OpBuilder::atBlockBegin(module.getBody());
    LLVM::GlobalOp::create(at, b.getLoc(), LLVM::LLVMArrayType::get(i8, 0), /*isConstant=*/false,
                           LLVM::Linkage::External, sharedMemory, Attribute(), sharedAlignment, sharedSpace);
  }
  if (!sharedBase)
    sharedBase = LLVM::AddressOfOp::create(b, sharedPtr, sharedMemory);
  int64_t offset = llvm::alignTo(sharedBytes, alignment);
  sharedBytes = offset + bytes;
  k.cooperate(threads, sharedBytes);
  return at(sharedBase, offset);
}

void ThreadBlock::share(int64_t count, llvm::function_ref<void(Value)> body) {
  for (int64_t first = 0; first < count; first += threads) {
    Value i = k.add(threadNumber, k.constant(first));
    if (first + threads <= count)
      body(i);
    else
      k.when(k.less(i, k.constant(count)), [&] { body(i); });
  }
}

Value ThreadBlock::at(Value base, Value offset) {
  return LLVM::GEPOp::create(b, base.getType(), i8, base, ArrayRef<LLVM::GEPArg>{offset},
                             LLVM::GEPNoWrapFlags::inbounds);
}
Value ThreadBlock::at(Value base, int64_t offset) { return offset ? at(base, k.constant(offset)) : base; }
Value ThreadBlock::load(Type type, Value address, unsigned align) {
  return LLVM::LoadOp::create(b, type, address, align);
}
void ThreadBlock::store(Value value, Value address, unsigned align) { LLVM::StoreOp::create(b, value, address, align); }
Value ThreadBlock::fma(Value x, Value y, Value sum) { return math::FmaOp::create(b, x, y, sum); }
