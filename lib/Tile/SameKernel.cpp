#include "SameKernel.h"
#include "mlir/IR/OperationSupport.h"

using namespace mlir;

llvm::hash_code qcc::hashOf(LLVM::LLVMFuncOp kernel) {
  llvm::DenseMap<Value, unsigned> numbers;
  auto number = [&](Value value) { return numbers.try_emplace(value, numbers.size()).first->second; };
  llvm::hash_code hash = hash_value(kernel.getFunctionType());
  for (Value argument : kernel.getBody().getArguments())
    number(argument);
  kernel.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    hash =
        llvm::hash_combine(hash, op->getName(), op->getRawDictionaryAttrs(), op->hashProperties(), op->getNumRegions());
    for (Value operand : op->getOperands())
      hash = llvm::hash_combine(hash, number(operand));
    for (Value result : op->getResults())
      hash = llvm::hash_combine(hash, number(result), result.getType());
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Value argument : block.getArguments())
          number(argument);
  });
  return hash;
}

bool qcc::isSameKernel(LLVM::LLVMFuncOp a, LLVM::LLVMFuncOp b) {
  return a.getFunctionType() == b.getFunctionType() && a.getArgAttrsAttr() == b.getArgAttrsAttr() &&
         a->getDiscardableAttrDictionary() == b->getDiscardableAttrDictionary() &&
         OperationEquivalence::isRegionEquivalentTo(&a.getBody(), &b.getBody(),
                                                    OperationEquivalence::Flags::IgnoreLocations);
}
