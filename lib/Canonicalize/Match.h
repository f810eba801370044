// Matching nodes by dataflow, and rewriting them.
#pragma once

#include "mlir/IR/Builders.h"
#include "qcc/Operator/Node.h"

namespace qcc {

/// The node of the default domain and type given that makes `value`; null otherwise.
inline onnx::NodeOp madeBy(mlir::Value value, llvm::StringRef type) {
  auto node = value ? value.getDefiningOp<onnx::NodeOp>() : onnx::NodeOp();
  return node && node.getDomain().empty() && node.getOpType() == type ? node : onnx::NodeOp();
}

/// The number that every element of a constant is.
std::optional<double> splatOf(mlir::Value value);

/// Splits a commutative node's operands into one that `matches` and the other one.
template <typename Matches>
std::optional<std::pair<mlir::Value, mlir::Value>> splitOperands(onnx::NodeOp node, Matches matches) {
  if (!node || node->getNumOperands() != 2)
    return std::nullopt;
  for (unsigned i : {0u, 1u})
    if (matches(node->getOperand(i)))
      return std::pair(node->getOperand(i), node->getOperand(1 - i));
  return std::nullopt;
}

/// Whether the node reduces exactly the last axis and keeps it.
bool reducesLastAxis(onnx::NodeOp node);

/// The permutation of a Transpose; empty when `node` is null.
llvm::SmallVector<int64_t> permutationOf(onnx::NodeOp node);

/// A new node of the default domain with one result, of the version given. Missing operands are null.
mlir::Value makeNode(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef type, int64_t version,
                     mlir::ValueRange operands, llvm::ArrayRef<mlir::NamedAttribute> attrs, mlir::Type result);

/// Erases the nodes and constants of a block that nothing uses.
void eraseUnused(mlir::Block &block);

} // namespace qcc
