#include "qcc/Target/Codegen.h"
#include "MathExpansion.h"
#include "lld/Common/Driver.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"
#include "qcc/Tile/ToLlvm.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Pass.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace qcc;

void qcc::initializeCodegen(MLIRContext &context) {
  static bool targets = [] {
    LLVMInitializeX86TargetInfo(), LLVMInitializeX86Target(), LLVMInitializeX86TargetMC(),
        LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo(), LLVMInitializeAArch64Target(), LLVMInitializeAArch64TargetMC(),
        LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeNVPTXTargetInfo(), LLVMInitializeNVPTXTarget(), LLVMInitializeNVPTXTargetMC(),
        LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)targets;
  DialectRegistry registry; // only what kernels use: loading every dialect costs tens of milliseconds
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                  NVVM::NVVMDialect, scf::SCFDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}

namespace {
/// Replaces f32 math functions by polynomials, which vectorize; what has none is left to libm.
struct ApproximateMath : PassWrapper<ApproximateMath, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ApproximateMath)
  explicit ApproximateMath(bool isDevice = false) : isDevice(isDevice) {}
  StringRef getArgument() const final { return "approximate-math"; }
  StringRef getDescription() const final { return "Expand f32 math functions into polynomials"; }
  void runOnOperation() final {
    RewritePatternSet patterns(&getContext());
    populateMathExpansionPatterns(patterns);
    populateMathPolynomialApproximationPatterns(patterns);
    if (isDevice)
      populateDeviceMathPatterns(patterns);
    // Regions are left as they are: LLVM looks after them.
    auto config = GreedyRewriteConfig().setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
  bool isDevice;
};
} // namespace

/// Splits fused multiply-adds for a target without them: LLVM would call libm's fmaf for each.
template <typename Op, typename Mul, typename Add> static void splitFma(ModuleOp module) {
  module.walk([](Op op) {
    OpBuilder b(op);
    Value product = Mul::create(b, op.getLoc(), op->getOperand(0), op->getOperand(1));
    Value sum = Add::create(b, op.getLoc(), product, op->getOperand(2));
    op->getResult(0).replaceAllUsesWith(sum);
    op.erase();
  });
}

ModuleOp qcc::deviceModule(ModuleOp host) { return host.lookupSymbol<ModuleOp>(deviceModuleName); }

/// The verifier runs once, on what all passes together have made; in a build with assertions, after each.
static void verifyAtTheEnd(PassManager &pm) {
#ifdef NDEBUG
  pm.enableVerifier(false);
#else
  (void)pm;
#endif
}

