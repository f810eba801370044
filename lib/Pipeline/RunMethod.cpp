#include "RunMethod.h"
#include "HostedProgram.h"
#include "qcc/Calibration/Methods.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/TargetParser/Host.h"
#include <chrono>

using namespace mlir;
using namespace qcc;

namespace {
/// A line on the terminal that says how far things are.
class Progress {
public:
  Progress() : isShown(llvm::sys::Process::StandardErrIsDisplayed()) {}
  ~Progress() {
    if (isShown && wasShown)
      llvm::errs() << "\n";
  }
  void operator()(const MethodProgress &progress) {
    if (!isShown)
      return;
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    llvm::errs() << llvm::format("\rqcc: %zu of %zu groups of weights", progress.done, progress.all);
    if (progress.fromCache)
      llvm::errs() << llvm::format(" (%zu known)", progress.fromCache);
    if (progress.weightsDone > 0)
      llvm::errs() << llvm::format(", %.0f s left   ",
                                   seconds / progress.weightsDone * (progress.weightsAll - progress.weightsDone));
    wasShown = true;
  }

private:
  bool isShown, wasShown = false;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};
} // namespace

/// What another compiler or another processor may do in another way: this program's file, and the processor.
static std::string ownHash() {
  ContentHash hash;
  static int anchor;
  auto file = llvm::MemoryBuffer::getFile(llvm::sys::fs::getMainExecutable(nullptr, &anchor));
  hash.add(file ? (*file)->getBuffer() : StringRef(QCC_VERSION));
  hash.add(llvm::sys::getHostCPUName());
  return hash.result();
}

LogicalResult qcc::runMethods(Compilation &c) {
  Location loc = UnknownLoc::get(&c.context);
  if (c.options.plansOnly)
    return success();
  Samples samples;
  if (auto method = methodThatNeedsData(*c.module)) {
    if (c.options.calibration.empty())
      return emitError(loc) << "the method " << method->name() << " needs data: give --calib=FILE";
    if (failed(readSamples(c, samples)))
      return failure();
  }
  std::optional<GroupCache> known;
  if (!c.options.calibrationCache.empty()) {
    auto opened = GroupCache::open(c.options.calibrationCache, ownHash());
    if (!opened)
      return emitError(loc) << llvm::toString(opened.takeError());
    known = std::move(*opened);
  }
  // Layers of equal shapes are one piece of code.
  CodeCache cache;
  auto open = [&](OwningOpRef<ModuleOp> module) { return openModule(c, cache, std::move(module)); };
  Progress progress;
  auto qualities = applyMethods(*c.module, &samples, open, known ? &*known : nullptr, [&](const MethodProgress &done) {
    progress(done);
    c.releaseMemory();
  });
  if (failed(qualities))
    return failure();
  for (const WeightQuality &quality : *qualities)
    c.quality[quality.weight] = quality.signalToNoise;
  if (size_t left = foldInputScales(*c.module).size())
    emitRemark(loc) << left
                    << " inputs of linear operations are scaled when the program runs: what makes them is no "
                       "normalization of their own";
  return success();
}
