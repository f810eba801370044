// What a compilation will do, before any weight is read: formats, kernels, instructions, bytes.
#pragma once

#include "qcc/Pipeline/Compilation.h"
#include "llvm/Support/JSON.h"

namespace qcc {

/// The plan as JSON, once the weights have their places:
///   {"targets": [{"name", "code_bytes"}], "weights_bytes", "linears": [{"node", "outputs", "inputs", "format",
///   "bits_per_weight", "bytes", "act", "instructions": {target: instruction}}]}
/// `code_bytes` is there once code is.
llvm::json::Value planOf(const Compilation &compilation);

/// The same as a table for people.
void printPlan(llvm::raw_ostream &os, const Compilation &compilation);

} // namespace qcc
