// How the operators of this folder are written: a rule for one element, and what is known of it at inference.
#pragma once

#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/Real.h"

namespace qcc {

/// The operands of one element, loaded: values of their compute types, null where an optional operand is left out.
struct Element {
  mlir::ImplicitLocOpBuilder &b;
  const Node &node;
  llvm::SmallVector<mlir::Value> in;

  mlir::Type type(unsigned i = 0) const { return node.element(i); }
  Real real(unsigned i) const { return {b, in[i]}; }
  mlir::Value number(double value, unsigned i = 0) const { return numberConstant(b, type(i), value); }
};

enum class Takes { Anything, Numbers, Floats, Integers, Booleans };

/// An operator whose result at an index depends on the operands at the same (broadcast) index alone.
struct Pointwise {
  llvm::StringRef type;
  Takes takes = Takes::Numbers; // element type of the operands
  unsigned minOperands = 1, maxOperands = 1;
  std::function<mlir::Value(Element &)> rule = {};
  int64_t cost = 1;
  /// What the result holds where the integers that the operands hold are known; null when that cannot be said.
  std::function<Dim(Infer &, llvm::ArrayRef<Dim>)> contents = {};
  /// The result's element type; that of operand 0 when empty.
  std::function<mlir::FailureOr<mlir::Type>(const Node &)> resultType = {};
  /// Whether operands may have different element types.
  bool mixed = false;
  llvm::StringRef domain = "";
  /// What the result of a rounding holds for a / b of two integers; null where that cannot be said.
  std::function<Dim(Infer &, Dim a, Dim b)> quotient = {};
};

inline constexpr unsigned anyNumber = ~0u;

void add(OperatorRegistry &registry, Pointwise operation);

/// The result type of predicates.
inline mlir::FailureOr<mlir::Type> booleanResult(const Node &node) {
  return mlir::Type(mlir::IntegerType::get(node.op.getContext(), 1));
}

/// An unary operator on floats.
inline void addReal(OperatorRegistry &registry, llvm::StringRef type, int64_t cost,
                    std::function<Real(Real x, const Node &node)> rule) {
  Pointwise p{type, Takes::Floats};
  p.rule = [rule](Element &e) { return rule(e.real(0), e.node).value(); };
  p.cost = cost;
  add(registry, p);
}

} // namespace qcc