LogicalResult qcc::lowerToLlvmDialect(ModuleOp module, const TargetFacts &target) {
  if (ModuleOp device = deviceModule(module)) {
    TargetFacts kernels;
    kernels.triple = "nvptx64-nvidia-cuda";
    if (failed(lowerToLlvmDialect(device, kernels)))
      return failure();
  }
  PassManager approximate(module.getContext());
  verifyAtTheEnd(approximate);
  approximate.addPass(std::make_unique<ApproximateMath>(llvm::Triple(target.triple).isNVPTX()));
  if (failed(approximate.run(module)))
    return failure();
  if (llvm::Triple(target.triple).isX86() && !target.has("fma")) {
    splitFma<math::FmaOp, arith::MulFOp, arith::AddFOp>(module);
    splitFma<vector::FMAOp, arith::MulFOp, arith::AddFOp>(module);
  }
  PassManager pm(module.getContext());
  verifyAtTheEnd(pm);
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(arith::createArithExpandOpsPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  return failure(failed(pm.run(module)) || failed(mlir::verify(module)));
}

namespace {
/// LLVM 22's pass that shortens EVEX encodings also folds a move from a mask register into the instruction that makes
/// the mask, and loses the mask when an instruction that overwrites it reads it first (llvm/llvm-project#198220). All
/// that goes without the pass are some bytes of code.
struct CodegenPasses : llvm::legacy::PassManager {
  void add(llvm::Pass *pass) override {
    if (pass->getPassName().starts_with("Compressing EVEX"))
      delete pass;
    else
      llvm::legacy::PassManager::add(pass);
  }
};
} // namespace

/// Links one object into a shared object that exports the program's descriptor. libm's functions stay undefined: the
/// runtime brings them.
static llvm::Error link(ArrayRef<char> object, const TargetFacts &target, SmallVectorImpl<char> &out) {
  SmallString<128> input, output;
  int fd;
  if (auto error = llvm::sys::fs::createTemporaryFile("qcc", "o", fd, input))
    return llvm::createStringError("cannot make a temporary file: " + error.message());
  llvm::FileRemover removeInput(input);
  {
    llvm::raw_fd_ostream os(fd, /*shouldClose=*/true);
    os.write(object.data(), object.size());
  }
  if (auto error = llvm::sys::fs::createTemporaryFile("qcc", "so", output))
    return llvm::createStringError("cannot make a temporary file: " + error.message());
  llvm::FileRemover removeOutput(output);
  bool arm = llvm::Triple(target.triple).isAArch64();
  std::vector<const char *> arguments = {"ld.lld",
                                         "-m",
                                         arm ? "aarch64linux" : "elf_x86_64",
                                         "-shared",
                                         "-soname=qcc-program",
                                         "--gc-sections",
                                         "--build-id=none",
                                         "--threads=1",
                                         "-z",
                                         "noexecstack",
                                         "-z",
                                         "now",
                                         "-o",
                                         output.c_str(),
                                         input.c_str()};
  std::string messages;
  llvm::raw_string_ostream os(messages);
  lld::Result result = lld::lldMain(arguments, os, os, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return llvm::createStringError("linking failed: " + messages);
  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError("cannot read the linked code: " + buffer.getError().message());
  out.assign((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
  return llvm::Error::success();
}

llvm::Error qcc::generateCode(ModuleOp module, const TargetFacts &facts, CodeKind kind, SmallVectorImpl<char> &out) {
  llvm::LLVMContext llvmContext;
  auto code = translateModuleToLLVMIR(module, llvmContext, "qcc-program");
  if (!code)
    return llvm::createStringError("translation to LLVM IR failed");
  llvm::Triple triple(facts.triple);
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return llvm::createStringError("this build of LLVM cannot generate code for " + facts.triple + ": " + error);
  std::string features;
  for (const std::string &feature : facts.features)
    features += (features.empty() ? "+" : ",+") + feature;
  bool wide = facts.has("avx512f");
  if (wide)
    features += ",+evex512,-prefer-256-bit";
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, facts.cpu, features, llvm::TargetOptions(), llvm::Reloc::PIC_, std::nullopt,
                                  llvm::CodeGenOptLevel::Aggressive));
  code->setTargetTriple(triple);
  code->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *code)
    if (!function.isDeclaration()) {
      if (!function.hasFnAttribute("target-cpu"))
        function.addFnAttr("target-cpu", facts.cpu);
      if (!function.hasFnAttribute("target-features"))
        function.addFnAttr("target-features", features);
      if (wide)
        function.addFnAttr("prefer-vector-width", "512");
      // Kernels are called from many places, and what calls them is long, straight and soon done: optimizing it would
      // take most of the compile time.
      function.addFnAttr(llvm::Attribute::NoInline);
      if (!function.getName().starts_with("kernel_"))
        function.addFnAttr(llvm::Attribute::OptimizeNone);
    }
  if (auto failure = makeOptimizingTransformer(3, 0, machine.get())(code.get()))
    return failure;
  llvm::raw_svector_ostream os(out);
  if (kind == CodeKind::LlvmIr) {
    code->print(os, nullptr);
    return llvm::Error::success();
  }
  SmallVector<char, 0> object;
  llvm::raw_svector_ostream objectStream(object);
  CodegenPasses codegen;
  auto type = kind == CodeKind::Assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile;
  if (machine->addPassesToEmitFile(codegen, objectStream, nullptr, type))
    return llvm::createStringError("LLVM cannot write this kind of file for " + facts.triple);
  codegen.run(*code);
  if (kind == CodeKind::SharedObject)
    return link(object, facts, out);
  out.append(object.begin(), object.end());
  return llvm::Error::success();
}
