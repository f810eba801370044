#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"
#include "qcc/Operator/Registry.h"

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
/// What is known of the scores.
struct Scores {
  Value query, key;
  Value mask;                   // added to the scores, or what says which scores stay
  std::optional<double> filler; // of the scores that do not stay
  double scale = 1, softcap = 0;
  Dim batch, heads;        // where an operand has them in one axis
  SmallVector<Dim> checks; // pairs of lengths that the nodes of the mask require to be equal
};

/// Attention that is spelled out: softmax(mask(softcap(scale · query · keyᵀ))) · value.
class Match : Scores {
public:
  Match(Dimensions &dims, onnx::NodeOp product) : dims(dims), b(product), product(product) {}
  /// Makes the Attention, where that is what the product is.
  Value raise();

private:
  bool matchScores(Value value);
  bool matchMask(onnx::NodeOp node, Value scores, Value mask);
  bool matchProduct(Value value);
  Value throughMerge(Value value);
  Value keysOf(Value transposed);
  Value inHeads(Value value);
  Value reshape(Value value, ArrayRef<Dim> to);
  bool isMergeOf(ArrayRef<Dim> merged, ArrayRef<Dim> apart) {
    return merged.size() == 3 && apart.size() == 4 && merged[0] == dims.mul(apart[0], apart[1]) &&
           merged.drop_front() == apart.drop_front(2);
  }

  Dimensions &dims;
  OpBuilder b;
  onnx::NodeOp product; // of the weights and the values
};
} // namespace

/// What a reshape that merges batch and heads, or takes them apart again, was made of.
Value Match::throughMerge(Value value) {
  auto node = madeBy(value, "Reshape");
  if (!node)
    return value;
  Value source = node->getOperand(0);
  SmallVector<Dim> to = dimsOf(value.getType()), from = dimsOf(source.getType());
  if (isMergeOf(to, from))
    batch = from[0], heads = from[1];
  else if (isMergeOf(from, to))
    batch = to[0], heads = to[1];
  else
    return value;
  return source;
}

Value Match::reshape(Value value, ArrayRef<Dim> to) {
  if (ArrayRef<Dim>(dimsOf(value.getType())) == to)
    return value;
  if (auto node = madeBy(value, "Reshape"); node && ArrayRef<Dim>(dimsOf(node->getOperand(0).getType())) == to)
    return node->getOperand(0);
  Type type = dims.tensor(to, cast<ShapedType>(value.getType()).getElementType());
  return makeNode(b, product->getLoc(), "Reshape", 14, {value, Value()}, {}, type);
}

/// A tensor (batch · heads, rows, size) as one of four dimensions.
Value Match::inHeads(Value value) {
  SmallVector<Dim> all = dimsOf(value.getType());
  if (all.size() == 4)
    return value;
  if (!batch) // nothing takes them apart: each is an entry of the batch with one head
    batch = all[0], heads = dims.constant(1);
  all.insert(all.begin(), batch);
  all[1] = heads;
  return reshape(value, all);
}

/// The keys (batch, heads, keys, size) or (batch · heads, keys, size) of keys whose last two axes are swapped.
Value Match::keysOf(Value value) {
  value = stripScale(throughMerge(stripScale(value, scale)), scale);
  auto transpose = madeBy(value, "Transpose");
  SmallVector<int64_t> perm = permutationOf(transpose);
  if (perm == ArrayRef<int64_t>{0, 1, 3, 2} || perm == ArrayRef<int64_t>{0, 2, 1})
    return stripScale(throughMerge(transpose->getOperand(0)), scale);
  if (perm != ArrayRef<int64_t>{0, 2, 3, 1})
    return {};
  // (B, T, H, D) straight to (B, H, D, T): the two permutations in one.
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<Dim> to = dimsOf(type);
  std::swap(to[2], to[3]);
  return makeNode(b, transpose->getLoc(), "Transpose", 13, {transpose->getOperand(0)},
                  {b.getNamedAttr("perm", b.getDenseI64ArrayAttr({0, 2, 1, 3}))},
                  dims.tensor(to, type.getElementType()));
}

/// scale · query · keyᵀ, the scale anywhere, or softcap · tanh(that / softcap).
bool Match::matchProduct(Value value) {
  value = stripScale(throughMerge(stripScale(value, scale)), scale);
  if (auto bounded = madeBy(value, "Tanh"); bounded && !softcap && scale > 0) {
    softcap = scale; // what the tangent is multiplied with, and its operand divided by
    return matchProduct(bounded->getOperand(0));
  }
  auto scores = madeBy(value, "MatMul");
  if (!scores)
    return false;
  query = stripScale(throughMerge(stripScale(scores->getOperand(0), scale)), scale);
  key = keysOf(scores->getOperand(1));
  return key != nullptr;
}

bool Match::matchMask(onnx::NodeOp node, Value scores, Value by) {
  Scores before = *this;
  if (!matchProduct(scores)) {
    static_cast<Scores &>(*this) = before;
    return false;
  }
  mask = by;
  if (dimsOf(node->getResult(0).getType()).size() == 3)
    if (SmallVector<Dim> all = dimsIfRanked(mask, 3); !all.empty() && constantOf(all[0]) != 1)
      mask = inHeads(mask);
  checks = Node(node).resolved("equal").value_or(SmallVector<Dim>());
  return true;
}

