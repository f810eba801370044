// What a compilation will do, before any weight is read: formats, kernels, instructions, bytes.
#pragma once

#include "qcc/Pipeline/Compilation.h"
#include "llvm/Support/JSON.h"

namespace qcc {

/// On a linear operation whose format was chosen among several: its part of the harm to the outputs, as estimated; and
/// nanoseconds for a token, where formats were chosen by their times.
inline constexpr llvm::StringLiteral harmAttr = "qnt.harm", measuredTimeAttr = "qnt.measured_time",
                                     estimatedTimeAttr = "qnt.estimated_time";

/// The part of the plan that the manifest keeps, once the weights have their places:
///   {"targets": [{"name", "code_bytes"}], "weights_bytes", "linears": [{"node", "outputs", "inputs", "format",
///   "bits_per_weight", "bytes", "act", "method", "instructions": {target: instruction}}], "convolutions": [{"node",
///   "operator", "format", "bytes", "act", "instructions"}]}
/// `code_bytes` is there once code is. A linear operation has "harm" where its format was chosen among several, and
/// "measured_nanoseconds" or "estimated_nanoseconds" where that was by time.
llvm::json::Object planOf(const Compilation &compilation);

/// The whole plan: what `planOf` has and, once code is there, "artifact_bytes", the file's size to the byte, and
/// "memory" of a run: {"lengths": {dimension: length}, "weights_bytes", "arena_bytes", "states_bytes", "inputs_bytes",
/// "outputs_bytes", "peak_bytes"}, null where a length is only known while the program runs.
mlir::FailureOr<llvm::json::Object> wholePlan(Compilation &compilation);

/// The same as a table for people.
void printPlan(llvm::raw_ostream &os, const llvm::json::Object &plan);

} // namespace qcc
