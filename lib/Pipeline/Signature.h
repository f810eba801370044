// The program's border: inputs, outputs and states, for the plan and the manifest.
#pragma once

#include "qcc/Artifact/DataType.h"
#include "qcc/Pipeline/Compilation.h"
#include "qcc/Tile/ToLlvm.h"

namespace qcc {

DataType dataType(mlir::Type element);

ProgramSignature signatureOf(mlir::ModuleOp module);

/// Fills inputs, outputs and states.
mlir::LogicalResult describeBorder(mlir::ModuleOp module, Manifest &manifest);

/// Fills inputs, outputs, states, targets, nodes and provenance.
mlir::LogicalResult fillManifest(Compilation &compilation);

} // namespace qcc
