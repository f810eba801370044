#include "HostFunction.h"

using namespace mlir;
using namespace qcc;

HostFunction::HostFunction(Location loc) : b(loc, loc.getContext()) {
  i64 = b.getI64Type(), f64 = b.getF64Type(), ptr = LLVM::LLVMPointerType::get(b.getContext());
}

Value HostFunction::c(int64_t value) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(value)); }

Value HostFunction::at(Value base, int64_t bytes) {
  return LLVM::GEPOp::create(b, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{int32_t(bytes)},
                             LLVM::GEPNoWrapFlags::inbounds);
}

Value HostFunction::at(Value base, Value bytes) {
  return LLVM::GEPOp::create(b, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{bytes},
                             LLVM::GEPNoWrapFlags::inbounds);
}

Value HostFunction::load(Type type, Value address) { return LLVM::LoadOp::create(b, type, address, 8); }
void HostFunction::store(Value value, Value address) { LLVM::StoreOp::create(b, value, address, 8); }
Value HostFunction::is(arith::CmpIPredicate predicate, Value x, Value y) {
  return arith::CmpIOp::create(b, predicate, x, y);
}
Value HostFunction::pick(Value condition, Value x, Value y) { return arith::SelectOp::create(b, condition, x, y); }

void HostFunction::when(Value condition, llvm::function_ref<void()> body) {
  auto op = scf::IfOp::create(b, condition, false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  body();
}

LLVM::LLVMFuncOp HostFunction::begin(ModuleOp module, StringRef name, Type result, ArrayRef<Type> arguments) {
  b.setInsertionPointToEnd(module.getBody());
  auto fn = LLVM::LLVMFuncOp::create(b, name, LLVM::LLVMFunctionType::get(result, arguments), LLVM::Linkage::Internal);
  b.setInsertionPointToStart(fn.addEntryBlock(b));
  return fn;
}

Value HostFunction::callThrough(Value frame, size_t field, Type result, ArrayRef<Value> arguments) {
  Value target = load(ptr, at(frame, int64_t(field)));
  SmallVector<Value> operands = {target};
  operands.append(arguments.begin(), arguments.end());
  SmallVector<Type> types;
  for (Value argument : arguments)
    types.push_back(argument.getType());
  auto call = LLVM::CallOp::create(b, LLVM::LLVMFunctionType::get(result, types), operands);
  return isa<LLVM::LLVMVoidType>(result) ? Value() : call.getResult();
}
