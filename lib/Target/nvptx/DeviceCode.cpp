// The kernels of a device program to PTX.
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "qcc/Target/Codegen.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace qcc;

static constexpr llvm::StringLiteral deviceTriple = "nvptx64-nvidia-cuda";

/// Whether LLVM has no code for an intrinsic function, which its back end says by ending the process.
static bool lacksCode(const llvm::Function &function) {
  bool isSingle = function.getReturnType()->getScalarType()->isFloatTy();
  switch (function.getIntrinsicID()) {
  case llvm::Intrinsic::exp:
  case llvm::Intrinsic::exp10:
  case llvm::Intrinsic::log:
  case llvm::Intrinsic::log10:
  case llvm::Intrinsic::pow:
  case llvm::Intrinsic::powi:
  case llvm::Intrinsic::tan:
  case llvm::Intrinsic::asin:
  case llvm::Intrinsic::acos:
  case llvm::Intrinsic::atan:
  case llvm::Intrinsic::atan2:
  case llvm::Intrinsic::sinh:
  case llvm::Intrinsic::cosh:
  case llvm::Intrinsic::tanh:
    return true;
  case llvm::Intrinsic::exp2:
  case llvm::Intrinsic::log2:
  case llvm::Intrinsic::sin:
  case llvm::Intrinsic::cos:
    return !isSingle;
  default:
    return false;
  }
}

/// The functions that kernels call and nothing defines, each behind the node whose kernel does.
static std::vector<std::string> missingFunctions(const llvm::Module &code, ModuleOp device) {
  std::vector<std::string> missing;
  auto callerOf = [&](llvm::StringRef kernel) {
    Operation *function = device.lookupSymbol(kernel);
    auto node = function ? dyn_cast<NameLoc>(function->getLoc()) : NameLoc();
    return node ? "node '" + node.getName().str() + "': " : kernel.str() + ": ";
  };
  for (const llvm::Function &function : code)
    if (function.isDeclaration() && !function.use_empty() && (function.isIntrinsic() ? lacksCode(function) : true)) {
      auto *call = dyn_cast<llvm::Instruction>(*function.user_begin());
      missing.push_back((call ? callerOf(call->getFunction()->getName()) : "") + function.getName().str());
    }
  return missing;
}

llvm::Error qcc::generateDeviceCode(ModuleOp device, const DeviceFacts &facts, CodeKind kind,
                                    SmallVectorImpl<char> &out) {
  llvm::LLVMContext context;
  auto code = translateModuleToLLVMIR(device, context, "qcc-kernels");
  if (!code)
    return llvm::createStringError("translation to LLVM IR failed");
  if (std::vector<std::string> missing = missingFunctions(*code, device); !missing.empty())
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
