// Linear operations and lookups on a GPU.
#pragma once

#include "dialects/qnt/Qnt.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Tile/Lowering.h"

namespace qcc {

mlir::LogicalResult lowerDeviceLinear(qnt::LinearOp op, Lowering &lowering);
mlir::LogicalResult lowerDeviceLookup(qnt::LookupOp op, Lowering &lowering);

/// The instruction that multiplies, for plans and manifests.
llvm::StringRef deviceInstruction(const DeviceFacts &facts, llvm::StringRef act, const PackedLayout *layout);
/// Whether matrix instructions multiply activations of a compute type with weights of a layout.
bool hasMatrixUnit(const DeviceFacts &facts, llvm::StringRef act, const PackedLayout &layout);

} // namespace qcc
