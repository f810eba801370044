// What a compilation will do, before any weight is read: formats, kernels, instructions, bytes.
#pragma once

#include "qcc/Pipeline/Compilation.h"
#include "llvm/Support/JSON.h"

namespace qcc {

/// The part of the plan that the manifest keeps, once the weights have their places:
///   {"targets": [{"name", "code_bytes"}], "weights_bytes", "linears": [{"node", "outputs", "inputs", "format",
///   "bits_per_weight", "bytes", "act", "method", "instructions": {target: instruction}}], "convolutions": [{"node",
///   "operator", "format", "bytes", "act", "instructions"}]}
/// `code_bytes` is there once code is.
llvm::json::Object planOf(const Compilation &compilation);

/// The whole plan: what `planOf` has and, once code is there, "artifact_bytes", the file's size to the byte, and
/// "memory" of a run: {"lengths": {dimension: length}, "weights_bytes", "arena_bytes", "states_bytes", "inputs_bytes",
/// "outputs_bytes", "peak_bytes"}, null where a length is only known while the program runs.
mlir::FailureOr<llvm::json::Object> wholePlan(Compilation &compilation);

/// The same as a table for people.
void printPlan(llvm::raw_ostream &os, const llvm::json::Object &plan);

} // namespace qcc
