// What qcc knows about each ONNX operator: its shape rule and its lowering. One row per operator, one file per family.
#pragma once

#include "qcc/Operator/Infer.h"
#include "llvm/ADT/StringMap.h"

namespace qcc {

class Kernel;
class Lowering;
class Index;

/// On an Attention that was raised: the score of a key that its boolean mask does not let through; minus infinity when
/// absent, as in ONNX.
inline constexpr llvm::StringLiteral maskedScoreAttr = "masked_score";

/// An operand that a result extends: what it holds, with `added` further positions along `axis`.
struct Extended {
  unsigned past, present, axis;
  Dim added;
};

/// An operator. `infer` is always there, and `element` or `lower`. One that has both is lowered by `lower` where its
/// result is stored, and computed by `element` where its consumer computes it in place.
struct Operator {
  std::string domain, type;
  /// The newest operator-set version of the domain whose meaning is implemented; a later version of a known operator
  /// compiles as this one unless the family says otherwise.
  std::function<mlir::LogicalResult(Infer &)> infer;

  /// Computes one element of result 0: the value at `index`, as the compute type of its element (see `Numbers.h`). An
  /// operator with `element` needs no kernel of its own: its consumers compute it in place where that repeats no work.
  std::function<mlir::Value(const Node &, Kernel &, const Index &)> element;
  /// Whether a consumer may compute the node in place; always when absent. False where that costs more than a load.
  std::function<bool(const Node &)> inPlace;
  /// Whether the element at an index depends on the operands' elements at the same (broadcast) index alone.
  bool pointwise = false;
  /// Roughly how many scalar operations an element takes.
  int64_t cost = 1;
  /// Whether the lowering reads each element of operand `i` about once through `Kernel::load`, so that a producer can
  /// be computed in place there.
  std::function<bool(const Node &, unsigned i)> readsOnce;

  /// Whether the lowering stores every element of result 0 exactly once through `Kernel::store`: pointwise consumers
  /// can then be computed before the element is stored (`Lowering::epilogue`).
  bool acceptsEpilogue = false;

  /// The operands that results extend, and that the lowering appends to in place where they are states; none when
  /// absent.
  std::function<llvm::SmallVector<Extended>(const Node &)> extends;

  /// Emits kernels and launches that compute the results into their buffers.
  std::function<mlir::LogicalResult(const Node &, Lowering &)> lower;
};

class OperatorRegistry {
public:
  /// All operators of all families.
  static const OperatorRegistry &get();
  const Operator *find(llvm::StringRef domain, llvm::StringRef type) const;
  const Operator *find(onnx::NodeOp node) const { return find(node.getDomain(), node.getOpType()); }
  void add(Operator op);
  /// Adds an operator that has kernels of its own.
  void add(llvm::StringRef domain, llvm::StringRef type, std::function<mlir::LogicalResult(Infer &)> infer,
           std::function<mlir::LogicalResult(const Node &, Lowering &)> lower, bool acceptsEpilogue = false);
  llvm::SmallVector<const Operator *> all() const;

private:
  llvm::StringMap<Operator> table;
};

} // namespace qcc
