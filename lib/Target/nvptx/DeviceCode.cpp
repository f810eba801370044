// The kernels of a device program to PTX.
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "qcc/Target/Codegen.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace qcc;

static constexpr llvm::StringLiteral deviceTriple = "nvptx64-nvidia-cuda";

/// The functions that code calls and nothing defines.
static std::vector<std::string> missingFunctions(const llvm::Module &code) {
  std::vector<std::string> missing;
  for (const llvm::Function &function : code)
    if (function.isDeclaration() && !function.isIntrinsic() && !function.use_empty())
      missing.push_back(function.getName().str());
  return missing;
}

llvm::Error qcc::generateDeviceCode(ModuleOp device, const DeviceFacts &facts, CodeKind kind,
                                    SmallVectorImpl<char> &out) {
  llvm::LLVMContext context;
  auto code = translateModuleToLLVMIR(device, context, "qcc-kernels");
  if (!code)
    return llvm::createStringError("translation to LLVM IR failed");
  if (std::vector<std::string> missing = missingFunctions(*code); !missing.empty())
    return llvm::createStringError("kernels call what GPUs have no code for: " + llvm::join(missing, ", "));
  llvm::Triple triple(deviceTriple);
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return llvm::createStringError("this build of LLVM cannot generate PTX: " + error);
  std::string features = "+ptx" + std::to_string(facts.ptx);
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, facts.architecture, features, llvm::TargetOptions(), llvm::Reloc::PIC_,
                                  std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  code->setTargetTriple(triple);
  code->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *code)
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", facts.architecture);
      function.addFnAttr("target-features", features);
    }
  if (auto failure = makeOptimizingTransformer(3, 0, machine.get())(code.get()))
    return failure;
  llvm::raw_svector_ostream os(out);
  if (kind == CodeKind::LlvmIr) {
    code->print(os, nullptr);
    return llvm::Error::success();
  }
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, os, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("LLVM cannot write PTX");
  codegen.run(*code);
  return llvm::Error::success();
}
