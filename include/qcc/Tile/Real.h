// Floating-point expressions in the notation of formulas, for scalars and vectors alike.
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace qcc {

/// A floating-point number that the code under construction computes, or a constant that takes the type of what it is
/// combined with. `<`, `>` and `==` are ordered: false when an operand is NaN.
class Real {
public:
  Real(double constant) : constant(constant) {}
  Real(mlir::ImplicitLocOpBuilder &b, mlir::Value value) : b(&b), code(value) {}

  mlir::Value value() const { return code; }
  mlir::Type type() const { return code.getType(); }
  mlir::ImplicitLocOpBuilder &builder() const { return *b; }
  /// A number in the type of this one.
  Real like(const Real &other) const {
    if (other.code)
      return other;
    auto element = llvm::cast<mlir::FloatType>(mlir::getElementTypeOrSelf(type()));
    mlir::TypedAttr attr = b->getFloatAttr(element, other.constant);
    if (auto shaped = llvm::dyn_cast<mlir::ShapedType>(type()))
      attr = mlir::DenseElementsAttr::get(shaped, attr);
    return {*b, mlir::arith::ConstantOp::create(*b, attr)};
  }

  template <typename Op> static Real binary(const Real &x, const Real &y) {
    const Real &typed = x.code ? x : y;
    mlir::Value left = typed.like(x).code, right = typed.like(y).code;
    return {*typed.b, Op::create(*typed.b, left, right)};
  }
  template <typename Op> Real unary() const { return {*b, Op::create(*b, code)}; }
  static mlir::Value compare(mlir::arith::CmpFPredicate predicate, const Real &x, const Real &y) {
    const Real &typed = x.code ? x : y;
    mlir::Value left = typed.like(x).code, right = typed.like(y).code;
    return mlir::arith::CmpFOp::create(*typed.b, predicate, left, right);
  }

private:
  mlir::ImplicitLocOpBuilder *b = nullptr;
  mlir::Value code;
  double constant = 0;
};

inline Real operator+(const Real &x, const Real &y) { return Real::binary<mlir::arith::AddFOp>(x, y); }
inline Real operator-(const Real &x, const Real &y) { return Real::binary<mlir::arith::SubFOp>(x, y); }
inline Real operator*(const Real &x, const Real &y) { return Real::binary<mlir::arith::MulFOp>(x, y); }
inline Real operator/(const Real &x, const Real &y) { return Real::binary<mlir::arith::DivFOp>(x, y); }
inline Real operator-(const Real &x) { return x.unary<mlir::arith::NegFOp>(); }
inline mlir::Value operator<(const Real &x, const Real &y) {
  return Real::compare(mlir::arith::CmpFPredicate::OLT, x, y);
}
inline mlir::Value operator>(const Real &x, const Real &y) {
  return Real::compare(mlir::arith::CmpFPredicate::OGT, x, y);
}
inline mlir::Value operator==(const Real &x, const Real &y) {
  return Real::compare(mlir::arith::CmpFPredicate::OEQ, x, y);
}

/// condition ? x : y; one of them is no constant.
inline Real select(mlir::Value condition, const Real &x, const Real &y) {
  const Real &typed = x.value() ? x : y;
  mlir::Value then = typed.like(x).value(), otherwise = typed.like(y).value();
  return {typed.builder(), mlir::arith::SelectOp::create(typed.builder(), condition, then, otherwise)};
}

/// x * y + z with one rounding where the target can, else with two.
inline Real fma(const Real &x, const Real &y, const Real &z) {
  const Real &typed = x.value() ? x : y;
  mlir::Value a = typed.like(x).value(), b = typed.like(y).value(), c = typed.like(z).value();
  return {typed.builder(), mlir::math::FmaOp::create(typed.builder(), a, b, c)};
}

/// The smaller and the larger of two numbers; NaN when one of them is. Which zero is taken of two is not said.
inline Real minimum(const Real &x, const Real &y) { return select(x < y, x, select(x == x, y, x)); }
inline Real maximum(const Real &x, const Real &y) { return select(x > y, x, select(x == x, y, x)); }

inline Real abs(const Real &x) { return x.unary<mlir::math::AbsFOp>(); }
inline Real sqrt(const Real &x) { return x.unary<mlir::math::SqrtOp>(); }
inline Real exp(const Real &x) { return x.unary<mlir::math::ExpOp>(); }
inline Real log(const Real &x) { return x.unary<mlir::math::LogOp>(); }
inline Real log1p(const Real &x) { return x.unary<mlir::math::Log1pOp>(); }
inline Real expm1(const Real &x) { return x.unary<mlir::math::ExpM1Op>(); }
inline Real tanh(const Real &x) { return x.unary<mlir::math::TanhOp>(); }
inline Real erf(const Real &x) { return x.unary<mlir::math::ErfOp>(); }
inline Real floor(const Real &x) { return x.unary<mlir::math::FloorOp>(); }

} // namespace qcc
