#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

/// x of x² (x·x, or x to the power 2).
static Value squareRoot(Value value) {
  if (auto pow = madeBy(value, "Pow"); pow && splatOf(pow->getOperand(1)) == 2.0)
    return pow->getOperand(0);
  if (auto mul = madeBy(value, "Mul"); mul && mul->getOperand(0) == mul->getOperand(1))
    return mul->getOperand(0);
  return {};
}

/// x and epsilon of sqrt(mean(x²) + epsilon) over the last axis.
static std::optional<std::pair<Value, double>> rootMeanSquare(Value value) {
  auto root = madeBy(value, "Sqrt");
  if (!root)
    return std::nullopt;
  double epsilon = 0;
  Value variance = root->getOperand(0);
  if (auto sum = splitOperands(madeBy(variance, "Add"), [](Value v) { return splatOf(v).has_value(); })) {
    epsilon = *splatOf(sum->first);
    variance = sum->second;
  }
  auto mean = madeBy(variance, "ReduceMean");
  Value x = reducesLastAxis(mean) ? squareRoot(mean->getOperand(0)) : Value();
  return x ? std::optional(std::pair(x, epsilon)) : std::nullopt;
}

/// x and epsilon of x / sqrt(mean(x²) + epsilon), as division or as product with the reciprocal.
static std::optional<std::pair<Value, double>> normalized(Value value) {
  if (auto div = madeBy(value, "Div"))
    if (auto found = rootMeanSquare(div->getOperand(1)); found && found->first == div->getOperand(0))
      return found;
  auto mul = madeBy(value, "Mul");
  if (!mul)
    return std::nullopt;
  for (unsigned i : {0u, 1u}) {
    Value factor = mul->getOperand(i), root;
    if (auto reciprocal = madeBy(factor, "Reciprocal"))
      root = reciprocal->getOperand(0);
    else if (auto div = madeBy(factor, "Div"); div && splatOf(div->getOperand(0)) == 1.0)
      root = div->getOperand(1);
    if (auto found = root ? rootMeanSquare(root) : std::nullopt; found && found->first == mul->getOperand(1 - i))
      return found;
  }
  return std::nullopt;
}

/// x of x - mean(x) over the last axis.
static Value centered(Value value) {
  auto sub = madeBy(value, "Sub");
  auto mean = sub ? madeBy(sub->getOperand(1), "ReduceMean") : onnx::NodeOp();
  return mean && reducesLastAxis(mean) && mean->getOperand(0) == sub->getOperand(0) ? sub->getOperand(0) : Value();
}

/// Whether a constant has one number for each element of x's last axis, and nothing else.
static bool isPerChannel(Value value, Value x) {
  auto tensor = constantOf(value);
  auto shape = cast<RankedTensorType>(x.getType()).getShape();
  return tensor && !shape.empty() && tensor->type.getRank() == 1 && tensor->type.getDimSize(0) == shape.back();
}

static void raise(onnx::NodeOp mul) {
  for (unsigned i : {0u, 1u}) {
    Value scale = mul->getOperand(i);
    auto found = normalized(mul->getOperand(1 - i));
    if (!found || !isPerChannel(scale, found->first))
      continue;
    auto [x, epsilon] = *found;
    OpBuilder b(mul);
    SmallVector<NamedAttribute> attrs = {b.getNamedAttr("axis", b.getI64IntegerAttr(-1)),
                                         b.getNamedAttr("epsilon", b.getF32FloatAttr(float(epsilon)))};
    if (Value source = centered(
            x)) { // x - mean(x) over its root mean square: layer normalization; with the bias that follows, if one does
      onnx::NodeOp last = mul;
      Value bias;
      Operation *user = mul->hasOneUse() ? *mul->getUsers().begin() : nullptr;
      if (user && user->getNumResults() == 1)
        if (auto add = madeBy(user->getResult(0), "Add"))
          if (auto sum = splitOperands(add, [&](Value v) { return isPerChannel(v, source); }))
            bias = sum->first, last = add;
      b.setInsertionPoint(last);
      Value result = makeNode(b, last->getLoc(), "LayerNormalization", 17, {source, scale, bias}, attrs,
                              last->getResult(0).getType());
      last->getResult(0).replaceAllUsesWith(result);
      return;
    }
    Value result = makeNode(b, mul->getLoc(), "RMSNormalization", 23, {x, scale}, attrs, mul->getResult(0).getType());
    mul->getResult(0).replaceAllUsesWith(result);
    return;
  }
}

void qcc::raiseNormalization(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    if (madeBy(op->getNumResults() ? Value(op->getResult(0)) : Value(), "Mul"))
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : candidates)
    raise(op);
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
