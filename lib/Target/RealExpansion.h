// What expansions of functions of real numbers share.
#pragma once

#include "mlir/IR/PatternMatch.h"
#include "qcc/Tile/Real.h"

namespace qcc {

inline mlir::Type withElement(mlir::Type type, mlir::Type element) {
  if (auto vector = llvm::dyn_cast<mlir::VectorType>(type))
    return vector.clone(element);
  return element;
}

/// Whole numbers and bits, for scalars and vectors alike.
struct Bits {
  mlir::ImplicitLocOpBuilder &b;
  mlir::Type type;
  mlir::Value c(int64_t value) {
    mlir::TypedAttr attr = b.getIntegerAttr(mlir::getElementTypeOrSelf(type), value);
    if (auto shaped = llvm::dyn_cast<mlir::ShapedType>(type))
      attr = mlir::DenseElementsAttr::get(shaped, mlir::Attribute(attr));
    return mlir::arith::ConstantOp::create(b, attr);
  }
  mlir::Value of(const Real &x) { return mlir::arith::BitcastOp::create(b, type, x.value()); }
  Real real(mlir::Value bits, mlir::Type as) { return {b, mlir::arith::BitcastOp::create(b, as, bits)}; }
  mlir::Value add(mlir::Value x, int64_t y) { return mlir::arith::AddIOp::create(b, x, c(y)); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return mlir::arith::SubIOp::create(b, x, y); }
  mlir::Value land(mlir::Value x, int64_t y) { return mlir::arith::AndIOp::create(b, x, c(y)); }
  mlir::Value shl(mlir::Value x, int64_t y) { return mlir::arith::ShLIOp::create(b, x, c(y)); }
  mlir::Value sar(mlir::Value x, int64_t y) { return mlir::arith::ShRSIOp::create(b, x, c(y)); }
  mlir::Value isSet(mlir::Value x, int64_t mask) {
    return mlir::arith::CmpIOp::create(b, mlir::arith::CmpIPredicate::ne, land(x, mask), c(0));
  }
};

/// c[0] + c[1] x + c[2] x² + ...
Real polynomial(Real x, llvm::ArrayRef<double> c);
Real wide(Real x);
Real narrow(Real x);
/// x as m · 2^e with m in [1/√2, √2), of positive normal numbers.
std::pair<Real, mlir::Value> split(Real x, Bits bits, int64_t mantissaBits, int64_t rootHalf);
Real toReal(const Real &like, mlir::Value whole);
/// base^exponent, of which `magnitude` is |base|^exponent: with the sign that whole exponents give, and what C says of
/// infinities, ones and what is no number.
Real withSpecialCases(Real base, Real exponent, Real magnitude);

/// Replaces an operation on elements of `width` bits by a formula.
template <typename Op, unsigned width> struct Expand : mlir::OpRewritePattern<Op> {
  Expand(mlir::MLIRContext *context, std::function<Real(llvm::ArrayRef<Real>)> formula)
      : mlir::OpRewritePattern<Op>(context, mlir::PatternBenefit(2)), formula(std::move(formula)) {}
  llvm::LogicalResult matchAndRewrite(Op op, mlir::PatternRewriter &rewriter) const override {
    if (!mlir::getElementTypeOrSelf(op.getType()).isFloat(width))
      return mlir::failure();
    mlir::ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    llvm::SmallVector<Real> operands;
    for (mlir::Value operand : op->getOperands())
      operands.push_back({b, operand});
    rewriter.replaceOp(op, formula(operands).value());
    return mlir::success();
  }
  std::function<Real(llvm::ArrayRef<Real>)> formula;
};

} // namespace qcc
