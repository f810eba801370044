#include "RunMethod.h"
#include "HostedProgram.h"
#include "qcc/Calibration/Methods.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
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
  void operator()(size_t done, size_t all) {
    if (!isShown)
      return;
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    llvm::errs() << llvm::format("\rqcc: %zu of %zu groups of weights, %.0f s left   ", done, all,
                                 seconds / double(done) * double(all - done));
    wasShown = true;
  }

private:
  bool isShown, wasShown = false;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};
} // namespace

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
  // Layers of equal shapes are one piece of code.
  CodeCache cache;
  auto open = [&](OwningOpRef<ModuleOp> module) { return openModule(c, cache, std::move(module)); };
  Progress progress;
  auto qualities = applyMethods(*c.module, &samples, open, [&](size_t done, size_t all) { progress(done, all); });
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
