// NVIDIA's assembler, where a machine has it: PTX to compiled code (cubin).
#pragma once

#include "qcc/Tile/Lowering.h"

namespace qcc {

/// The assembler that an option names: a path; "none", which gives an empty one; or "auto", the first in PATH, else in
/// /usr/local/cuda/bin, else none. One that is named must be there.
llvm::Expected<std::string> findPtxas(llvm::StringRef option);

/// Why an assembler cannot take what is generated for an architecture: it is too old for the version of PTX. Empty
/// where it can.
llvm::Expected<std::string> lacksPtx(llvm::StringRef ptxas, const DeviceFacts &facts);

/// The same bytes for the same text and assembler. What the assembler says is the error.
llvm::Error assemblePtx(llvm::StringRef ptxas, const DeviceFacts &facts, llvm::ArrayRef<char> ptx,
                        llvm::SmallVectorImpl<char> &cubin);

} // namespace qcc
