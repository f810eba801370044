// The states of a program, in order: the whole compiler on one page.
#include "ApplyRecipe.h"
#include "Calibrate.h"
#include "PlaceWeights.h"
#include "Provenance.h"
#include "QuantizeWeights.h"
#include "RunMethod.h"
#include "Signature.h"
#include "StateFiles.h"
#include "dialects/onnx/Onnx.h"
#include "dialects/qnt/Qnt.h"
#include "dialects/tile/Tile.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "qcc/Canonicalize/Canonicalize.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/CodeCache/CodeCache.h"
#include "qcc/Import/Import.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Pipeline/Compilation.h"
#include "qcc/Pipeline/HostRun.h"
#include "qcc/Target/Linear.h"
#include "qcc/Target/Ptxas.h"
#include "qcc/Tile/ToLlvm.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace qcc;

static LogicalResult importStage(Compilation &c) {
  ImportOptions options;
  options.isKnown = [](StringRef domain, StringRef type, int64_t) {
    return OperatorRegistry::get().find(domain, type) != nullptr;
  };
  options.filesRead = &c.filesRead;
  options.mappings = &c.mappings;
  c.module = importModel(c.options.model, c.context, options);
  if (!c.module)
    return failure();
  c.module.get()->setAttr(modelNameAttr, StringAttr::get(&c.context, llvm::sys::path::filename(c.options.model)));
  return recordFiles(c);
}

static LogicalResult canonicalizeStage(Compilation &c) {
  if (!c.options.lastLogits.empty() && failed(keepLastLogits(*c.module, c.options.lastLogits)))
    return failure();
  if (failed(checkOperators(*c.module)) || failed(inferShapes(*c.module)))
    return failure();
  if (!c.options.raises)
    return success();
  removeIdentities(*c.module);
  mergeEqual(*c.module);
  foldBatchNormalization(*c.module);
  if (c.options.exports)
    return foldConstants(c);
  multiplyCodes(*c.module);
  raiseActivation(*c.module);
  raiseNormalization(*c.module);
  raiseRotary(*c.module);
  moveTransposes(*c.module);
  if (failed(raiseAttention(*c.module)))
    return failure();
  raiseCodes(c);
  // Which convolutions stay in float32 is not known yet where some are to become products of codes.
  if (!c.options.quantizes || !asksForCalibration(c))
    raiseWinograd(*c.module);
  if (c.options.states && failed(recognizeStates(*c.module)))
    return failure();
  return foldConstants(c);
}

static LogicalResult checkCanonical(Compilation &c) { return checkTypes(*c.module); }

static LogicalResult calibrateStage(Compilation &c) {
  if (!c.options.quantizes)
    return success();
  raiseLinear(*c.module);
  if (!c.options.exports)
    raiseLookup(*c.module);
  return calibrate(c);
}

static LogicalResult quantizeStage(Compilation &c) {
  if (!c.options.quantizes)
    return success();
  return success(succeeded(chooseFormats(c)) && succeeded(runMethods(c)) && succeeded(applyStaticScales(c)) &&
                 succeeded(storeCaches(c)));
}

static LogicalResult packStage(Compilation &c) { return placeWeights(c); }

/// Declares the program in its target's module, so that the module says all that lowering it needs. Names of inputs and
/// outputs are left out: layers of equal shapes are one piece of code.
static void declareSignature(ModuleOp from, ModuleOp to) {
  auto main = from.lookupSymbol<func::FuncOp>("main");
  auto declaration = cast<func::FuncOp>(main->cloneWithoutRegions());
  declaration.setPrivate();
  for (unsigned i = 0; i < declaration.getNumArguments(); ++i)
    declaration.removeArgAttr(i, "onnx.name");
  for (unsigned i = 0; i < declaration.getNumResults(); ++i)
    declaration.removeResultAttr(i, StringAttr::get(declaration.getContext(), "onnx.name"));
  to.getBody()->push_front(declaration);
}

