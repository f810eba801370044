// The linear operations and convolutions of a program as recipes see them.
#pragma once

#include "dialects/onnx/Onnx.h"
#include "dialects/qnt/Qnt.h"
#include "mlir/IR/BuiltinOps.h"
#include "qcc/Recipe/Recipe.h"

namespace qcc {

struct DescribedLinear {
  qnt::LinearOp op;
  LinearFacts facts;
};

/// All linear operations, in program order.
///
/// A layer is what one attention operator reads and what follows it up to the next: a linear operation whose result
/// attention reads is of that attention's layer, any other of the layer of the last attention before it. A head is of
/// none.
std::vector<DescribedLinear> describeLinears(mlir::ModuleOp module);

struct DescribedConvolution {
  onnx::NodeOp op;
  LinearFacts facts;
};

/// The convolutions with constant weights, in program order. They stand in no layer.
std::vector<DescribedConvolution> describeConvolutions(mlir::ModuleOp module);

} // namespace qcc
