#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

/// Removes multiplications and divisions by one number from `value`; the number goes into `scale`.
static Value stripScale(Value value, double &scale) {
  for (;;) {
    if (auto product = splitOperands(madeBy(value, "Mul"), [](Value v) { return splatOf(v).has_value(); })) {
      scale *= *splatOf(product->first);
      value = product->second;
    } else if (auto div = madeBy(value, "Div"); div && splatOf(div->getOperand(1))) {
      scale /= *splatOf(div->getOperand(1));
      value = div->getOperand(0);
    } else {
      return value;
    }
  }
}

static SmallVector<Dim> dimsIfRanked(Value value, int64_t rank) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == rank ? dimsOf(type) : SmallVector<Dim>();
}

/// The heads before they were repeated for grouped queries: (B, H, T, D) → Unsqueeze → Expand → Reshape (B, H·n, T, D).
static Value stripRepeat(Value value) {
  auto reshape = madeBy(value, "Reshape");
  auto expand = reshape ? madeBy(reshape->getOperand(0), "Expand") : onnx::NodeOp();
  auto unsqueeze = expand ? madeBy(expand->getOperand(0), "Unsqueeze") : onnx::NodeOp();
  if (!unsqueeze)
    return value;
  Value source = unsqueeze->getOperand(0);
  SmallVector<Dim> from = dimsIfRanked(source, 4), wide = dimsIfRanked(expand->getResult(0), 5),
                   to = dimsIfRanked(value, 4);
  SmallVector<Dim> one = dimsIfRanked(unsqueeze->getResult(0), 5);
  if (from.empty() || wide.empty() || to.empty() || one.empty())
    return value;
  bool inserted =
      one[0] == from[0] && one[1] == from[1] && constantOf(one[2]) == 1 && one[3] == from[2] && one[4] == from[3];
  bool repeated = wide[0] == from[0] && wide[1] == from[1] && wide[3] == from[2] && wide[4] == from[3];
  bool merged = to[0] == from[0] && to[2] == from[2] && to[3] == from[3];
  return inserted && repeated && merged ? source : value;
}

namespace {
struct Scores {
  Value query, key; // (B, H, S, D) and (B, Hk, T, D)
  Value mask;       // added to the scores, or null
  double scale = 1;
};
} // namespace

/// Understands the operand of the softmax: scale · query · keyᵀ + mask, the scale anywhere.
static std::optional<Scores> matchScores(Value value, OpBuilder &b) {
  Scores result;
  value = stripScale(value, result.scale);
  auto product = madeBy(value, "MatMul");
  if (!product) {
    auto add = madeBy(value, "Add");
    if (!add || result.scale != 1) // a scaled mask is not this
      return std::nullopt;
    for (unsigned i : {0u, 1u}) {
      double scale = 1;
      Value inner = stripScale(add->getOperand(i), scale);
      if (auto found = madeBy(inner, "MatMul")) {
        product = found, result.mask = add->getOperand(1 - i), result.scale = scale;
        break;
      }
    }
    if (!product)
      return std::nullopt;
  }
  result.query = stripScale(product->getOperand(0), result.scale);
  Value keys = stripScale(product->getOperand(1), result.scale);
  auto transpose = madeBy(keys, "Transpose");
  SmallVector<int64_t> perm = permutationOf(transpose);
  if (perm == ArrayRef<int64_t>{0, 1, 3, 2}) {
    result.key = stripScale(transpose->getOperand(0), result.scale);
  } else if (perm ==
             ArrayRef<int64_t>{0, 2, 3, 1}) { // (B, T, H, D) straight to (B, H, D, T): the two permutations in one
    auto type = cast<RankedTensorType>(transpose->getResult(0).getType());
    SmallVector<Dim> dims = dimsOf(type);
    std::swap(dims[2], dims[3]);
    b.setInsertionPoint(transpose);
    Dimensions symbols(b.getContext());
    result.key = makeNode(b, transpose->getLoc(), "Transpose", 13, {transpose->getOperand(0)},
                          {b.getNamedAttr("perm", b.getDenseI64ArrayAttr({0, 2, 1, 3}))},
                          symbols.tensor(dims, type.getElementType()));
  } else {
    return std::nullopt;
  }
  result.key = stripRepeat(result.key);
  return result;
}

static void raise(onnx::NodeOp product) {
  Value weights = product->getOperand(0);
  // Rows without a key give NaN in a softmax; exporters replace it by zero, and so does the operator.
  if (auto where = madeBy(weights, "Where"); where && splatOf(where->getOperand(1)) == 0.0)
    if (auto isNaN = madeBy(where->getOperand(0), "IsNaN"); isNaN && isNaN->getOperand(0) == where->getOperand(2))
      weights = where->getOperand(2);
  auto softmax = madeBy(weights, "Softmax");
  if (!softmax)
    return;
  Node soft(softmax);
  int64_t axis = soft.intAttr("axis", soft.version() < 13 ? 1 : -1);
  if (soft.rank(0) != 4 || (axis != -1 && axis != 3))
    return;
  OpBuilder b(product);
  auto scores = matchScores(softmax->getOperand(0), b);
  if (!scores)
    return;
  Value value = stripRepeat(product->getOperand(1));
  SmallVector<Dim> q = dimsIfRanked(scores->query, 4), k = dimsIfRanked(scores->key, 4), v = dimsIfRanked(value, 4),
                   s = dimsOf(soft.input(0).getType());
  if (q.empty() || k.empty() || v.empty() || q[0] != k[0] || k[0] != v[0] || k[1] != v[1] || k[2] != v[2] ||
      q[3] != k[3])
    return;
  auto heads = constantOf(q[1]), keyHeads = constantOf(k[1]);
  if (!heads || !keyHeads || *heads % *keyHeads != 0 || s[0] != q[0] || s[1] != q[1] || s[2] != q[2] || s[3] != k[2])
    return;
  Type element = cast<RankedTensorType>(scores->query.getType()).getElementType();
  if (scores->mask && (cast<RankedTensorType>(scores->mask.getType()).getElementType() != element ||
                       cast<RankedTensorType>(scores->mask.getType()).getRank() > 4))
    return;
  b.setInsertionPoint(product);
  Value result =
      makeNode(b, product->getLoc(), "Attention", 23, {scores->query, scores->key, value, scores->mask},
               {b.getNamedAttr("scale", b.getF32FloatAttr(float(scores->scale)))}, product->getResult(0).getType());
  product->getResult(0).replaceAllUsesWith(result);
}

void qcc::raiseAttention(ModuleOp module) {
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    if (madeBy(op->getNumResults() ? Value(op->getResult(0)) : Value(), "MatMul"))
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : candidates)
    raise(op);
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
}
