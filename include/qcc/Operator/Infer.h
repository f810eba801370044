// Shape inference of one node: what an operator family is given to say its results' types.
#pragma once

#include "qcc/Operator/Node.h"

namespace qcc {

/// Types and known contents of the values seen so far.
struct InferState {
  explicit InferState(Dimensions &dims) : dims(dims) {}

  Dimensions &dims;
  /// Contents of small integer tensors, as far as they are known before the program runs, in row-major order.
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Dim>> contents;
};

/// The node whose results are to be given types; every operand has a ranked type.
class Infer : public Node {
public:
  Infer(onnx::NodeOp op, InferState &state) : Node(op), state(state) {}

  Dimensions &dim() { return state.dims; }
  /// What the integer tensor operand `i` holds, when every element is a constant or an expression of dimension symbols.
  std::optional<llvm::SmallVector<Dim>> contents(unsigned i) { return contentsOf(input(i)); }
  std::optional<llvm::SmallVector<Dim>> contentsOf(mlir::Value value);

  /// The contents of operand `i`, which says a shape, an axis list or the like. They are kept in `resolved` under
  /// `name`; when they are not known before the program runs, each element becomes a runtime symbol that the program
  /// reads from the operand. Fails when the number of elements is unknown.
  mlir::FailureOr<llvm::SmallVector<Dim>> shapeOperand(unsigned i, llvm::StringRef name);
  /// The same where only constants will do (axes, for instance); reports otherwise.
  mlir::FailureOr<llvm::SmallVector<int64_t>> constantOperand(unsigned i, llvm::StringRef name);
  /// Keeps an expression for the lowering, which finds it by `Node::resolved(name)`.
  void resolve(llvm::StringRef name, llvm::ArrayRef<Dim> values);

  void result(unsigned i, llvm::ArrayRef<Dim> dims, mlir::Type element);
  /// Says what integer result `i`, of at most one dimension or one element, holds.
  void resultContents(unsigned i, llvm::ArrayRef<Dim> values);
  /// ONNX's multidirectional broadcast of all the shapes given.
  llvm::SmallVector<Dim> broadcast(llvm::ArrayRef<llvm::SmallVector<Dim>> shapes);
  /// Infers a subgraph whose block arguments get `arguments` as types; the values it yields are returned.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> subgraph(mlir::Region &region, llvm::ArrayRef<mlir::Type> arguments);

private:
  InferState &state;
};

/// Infers every node of a block in order; also folds what shape inference made constant. Reports and fails at the first
/// node that cannot be.
mlir::LogicalResult inferBlock(mlir::Block &block, InferState &state);

} // namespace qcc
