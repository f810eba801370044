#include "RunMethod.h"
#include "HostedProgram.h"
#include "ProgressLine.h"
#include "qcc/Target/Linear.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace qcc;

LogicalResult qcc::openCache(Compilation &c, std::optional<GroupCache> &cache) {
  if (c.options.calibrationCache.empty())
    return success();
  // Another compiler or another processor may do it in another way.
  auto opened =
      GroupCache::open(c.options.calibrationCache, compilerIdentity() + " " + llvm::sys::getHostCPUName().str());
  if (!opened)
    return emitError(UnknownLoc::get(&c.context)) << llvm::toString(opened.takeError());
  cache = std::move(*opened);
  return success();
}

FailureOr<std::vector<WeightQuality>> qcc::runMethodsOn(Compilation &c, ModuleOp module) {
  Location loc = UnknownLoc::get(&c.context);
  Samples samples;
  if (auto method = methodThatNeedsData(module)) {
    if (c.options.calibration.empty())
      return emitError(loc) << "the method " << method->name() << " needs data: give --calib=FILE";
    if (failed(readSamples(c, samples)))
      return failure();
  }
  std::optional<GroupCache> known;
  if (failed(openCache(c, known)))
    return failure();
  // Layers of equal shapes are one piece of code.
  CodeCache cache(c.options.codeCache);
  auto open = [&](OwningOpRef<ModuleOp> module) { return openModule(c, cache, std::move(module)); };
  ProgressLine line;
  auto progress = [&](const MethodProgress &done) {
    std::string text = llvm::formatv("{0} of {1} groups of weights, {2} known", done.done, done.all, done.fromCache);
    line.show(text, done.weightsAll > 0 ? done.weightsDone / done.weightsAll : 0);
    c.releaseMemory();
  };
  return applyMethods(module, &samples, open, known ? &*known : nullptr, activationFormat, progress);
}

LogicalResult qcc::runMethods(Compilation &c) {
  if (c.options.plansOnly)
    return success();
  auto qualities = runMethodsOn(c, *c.module);
  if (failed(qualities))
    return failure();
  for (const WeightQuality &quality : *qualities)
    c.quality[quality.weight] = quality.signalToNoise;
  if (size_t left = foldInputScales(*c.module).size())
    emitRemark(UnknownLoc::get(&c.context))
        << left
        << " inputs of linear operations are scaled when the program runs: what makes them is no "
           "normalization of their own";
  return success();
}
