// The qnt dialect: contractions and fused blocks, and the formats of their weights.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/qnt/QntDialect.h.inc"

#define GET_OP_CLASSES
#include "dialects/qnt/QntOps.h.inc"
