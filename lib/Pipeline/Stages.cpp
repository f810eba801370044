// The states of a program, in order: the whole compiler on one page.
#include "PlaceWeights.h"
#include "QuantizeWeights.h"
#include "Signature.h"
#include "dialects/onnx/Onnx.h"
#include "dialects/qnt/Qnt.h"
#include "dialects/tile/Tile.h"
#include "qcc/Canonicalize/Canonicalize.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Import/Import.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Pipeline/Compilation.h"
#include "qcc/Pipeline/HostRun.h"
#include "qcc/Tile/ToLlvm.h"

using namespace mlir;
using namespace qcc;

static LogicalResult importStage(Compilation &c) {
  ImportOptions options;
  options.isKnown = [](StringRef domain, StringRef type, int64_t) {
    return OperatorRegistry::get().find(domain, type) != nullptr;
  };
  c.module = importModel(c.options.model, c.context, options);
  return success(bool(c.module));
}

static LogicalResult canonicalizeStage(Compilation &c) {
  if (failed(checkOperators(*c.module)) || failed(inferShapes(*c.module)))
    return failure();
  removeIdentities(*c.module);
  mergeEqual(*c.module);
  foldBatchNormalization(*c.module);
  multiplyCodes(*c.module);
  raiseActivation(*c.module);
  raiseNormalization(*c.module);
  raiseRotary(*c.module);
  raiseAttention(*c.module);
  raiseCodeConv(*c.module);
  raiseWinograd(*c.module);
  if (c.options.states && failed(recognizeStates(*c.module)))
    return failure();
  return foldConstants(c);
}

static LogicalResult checkCanonical(Compilation &c) { return checkTypes(*c.module); }

static LogicalResult quantizeStage(Compilation &c) {
  if (!c.options.quantizes)
    return success();
  raiseLinear(*c.module);
  return chooseFormats(c);
}

static LogicalResult packStage(Compilation &c) { return placeWeights(c); }

static LogicalResult tileStage(Compilation &c) {
  for (const std::string &name : c.options.targets) {
    auto facts = findTarget(name);
    if (!facts)
      return emitError(c.module->getLoc()) << llvm::toString(facts.takeError());
    TargetCode code{*facts, ModuleOp::create(c.module->getLoc(), facts->name), {}, {}};
    auto dims = Dimensions::load(*c.module);
    if (failed(dims))
      return failure();
    Lowering lowering(*c.module, *code.module, *dims, code.facts);
    if (failed(lowering.run()))
      return failure();
    dims->store(*code.module);
    code.nodes = lowering.nodeNames().vec();
    c.code.push_back(std::move(code));
  }
  return success();
}

static LogicalResult lowerStage(Compilation &c) {
  for (TargetCode &code : c.code) {
    auto dims = Dimensions::load(*code.module);
    if (failed(dims) || failed(convertProgram(*code.module, *dims, signatureOf(*c.module))) ||
        failed(lowerToLlvmDialect(*code.module, code.facts)))
      return failure();
  }
  return success();
}

static LogicalResult checkLowered(Compilation &c) {
  for (TargetCode &code : c.code) {
    WalkResult result = code.module->walk([](Operation *op) {
      if (isa<ModuleOp>(op) || isa<LLVM::LLVMDialect>(op->getDialect()))
        return WalkResult::advance();
      op->emitError("is left after lowering to LLVM");
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return failure();
  }
  return success();
}

static LogicalResult assembleStage(Compilation &c) {
  for (TargetCode &code : c.code)
    if (llvm::Error error = generateCode(*code.module, code.facts, CodeKind::SharedObject, code.object))
      return emitError(c.module->getLoc()) << code.facts.name << ": " << llvm::toString(std::move(error));
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
      {"quantized",
       "Every product with a constant matrix is a linear operation whose weight has a format and whose activations "
       "have a compute type.",
       quantizeStage, nullptr},
      {"packed", "Every weight has its bytes and its place in the artifact.", packStage, nullptr},
      {"tiled", "The program is launches of kernels over buffers, for each target.", tileStage, nullptr},
      {"lowered", "Only the llvm dialect remains.", lowerStage, checkLowered},
      {"artifact", "Code, weights and manifest.", assembleStage, nullptr},
  };
  return stages;
}

LogicalResult qcc::runStages(Compilation &compilation, StringRef from, StringRef to) {
  bool started = from.empty();
  for (const Stage &stage : allStages()) {
    if (started && (failed(stage.build(compilation)) || (stage.contract && failed(stage.contract(compilation)))))
      return failure();
    started |= stage.name == from;
    if (stage.name == to)
      return success();
  }
  return emitError(UnknownLoc::get(&compilation.context)) << "there is no state '" << to << "'";
}
