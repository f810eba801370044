// Constants of float32 that are read and replaced.
#pragma once

#include "dialects/onnx/Onnx.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "qcc/Operator/Node.h"

namespace qcc {

inline std::vector<float> floatsOf(mlir::Value value) {
  auto tensor = constantOf(value);
  std::vector<float> numbers(tensor->bytes.size() / sizeof(float));
  memcpy(numbers.data(), tensor->bytes.data(), tensor->bytes.size());
  return numbers;
}

template <typename T>
mlir::Value makeConstant(mlir::OpBuilder &b, mlir::Location loc, llvm::ArrayRef<int64_t> shape, mlir::Type element,
                         llvm::ArrayRef<T> numbers, llvm::StringRef name) {
  llvm::ArrayRef<char> bytes(reinterpret_cast<const char *>(numbers.data()), numbers.size() * sizeof(T));
  auto type = mlir::RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type());
  mlir::ElementsAttr data =
      mlir::DenseResourceElementsAttr::get(type, name, mlir::HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
  return onnx::WeightOp::create(b, loc, mlir::RankedTensorType::get(shape, element), name, data);
}

/// Gives an operation other numbers in place of a constant operand.
inline void setFloats(mlir::Operation *op, unsigned operand, llvm::ArrayRef<float> numbers) {
  auto old = op->getOperand(operand).getDefiningOp<onnx::WeightOp>();
  auto type = llvm::cast<mlir::RankedTensorType>(old.getResult().getType());
  mlir::OpBuilder b(old);
  op->setOperand(operand,
                 makeConstant(b, old.getLoc(), type.getShape(), type.getElementType(), numbers, old.getName()));
  if (isUnused(old))
    old.erase();
}

} // namespace qcc
