// How long linear operations take for one token, by format.
#pragma once

#include "../ApplyRecipe.h"
#include "../HostedProgram.h"
#include <map>

namespace qcc {

/// Measured where the program is for this machine: each distinct kernel is compiled and timed once, its weights out of
/// the caches where the program's are too many for them. For another target it is estimated, from the bytes of the
/// weight and what such a machine reads in a second.
class LinearTimes {
public:
  LinearTimes(Compilation &compilation, llvm::ArrayRef<LinearChoice> choices);

  bool isMeasured() const { return measures; }
  mlir::FailureOr<int64_t> nanosecondsOf(const LinearChoice &choice, const Format &format);

private:
  mlir::FailureOr<double> measure(const LinearChoice &choice, const Format &format, llvm::StringRef act);
  mlir::FailureOr<double> timeOf(mlir::OwningOpRef<mlir::ModuleOp> module, int64_t columns);
  void readOthers();

  Compilation &c;
  bool measures;
  double bytesPerNanosecond = 0;                 // where times are estimated
  std::vector<char> others;                      // what is read between runs, so that the caches hold nothing else
  double empty = -1;                             // a run of next to nothing
  std::optional<std::optional<GroupCache>> kept; // opened when it is needed first
  std::map<std::string, int64_t> known;
  CodeCache cache;
};

} // namespace qcc