/// Understands the operand of the softmax: a product and what masks it.
bool Match::matchScores(Value value) {
  value = throughMerge(value);
  if (auto add = madeBy(value, "Add"))
    return matchMask(add, add->getOperand(0), add->getOperand(1)) ||
           matchMask(add, add->getOperand(1), add->getOperand(0));
  auto choice = madeBy(value, "Where");
  if (!choice)
    return matchProduct(value);
  for (unsigned stays : {1u, 2u}) {
    filler = splatOf(choice->getOperand(3 - stays));
    if (!filler || double(float(*filler)) != *filler) // the operator keeps it in float32
      continue;
    Value condition = choice->getOperand(0);
    if (stays == 2)
      condition = makeNode(b, choice->getLoc(), "Not", 1, {condition}, {}, condition.getType());
    if (matchMask(choice, choice->getOperand(stays), condition))
      return true;
  }
  return false;
}

Value Match::raise() {
  Value weights = product->getOperand(0);
  // Rows without a key give NaN in a softmax; exporters replace it by zero, and so does the operator.
  if (auto where = madeBy(weights, "Where"); where && splatOf(where->getOperand(1)) == 0.0)
    if (auto isNaN = madeBy(where->getOperand(0), "IsNaN"); isNaN && isNaN->getOperand(0) == where->getOperand(2))
      weights = where->getOperand(2);
  auto softmax = madeBy(throughMerge(weights), "Softmax");
  if (!softmax)
    return {};
  Node soft(softmax);
  int64_t axis = soft.intAttr("axis", soft.version() < 13 ? 1 : -1), rank = soft.rank(0);
  if ((rank != 3 && rank != 4) || (axis != -1 && axis != rank - 1) || !matchScores(softmax->getOperand(0)))
    return {};
  Value value = throughMerge(product->getOperand(1));
  for (Value *operand : {&query, &key, &value})
    if (dimsIfRanked(*operand, 3).empty() && dimsIfRanked(*operand, 4).empty())
      return {};
  query = inHeads(query), key = stripRepeat(inHeads(key)), value = stripRepeat(inHeads(value));
  SmallVector<Dim> q = dimsOf(query.getType()), k = dimsOf(key.getType()), v = dimsOf(value.getType());
  SmallVector<Dim> s = dimsOf(soft.input(0).getType());
  SmallVector<Dim> scores = {q[0], q[1], q[2], k[2]};
  // A mask of a length of its own: the product with the values allows no other one than the keys'.
  if (s.back() != k[2] && !(constantOf(s.back()) && constantOf(k[2]))) {
    checks.append({s.back(), k[2]});
    s.back() = k[2];
  }
  if (q[0] != k[0] || k[0] != v[0] || k[1] != v[1] || k[2] != v[2] || q[3] != k[3] ||
      (s != scores && !isMergeOf(s, scores)))
    return {};
  auto heads = constantOf(q[1]), keyHeads = constantOf(k[1]);
  if (!heads || !keyHeads || *heads % *keyHeads != 0)
    return {};
  Type element = cast<RankedTensorType>(query.getType()).getElementType();
  if (mask && (cast<RankedTensorType>(mask.getType()).getElementType() != (filler ? b.getI1Type() : element) ||
               cast<RankedTensorType>(mask.getType()).getRank() > 4))
    return {};
  SmallVector<NamedAttribute> attrs;
  if (filler && *filler != -std::numeric_limits<double>::infinity())
    attrs.push_back(b.getNamedAttr(maskedScoreAttr, b.getF32FloatAttr(float(*filler))));
  attrs.push_back(b.getNamedAttr("scale", b.getF32FloatAttr(float(scale))));
  if (softcap)
    attrs.push_back(b.getNamedAttr("softcap", b.getF32FloatAttr(float(softcap))));
  SmallVector<Dim> result = {q[0], q[1], q[2], v[3]};
  Value all =
      makeNode(b, product->getLoc(), "Attention", 23, {query, key, value, mask}, attrs, dims.tensor(result, element));
  if (!checks.empty())
    all.getDefiningOp<onnx::NodeOp>().setResolvedAttr(
        b.getDictionaryAttr(b.getNamedAttr("equal", AffineMapAttr::get(dims.map(checks)))));
  // What takes batch and heads apart again has them apart already.
  for (Operation *user : llvm::make_early_inc_range(product->getResult(0).getUsers()))
    if (auto apart = madeBy(user->getNumResults() ? user->getResult(0) : Value(), "Reshape");
        apart && apart->getOperand(0) == product->getResult(0) && apart->getResult(0).getType() == all.getType())
      apart->getResult(0).replaceAllUsesWith(all);
  return reshape(all, dimsOf(product->getResult(0).getType()));
}

LogicalResult qcc::raiseAttention(ModuleOp module) {
  auto dims = Dimensions::load(module);
  if (failed(dims))
    return failure();
  SmallVector<onnx::NodeOp> candidates;
  module.walk([&](onnx::NodeOp op) {
    if (madeBy(op->getNumResults() ? Value(op->getResult(0)) : Value(), "MatMul"))
      candidates.push_back(op);
  });
  for (onnx::NodeOp op : candidates)
    if (Value attention = Match(*dims, op).raise())
      op->getResult(0).replaceAllUsesWith(attention);
  module.walk([](func::FuncOp function) { eraseUnused(function.getBody().front()); });
  return success();
}
