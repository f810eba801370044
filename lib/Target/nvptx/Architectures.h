// GPU architectures by their names.
#pragma once

#include "qcc/Target/Codegen.h"

namespace qcc {

std::vector<TargetRow> allArchitectures();
std::optional<DeviceFacts> findArchitecture(llvm::StringRef name);

} // namespace qcc
