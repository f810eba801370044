// Comparisons, boolean and bitwise operators, and Where.
#include "Pointwise.h"
#include "Register.h"

using namespace mlir;
using namespace qcc;

using FloatP = arith::CmpFPredicate;
using IntP = arith::CmpIPredicate;

namespace {
struct Comparison {
  StringRef type;
  FloatP floats;
  IntP signedInts, unsignedInts;
  Takes takes;
};
} // namespace

/// 1 where the condition holds, 0 where not, of two lengths.
static Dim comparisonContents(Infer &infer, ArrayRef<Dim> v) {
  Dimensions &d = infer.dim();
  Dim zero = d.constant(0), one = d.constant(1);
  if (infer.type() == "Equal")
    return d.ifEqual(v[0], v[1], one, zero);
  if (infer.type() == "Less")
    return d.ifNegative(d.sub(v[0], v[1]), one, zero);
  if (infer.type() == "Greater")
    return d.ifNegative(d.sub(v[1], v[0]), one, zero);
  if (infer.type() == "LessOrEqual")
    return d.ifNegative(d.sub(v[1], v[0]), zero, one);
  return d.ifNegative(d.sub(v[0], v[1]), zero, one); // GreaterOrEqual
}

static void addComparison(OperatorRegistry &registry, const Comparison &c) {
  Pointwise p{c.type, c.takes, 2, 2};
  p.rule = [c](Element &e) -> Value {
    if (isFloat(e.type()))
      return arith::CmpFOp::create(e.b, c.floats, e.in[0], e.in[1]);
    return arith::CmpIOp::create(e.b, isUnsigned(e.type()) ? c.unsignedInts : c.signedInts, e.in[0], e.in[1]);
  };
  p.contents = comparisonContents;
  p.resultType = booleanResult;
  add(registry, p);
}

template <typename Op>
static void addBits(OperatorRegistry &registry, StringRef type, Takes takes,
                    std::function<Dim(Infer &, ArrayRef<Dim>)> contents = {}) {
  Pointwise p{type, takes, 2, 2};
  p.rule = [](Element &e) -> Value { return Op::create(e.b, e.in[0], e.in[1]); };
  p.contents = std::move(contents);
  add(registry, p);
}

static Value invert(Element &e) {
  Value ones = arith::ConstantOp::create(e.b, e.b.getIntegerAttr(e.in[0].getType(), -1));
  return arith::XOrIOp::create(e.b, e.in[0], ones);
}

/// Bits that are moved out of the number are gone, however far they are moved.
static Value shift(Element &e) {
  bool left = e.node.stringAttr("direction", "") == "LEFT";
  int64_t width = e.type().getIntOrFloatBitWidth();
  Value inside = arith::CmpIOp::create(e.b, IntP::ult, e.in[1], e.number(double(width)));
  Value count = arith::SelectOp::create(e.b, inside, e.in[1], e.number(0));
  Value moved = left                   ? Value(arith::ShLIOp::create(e.b, e.in[0], count))
                : isUnsigned(e.type()) ? Value(arith::ShRUIOp::create(e.b, e.in[0], count))
                                       : Value(arith::ShRSIOp::create(e.b, e.in[0], count));
  return arith::SelectOp::create(e.b, inside, moved, e.number(0));
}

static FailureOr<Type> shiftType(const Node &node) {
  StringRef direction = node.stringAttr("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return node.error("has the direction '" + direction + "', expected LEFT or RIGHT");
  return node.element(0);
}

static FailureOr<Type> whereType(const Node &node) {
  if (node.element(1) != node.element(2))
    return node.error("chooses between operands of different element types");
  return node.element(1);
}

static Dim whereContents(Infer &infer, ArrayRef<Dim> v) {
  return infer.dim().ifEqual(v[0], infer.dim().constant(0), v[2], v[1]);
}

static Dim notContents(Infer &infer, ArrayRef<Dim> v) {
  Dimensions &d = infer.dim();
  return d.ifEqual(v[0], d.constant(0), d.constant(1), d.constant(0));
}
static Dim andContents(Infer &infer, ArrayRef<Dim> v) {
  return infer.dim().ifEqual(v[0], infer.dim().constant(0), infer.dim().constant(0), v[1]);
}
static Dim orContents(Infer &infer, ArrayRef<Dim> v) {
  return infer.dim().ifEqual(v[0], infer.dim().constant(0), v[1], infer.dim().constant(1));
}

static Value isInfinite(Element &e) {
  double infinity = std::numeric_limits<double>::infinity();
  Real x = e.real(0);
  Value no = arith::ConstantOp::create(e.b, e.b.getBoolAttr(false));
  Value above = e.node.intAttr("detect_positive", 1) ? x == infinity : no;
  Value below = e.node.intAttr("detect_negative", 1) ? x == -infinity : no;
  return arith::OrIOp::create(e.b, above, below);
}

void qcc::registerLogic(OperatorRegistry &registry) {
  for (const Comparison &c : {Comparison{"Equal", FloatP::OEQ, IntP::eq, IntP::eq, Takes::Anything},
                              {"Less", FloatP::OLT, IntP::slt, IntP::ult, Takes::Numbers},
                              {"Greater", FloatP::OGT, IntP::sgt, IntP::ugt, Takes::Numbers},
                              {"LessOrEqual", FloatP::OLE, IntP::sle, IntP::ule, Takes::Numbers},
                              {"GreaterOrEqual", FloatP::OGE, IntP::sge, IntP::uge, Takes::Numbers}})
    addComparison(registry, c);
  addBits<arith::AndIOp>(registry, "And", Takes::Booleans, andContents);
  addBits<arith::OrIOp>(registry, "Or", Takes::Booleans, orContents);
  addBits<arith::XOrIOp>(registry, "Xor", Takes::Booleans);
  addBits<arith::AndIOp>(registry, "BitwiseAnd", Takes::Integers);
  addBits<arith::OrIOp>(registry, "BitwiseOr", Takes::Integers);
  addBits<arith::XOrIOp>(registry, "BitwiseXor", Takes::Integers);
  add(registry, {"Not", Takes::Booleans, 1, 1, invert, 1, notContents});
  add(registry, {"BitwiseNot", Takes::Integers, 1, 1, invert});
  Pointwise bitShift{"BitShift", Takes::Integers, 2, 2, shift, 3};
  bitShift.resultType = shiftType;
  add(registry, bitShift);

  Pointwise where{"Where", Takes::Booleans, 3, 3};
  where.rule = [](Element &e) -> Value { return arith::SelectOp::create(e.b, e.in[0], e.in[1], e.in[2]); };
  where.contents = whereContents;
  where.resultType = whereType;
  where.mixed = true;
  add(registry, where);

  Pointwise isNaN{"IsNaN", Takes::Floats};
  isNaN.rule = [](Element &e) -> Value { return arith::CmpFOp::create(e.b, FloatP::UNO, e.in[0], e.in[0]); };
  isNaN.resultType = booleanResult;
  add(registry, isNaN);
  Pointwise isInf{"IsInf", Takes::Floats, 1, 1, isInfinite};
  isInf.resultType = booleanResult;
  add(registry, isInf);
}
