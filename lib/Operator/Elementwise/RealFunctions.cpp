// Functions of one real number: roundings, exponential, logarithm, trigonometry.
#include "Pointwise.h"
#include "Register.h"

using namespace mlir;
using namespace qcc;

template <typename Op> static void addMath(OperatorRegistry &registry, StringRef type, int64_t cost) {
  addReal(registry, type, cost, [](Real x, const Node &) { return x.unary<Op>(); });
}

/// A rounding: whole numbers, such as what a computation on shapes holds, stay what they are.
template <typename Op>
static void addRounding(OperatorRegistry &registry, StringRef type,
                        std::function<Dim(Infer &, Dim, Dim)> quotient = {}) {
  Pointwise p{type, Takes::Floats};
  p.quotient = std::move(quotient);
  p.rule = [](Element &e) { return e.real(0).unary<Op>().value(); };
  p.contents = [](Infer &, ArrayRef<Dim> v) { return v[0]; };
  add(registry, p);
}

static Dim roundedDown(Infer &infer, Dim a, Dim b) {
  return constantOf(b).value_or(0) > 0 ? infer.dim().floorDiv(a, b) : Dim();
}
static Dim roundedUp(Infer &infer, Dim a, Dim b) {
  return constantOf(b).value_or(0) > 0 ? infer.dim().ceilDiv(a, *constantOf(b)) : Dim();
}

void qcc::registerRealFunctions(OperatorRegistry &registry) {
  addRounding<math::FloorOp>(registry, "Floor", roundedDown);
  addRounding<math::CeilOp>(registry, "Ceil", roundedUp);
  addRounding<math::RoundEvenOp>(registry, "Round");
  addReal(registry, "Reciprocal", 4, [](Real x, const Node &) { return 1.0 / x; });
  addMath<math::SqrtOp>(registry, "Sqrt", 4);
  addMath<math::ExpOp>(registry, "Exp", 12);
  addMath<math::LogOp>(registry, "Log", 16);
  addMath<math::ErfOp>(registry, "Erf", 20);
  addMath<math::SinOp>(registry, "Sin", 20);
  addMath<math::CosOp>(registry, "Cos", 20);
  addMath<math::TanOp>(registry, "Tan", 40);
  addMath<math::AsinOp>(registry, "Asin", 30);
  addMath<math::AcosOp>(registry, "Acos", 30);
  addMath<math::AtanOp>(registry, "Atan", 20);
  addMath<math::SinhOp>(registry, "Sinh", 30);
  addMath<math::CoshOp>(registry, "Cosh", 30);
  addMath<math::TanhOp>(registry, "Tanh", 20);
  addMath<math::AsinhOp>(registry, "Asinh", 40);
  addMath<math::AcoshOp>(registry, "Acosh", 40);
  addMath<math::AtanhOp>(registry, "Atanh", 40);
}
