// A line on the terminal that says how far things are.
#pragma once

#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>

namespace qcc {

/// Shown where standard error is a terminal.
class ProgressLine {
public:
  ~ProgressLine() {
    if (wasShown)
      llvm::errs() << "\n";
  }

  /// `share` of the work is done, known results left out; time is told where some is.
  void show(const llvm::Twine &what, double share) {
    if (!llvm::sys::Process::StandardErrIsDisplayed())
      return;
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    llvm::errs() << "\rqcc: " << what;
    if (share > 0)
      llvm::errs() << llvm::format(", %.0f s left   ", seconds * (1 / share - 1));
    wasShown = true;
  }

private:
  bool wasShown = false;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

} // namespace qcc
