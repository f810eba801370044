// States of a program as files: written for people, or whole, to be edited and gone on from.
#pragma once

#include "qcc/Pipeline/Compilation.h"

namespace qcc {

// Attributes of a module: the state that it has reached, and the name of the model's file.
constexpr llvm::StringLiteral stateNameAttr = "onnx.state", modelNameAttr = "onnx.model";

/// The files of `--dump-states-to`: one for each state, and target where it has one, numbered in order. Large weights
/// are left out of them.
mlir::LogicalResult dumpState(const Compilation &compilation, const Stage &stage);

/// The files of `--dump-kernels-to`: each kernel of each target as it is tiled (`.mlir`) and, once it is lowered, as
/// assembly (`.s`), under the target's name.
mlir::LogicalResult dumpKernels(const Compilation &compilation, const Stage &stage);

} // namespace qcc
