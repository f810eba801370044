// What an operator family sees of a node: its operands' types and its attributes.
#pragma once

#include "dialects/onnx/Onnx.h"
#include "qcc/Canonicalize/Dimensions.h"
#include <memory>
#include <vector>

namespace qcc {

/// A constant tensor's bytes and type.
struct ConstantTensor {
  mlir::RankedTensorType type;
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<const std::vector<char>> owner; // of bytes, where the IR keeps one byte for all of them
  /// Its elements as doubles or integers; nothing when there are more than `limit`.
  std::optional<llvm::SmallVector<double>> numbers(int64_t limit = 4096) const;
  std::optional<llvm::SmallVector<int64_t>> integers(int64_t limit = 4096) const;
};

/// The constant that a value is, when it is an `onnx.weight`; the stored bytes of a `qnt.weight`.
std::optional<ConstantTensor> constantOf(mlir::Value value);

/// Whether the value is a constant of 4- or 2-bit elements: ONNX packs them in the file; everywhere else an element has
/// a byte.
bool isPackedConstant(mlir::Value value);

/// Whether nothing uses the operation's results or the lengths that running it tells.
bool isUnused(mlir::Operation *op);

/// Whether two runs of the node may give different results.
bool isRandom(onnx::NodeOp node);

/// Read access to one `onnx.node`. Operands and results count from 0; a missing optional operand is one for which `has`
/// is false.
class Node {
public:
  explicit Node(onnx::NodeOp op) : op(op) {}

  mutable onnx::NodeOp op; // a handle: the accessors of generated op classes are not const

  llvm::StringRef type() const { return op.getOpTypeAttr().getValue(); }
  int64_t version() const { return op.getVersion(); }
  unsigned inputs() const { return op->getNumOperands(); }
  unsigned outputs() const { return op->getNumResults(); }
  bool has(unsigned i) const { return i < inputs() && !llvm::isa<mlir::NoneType>(op->getOperand(i).getType()); }
  bool hasOutput(unsigned i) const { return i < outputs() && !llvm::isa<mlir::NoneType>(op->getResult(i).getType()); }
  mlir::Value input(unsigned i) const { return op->getOperand(i); }
  mlir::Value output(unsigned i = 0) const { return op->getResult(i); }

  mlir::Type element(unsigned i) const { return llvm::cast<mlir::ShapedType>(input(i).getType()).getElementType(); }
  llvm::SmallVector<Dim> dims(unsigned i) const { return dimsOf(input(i).getType()); }
  int64_t rank(unsigned i) const { return llvm::cast<mlir::RankedTensorType>(input(i).getType()).getRank(); }
  mlir::Type outputElement(unsigned i = 0) const {
    return llvm::cast<mlir::ShapedType>(output(i).getType()).getElementType();
  }
  llvm::SmallVector<Dim> outputDims(unsigned i = 0) const { return dimsOf(output(i).getType()); }

  bool hasAttr(llvm::StringRef name) const { return op.getAttrs().contains(name); }
  int64_t intAttr(llvm::StringRef name, int64_t otherwise) const;
  double floatAttr(llvm::StringRef name, double otherwise) const;
  llvm::StringRef stringAttr(llvm::StringRef name, llvm::StringRef otherwise) const;
  std::optional<llvm::SmallVector<int64_t>> intsAttr(llvm::StringRef name) const;
  std::optional<llvm::SmallVector<double>> floatsAttr(llvm::StringRef name) const;
  std::optional<llvm::SmallVector<llvm::StringRef>> stringsAttr(llvm::StringRef name) const;
  std::optional<ConstantTensor> tensorAttr(llvm::StringRef name) const;

  /// The constant that operand `i` is.
  std::optional<ConstantTensor> constant(unsigned i) const { return has(i) ? constantOf(input(i)) : std::nullopt; }
  /// The number that operand `i` is, when it is a constant with one element.
  std::optional<double> scalar(unsigned i) const;
  /// What shape inference found an operand of the shape kind to hold (`Infer::shapeOperand`).
  std::optional<llvm::SmallVector<Dim>> resolved(llvm::StringRef name) const;

  /// An axis in [0, rank), negative ones counted from the end. Reports and fails outside of [-rank, rank).
  mlir::FailureOr<int64_t> axis(int64_t value, int64_t rank) const;
  /// Reports what is wrong with the node, named by its type; always failure.
  mlir::LogicalResult error(const llvm::Twine &what) const;
  /// Reports that the node is valid ONNX that qcc cannot compile; `what` says which part and what to do.
  mlir::LogicalResult unsupported(const llvm::Twine &what) const;
};

} // namespace qcc