/// Reports the linear operations that a target would multiply in float32 in place of their compute type.
static LogicalResult checkNative(Compilation &c, const TargetFacts &facts) {
  bool isNativeAll = true;
  c.module->walk([&](qnt::LinearOp linear) {
    auto weight = linear.getWeight().getDefiningOp<qnt::WeightOp>();
    auto type = cast<RankedTensorType>(weight.getResult().getType());
    auto format = findFormat(weight.getFormat());
    if (!format)
      return llvm::consumeError(format.takeError());
    if (isNative(facts, linear.getAct(), PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1))))
      return;
    emitError(linear.getLoc()) << "--require-native: " << facts.name << " has no instruction for weights in '"
                               << format->name << "' and activations in " << linear.getAct()
                               << "; choose another --act or --fmt";
    isNativeAll = false;
  });
  return success(isNativeAll);
}

static LogicalResult tileStage(Compilation &c) {
  std::vector<std::string> names;
  for (const std::string &name : c.options.targets)
    llvm::append_range(names, expandTarget(name));
  for (const std::string &name : names) {
    auto facts = findTarget(name);
    if (!facts)
      return emitError(c.module->getLoc()) << llvm::toString(facts.takeError());
    TargetCode code;
    code.facts = *facts, code.module = ModuleOp::create(c.module->getLoc(), facts->name);
    if (c.options.requiresNative && failed(checkNative(c, *facts)))
      return failure();
    if (facts->device)
      code.module.get()->setAttr(deviceAttr, UnitAttr::get(&c.context));
    auto dims = Dimensions::load(*c.module);
    if (failed(dims))
      return failure();
    Lowering lowering(*c.module, *code.module, *dims, code.facts);
    if (!c.code.empty()) // all targets number the nodes alike
      lowering.setNodeNames(c.code.back().nodes);
    if (failed(lowering.run()))
      return failure();
    dims->store(*code.module);
    declareSignature(*c.module, *code.module);
    code.nodes = lowering.nodeNames().vec();
    c.code.push_back(std::move(code));
  }
  return success();
}

/// Takes code that was generated before; false where there is none.
static bool takeKnownCode(CodeCache &cache, TargetCode &code) {
  Location loc = code.module->getLoc();
  code.cacheKey = CodeCache::keyOf(*code.module, code.facts);
  const GeneratedCode *known = cache.find(code.cacheKey, loc);
  if (!known)
    return false;
  code.object = known->object, code.deviceCode = known->deviceCode;
  // Of the program, what a plan reads is left.
  OwningOpRef<ModuleOp> left = ModuleOp::create(loc, code.facts.name);
  left.get()->setDiscardableAttrs(code.module.get()->getDiscardableAttrDictionary());
  if (!known->slots.empty())
    left.get()->setAttr(slotsAttr, parseAttribute(known->slots, code.module.get()->getContext()));
  code.module = std::move(left);
  return true;
}

static void keepCode(CodeCache &cache, TargetCode &code) {
  GeneratedCode generated{code.object, code.deviceCode, ""};
  if (Attribute slots = code.module.get()->getAttr(slotsAttr))
    llvm::raw_string_ostream(generated.slots) << slots;
  cache.add(code.cacheKey, std::move(generated), code.module->getLoc());
}

static LogicalResult lowerStage(Compilation &c) {
  if (!c.codeCache && !c.options.codeCache.empty()) {
    c.ownCodeCache = std::make_shared<CodeCache>(c.options.codeCache);
    c.codeCache = c.ownCodeCache.get();
  }
  for (TargetCode &code : c.code) {
    if (c.codeCache && takeKnownCode(*c.codeCache, code))
      continue;
    auto dims = Dimensions::load(*code.module);
    auto border = code.module->lookupSymbol<func::FuncOp>("main");
    if (failed(dims) || !border)
      return code.module->emitError("has no declaration of @main, which tells the program's inputs and outputs");
    ProgramSignature signature = signatureOf(*code.module);
    border.erase();
    if (failed(convertProgram(*code.module, *dims, signature)) || failed(lowerToLlvmDialect(*code.module, code.facts)))
      return failure();
  }
  return success();
}

