// Rules for make and ninja that name every file an output is made of.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Every file that a compilation has read for its output, without repetition.
std::vector<std::string> filesOf(const Compilation &compilation);

/// The rule `output: files...`, in make's syntax.
std::string dependencyRule(llvm::StringRef output, llvm::ArrayRef<std::string> files);

} // namespace qcc
