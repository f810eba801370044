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
  /// What the results of the node that is being inferred were replaced by.
  llvm::DenseMap<mlir::Value, mlir::Value> replacements;
};

/// The node whose results are to be given types; every operand has a ranked type.
class Infer : public Node {
public:
  /// Elements of an integer tensor that are followed; shapes and index lists are far shorter.
  static constexpr int64_t maxContents = 256;

  Infer(onnx::NodeOp op, InferState &state) : Node(op), state(state) {}

  Dimensions &dim() { return state.dims; }
  /// What the integer tensor operand `i` holds, when every element is a constant or an expression of dimension symbols.
  std::optional<llvm::SmallVector<Dim>> contents(unsigned i) { return contentsOf(input(i)); }
  std::optional<llvm::SmallVector<Dim>> contentsOf(mlir::Value value);

  /// The contents of operand `i`, which says a shape, an axis list or the like. They are kept in `resolved` under
  /// `name`; when they are not known before the program runs, each element becomes a runtime symbol that the program
  /// reads from the operand.
  /// Fails when the number of elements is unknown; `length` is what it must be for a list of that length.
  mlir::FailureOr<llvm::SmallVector<Dim>> shapeOperand(unsigned i, llvm::StringRef name,
                                                       std::optional<int64_t> length = std::nullopt);
  /// The same where only constants will do (axes, for instance); reports otherwise.
  mlir::FailureOr<llvm::SmallVector<int64_t>> constantOperand(unsigned i, llvm::StringRef name);
  /// Keeps an expression for the lowering, which finds it by `Node::resolved(name)`.
  void resolve(llvm::StringRef name, llvm::ArrayRef<Dim> values);

  /// A length that the node's lowering tells with `Lowering::define` while the program runs; kept in `resolved` under
  /// "counts".
  Dim counted(llvm::StringRef name);

  /// The program checks when it runs that two lengths are equal, and ends with an error that names the node otherwise;
  /// nothing where they are known to be.
  void requireEqual(Dim a, Dim b);

  void result(unsigned i, llvm::ArrayRef<Dim> dims, mlir::Type element);
  /// Says what integer result `i`, of at most one dimension or one element, holds.
  void resultContents(unsigned i, llvm::ArrayRef<Dim> values);
  /// ONNX's multidirectional broadcast of all the shapes given, which are required to allow it.
  llvm::SmallVector<Dim> broadcast(llvm::ArrayRef<llvm::SmallVector<Dim>> shapes);

  /// The inference of another node of the same program.
  Infer of(onnx::NodeOp node) const { return Infer(node, state); }

  // A node may become other nodes, which are made in front of it and have their types at once.
  /// A node with one result. Null inputs are absent.
  mlir::FailureOr<mlir::Value> make(llvm::StringRef type, int64_t version, mlir::ValueRange inputs,
                                    llvm::ArrayRef<mlir::NamedAttribute> attrs = {}, llvm::StringRef domain = "");
  /// A node with several results.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> makeAll(llvm::StringRef type, int64_t version, unsigned results,
                                                          mlir::ValueRange inputs,
                                                          llvm::ArrayRef<mlir::NamedAttribute> attrs = {},
                                                          llvm::StringRef domain = "");
  mlir::Value reshape(mlir::Value value, llvm::ArrayRef<Dim> dims);
  /// A view of `value`: along its axis a, the element for index i stands at offset[a] + step[a] * i[from[a]], or at
  /// offset[a] where from[a] is -1.
  mlir::Value view(mlir::Value value, llvm::ArrayRef<Dim> dims, llvm::ArrayRef<int64_t> from,
                   llvm::ArrayRef<Dim> offset, llvm::ArrayRef<Dim> step);
  /// A slice of `value` along one axis.
  mlir::Value slice(mlir::Value value, int64_t axis, Dim start, Dim length);
  /// A tensor of integers or booleans whose contents are known.
  mlir::Value integers(llvm::ArrayRef<Dim> dims, llvm::ArrayRef<Dim> contents, mlir::Type element);
  mlir::Value integers(mlir::OpBuilder &b, llvm::ArrayRef<Dim> dims, llvm::ArrayRef<Dim> contents, mlir::Type element);
  /// A constant of float32 without dimensions.
  mlir::Value number(double value);
  mlir::NamedAttribute attribute(llvm::StringRef name, int64_t value) const;
  mlir::NamedAttribute attribute(llvm::StringRef name, llvm::ArrayRef<int64_t> values) const;
  mlir::NamedAttribute attribute(llvm::StringRef name, llvm::StringRef value) const;
  mlir::NamedAttribute floatAttribute(llvm::StringRef name, double value) const;
  /// `value`, behind the checks that were required of this node: for a node that is replaced.
  mlir::Value checked(mlir::Value value);
  /// Uses of result `i` become uses of `value`.
  void replace(unsigned i, mlir::Value value);

  /// Infers a subgraph whose block arguments get `arguments` as types; the values it yields are returned.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> subgraph(mlir::Region &region, llvm::ArrayRef<mlir::Type> arguments);
  /// Forgets what is known of the values of a region that is about to go.
  void forget(mlir::Region &region);

private:
  onnx::NodeOp create(llvm::StringRef domain, llvm::StringRef type, int64_t version, mlir::ValueRange inputs,
                      llvm::ArrayRef<mlir::NamedAttribute> attrs, mlir::TypeRange results);

  InferState &state;
};

/// Infers every node of a block in order; also folds what shape inference made constant. Reports and fails at the first
/// node that cannot be.
mlir::LogicalResult inferBlock(mlir::Block &block, InferState &state);

} // namespace qcc
