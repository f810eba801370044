#include "HostFunction.h"
#include "qcc/Runtime/Abi.h"

using namespace mlir;
using namespace qcc;

LogicalResult qcc::convertProgram(ModuleOp module, const Dimensions &dims, const ProgramSignature &signature) {
  auto source = module.lookupSymbol<func::FuncOp>("run");
  SmallVector<SmallVector<Dim>> slots = planMemory(source);
  SmallVector<Attribute> sizes;
  for (ArrayRef<Dim> slot : slots)
    sizes.push_back(AffineMapAttr::get(dims.map(slot)));
  module->setAttr(slotsAttr, ArrayAttr::get(module.getContext(), sizes));
  TableLayout table(signature.states.size(), dims.symbols().size(), slots.size());
  if (table.length > QCC_MAX_TABLE_LENGTH)
    return emitError(module.getLoc()) << "the program has " << table.length << " sizes to keep, more than "
                                      << QCC_MAX_TABLE_LENGTH;
  if (module->hasAttr(deviceAttr))
    writeDeviceRun(module, table, source);
  else
    writeThreadedRun(module, table, source);
  if (failed(writePlan(module, dims, signature, table, slots)))
    return failure();

  HostFunction code(module.getLoc());
  auto &b = code.b;
  b.setInsertionPointToEnd(module.getBody());
  SmallVector<Type> fields(5, code.i64);
  fields.append(2, code.ptr);
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), fields);
  auto descriptor =
      LLVM::GlobalOp::create(b, type, /*isConstant=*/true, LLVM::Linkage::External, QCC_PROGRAM_SYMBOL, Attribute(), 8);
  b.createBlock(&descriptor.getInitializerRegion());
  Value value = LLVM::UndefOp::create(b, type);
  int64_t numbers[] = {QCC_ABI_VERSION, table.length, int64_t(signature.inputs.size()), int64_t(signature.outputs),
                       int64_t(signature.states.size())};
  for (auto [i, number] : llvm::enumerate(numbers))
    value = LLVM::InsertValueOp::create(b, value, LLVM::ConstantOp::create(b, code.i64, b.getI64IntegerAttr(number)),
                                        int64_t(i));
  StringRef functions[] = {"plan", "run_program"};
  for (auto [i, name] : llvm::enumerate(functions))
    value = LLVM::InsertValueOp::create(b, value, LLVM::AddressOfOp::create(b, code.ptr, name), int64_t(5 + i));
  LLVM::ReturnOp::create(b, value);
  return success();
}
