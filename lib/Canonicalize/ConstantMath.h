// Arithmetic on constants, as nodes that constant folding computes.
#pragma once

#include "Match.h"

namespace qcc {

struct ConstantMath {
  mlir::OpBuilder &b;
  mlir::Location loc;

  static llvm::ArrayRef<int64_t> shapeOf(mlir::Value value) {
    return llvm::cast<mlir::RankedTensorType>(value.getType()).getShape();
  }
  mlir::Value node(llvm::StringRef type, int64_t version, mlir::ValueRange operands, llvm::ArrayRef<int64_t> shape,
                   mlir::Type element = {}) {
    if (!element)
      element = llvm::cast<mlir::ShapedType>(operands[0].getType()).getElementType();
    return makeNode(b, loc, type, version, operands, {}, mlir::RankedTensorType::get(shape, element));
  }
  /// An operation of two constants of which the first one is not stretched.
  mlir::Value binary(llvm::StringRef type, mlir::Value x, mlir::Value y) { return node(type, 14, {x, y}, shapeOf(x)); }
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape) {
    return shapeOf(x) == shape ? x : node("Reshape", 14, {x, mlir::Value()}, shape);
  }
  /// A constant without dimensions.
  mlir::Value scalar(mlir::Type element, double number, llvm::StringRef name) {
    auto type = mlir::RankedTensorType::get({}, element);
    llvm::ArrayRef<char> data = mlir::DenseElementsAttr::get(type, b.getFloatAttr(element, number)).getRawData();
    auto bytes = mlir::RankedTensorType::get({int64_t(data.size())}, b.getI8Type());
    return onnx::WeightOp::create(b, loc, type, name, mlir::DenseElementsAttr::getFromRawBuffer(bytes, data));
  }
};

} // namespace qcc