static LogicalResult checkLowered(Compilation &c) {
  for (TargetCode &code : c.code) {
    WalkResult result = code.module->walk([](Operation *op) {
      if (isa<ModuleOp>(op) || isa<LLVM::LLVMDialect, NVVM::NVVMDialect>(op->getDialect()))
        return WalkResult::advance();
      op->emitError("is left after lowering to LLVM");
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return failure();
  }
  return success();
}

/// PTX to compiled code where there is an assembler. One that was not named and is too old is passed over, and said so.
static llvm::Error compileKernels(Compilation &c, TargetCode &code) {
  auto ptxas = findPtxas(c.options.ptxas);
  if (!ptxas)
    return ptxas.takeError();
  if (ptxas->empty())
    return llvm::Error::success();
  auto lacks = lacksPtx(*ptxas, *code.facts.device);
  if (!lacks)
    return lacks.takeError();
  if (lacks->empty())
    return assemblePtx(*ptxas, *code.facts.device, code.deviceCode, code.cubin);
  if (c.options.ptxas != "auto")
    return llvm::createStringError(*lacks);
  emitWarning(UnknownLoc::get(&c.context)) << *lacks << "; the kernels of " << code.facts.name << " are left as PTX";
  return llvm::Error::success();
}

static LogicalResult assembleStage(Compilation &c) {
  for (TargetCode &code : c.code) {
    bool isKnown = !code.object.empty();
    llvm::Error error = llvm::Error::success();
    if (!isKnown)
      error = generateCode(*code.module, code.facts, CodeKind::SharedObject, code.object);
    if (!error && !isKnown && code.facts.device)
      error = generateDeviceCode(deviceModule(*code.module), *code.facts.device, CodeKind::Assembly, code.deviceCode);
    if (!error && code.facts.device)
      error = compileKernels(c, code);
    if (error)
      return emitError(c.module->getLoc()) << code.facts.name << ": " << llvm::toString(std::move(error));
    if (c.codeCache && !isKnown)
      keepCode(*c.codeCache, code);
  }
  return fillManifest(c);
}

ArrayRef<Stage> qcc::allStages() {
  static const std::vector<Stage> stages = {
      {"imported",
       "The graph as it stands in the file; every operation carries its node's name, weights are resources over the "
       "mapped file.",
       importStage, nullptr},
      {"canonical",
       "Every value has a rank and an element type, dimensions are constants or symbolic, computations on shapes have "
       "vanished.",
       canonicalizeStage, checkCanonical},
      {"calibrated",
       "Every product with a constant matrix is a linear operation; values that static scales are made of carry their "
       "ranges on data.",
       calibrateStage, nullptr},
      {"quantized",
       "Every linear operation's weight has a format and its activations have a compute type; convolutions in int8 "
       "read "
       "codes.",
       quantizeStage, nullptr},
      {"packed", "Every weight has its bytes and its place in the artifact.", packStage, nullptr},
      {"tiled", "The program is launches of kernels over buffers, for each target.", tileStage, nullptr},
      {"lowered", "Only the llvm dialect remains.", lowerStage, checkLowered},
      {"artifact", "Code, weights and manifest.", assembleStage, nullptr},
  };
  return stages;
}

static void markState(Compilation &c, StringRef state) {
  auto name = StringAttr::get(&c.context, state);
  if (c.code.empty())
    c.module.get()->setAttr(stateNameAttr, name);
  for (TargetCode &code : c.code)
    code.module.get()->setAttr(stateNameAttr, name);
}

LogicalResult qcc::runStages(Compilation &compilation, StringRef from, StringRef to) {
  bool started = from.empty();
  const CompileOptions &options = compilation.options;
  for (const Stage &stage : allStages()) {
    bool isFirst = stage.name == from;
    if (started && failed(stage.build(compilation)))
      return failure();
    started |= isFirst;
    if (started && stage.contract && failed(stage.contract(compilation)))
      return failure();
    if (started && !isFirst) {
      markState(compilation, stage.name);
      if ((!options.dumpStatesTo.empty() && failed(dumpState(compilation, stage))) ||
          (!options.dumpKernelsTo.empty() && failed(dumpKernels(compilation, stage))))
        return failure();
    }
    if (stage.name == to)
      return success();
  }
  return emitError(UnknownLoc::get(&compilation.context)) << "there is no state '" << to << "'";
}
