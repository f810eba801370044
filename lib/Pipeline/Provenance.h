// Which files a program was made of.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

/// Puts the names and hashes of the files that were read into the module: the model's first.
mlir::LogicalResult recordFiles(Compilation &compilation);

/// Takes them into the manifest.
void describeProvenance(mlir::ModuleOp module, Manifest &manifest);

} // namespace qcc
