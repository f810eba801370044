#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"

using namespace mlir;
using namespace qcc;

static int64_t rankOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getRank() : -1;
}

static Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

/// -x, as Neg or as a product with -1.
static Value negated(Value value) {
  if (auto neg = madeBy(value, "Neg"))
    return neg->getOperand(0);
  auto product = splitOperands(madeBy(value, "Mul"), [](Value v) { return splatOf(v) == -1.0; });
  return product ? product->second : Value();
}

/// The operands of a Concat along the last axis.
static SmallVector<Value> joinedAlongLastAxis(Value value) {
  auto concat = madeBy(value, "Concat");
  if (!concat)
    return {};
  int64_t axis = Node(concat).intAttr("axis", 0), rank = rankOf(value);
  return axis == -1 || axis == rank - 1 ? SmallVector<Value>(concat->getOperands()) : SmallVector<Value>();
}

/// The value before a new last axis of length 1.
static Value withoutLastAxis(Value value) {
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (!node || (!madeBy(value, "Unsqueeze") && !madeBy(value, "Reshape")))
    return {};
  SmallVector<Dim> dims = dimsOf(value.getType());
  if (dims.empty() || constantOf(dims.pop_back_val()) != 1 || rankOf(node->getOperand(0)) != int64_t(dims.size()))
    return {};
  return dimsOf(node->getOperand(0).getType()) == dims ? node->getOperand(0) : Value();
}

namespace {
/// Raises the spellings of one function.
class Raiser {
public:
  explicit Raiser(MLIRContext *context) : b(context), dims(context) {}
  void raise(onnx::NodeOp op);

private:
  /// One half of x · cos + rotated(x) · sin: what is rotated, and how.
  struct Turn {
    Value x;
    bool interleaved = false;
  };
  std::optional<Turn> rotatedOf(Value value);
  bool raiseSum(onnx::NodeOp add);
  bool raiseParts(Value real, Value imaginary, bool interleaved, Value whole);
  Value rotate(Value x, Value cosine, Value sine, bool interleaved, bool isHalf, OpBuilder &at, Location loc);
  void absorbRest(onnx::NodeOp rotary);

  Value halved(Value value, bool interleaved);
  Value makeHalved(Value value, bool interleaved);
  Value halvedConstant(Value value, bool interleaved);
  Value cloneHalved(onnx::NodeOp node, Value operand);
  Type halfType(Value value);
  Value reshape(Value value, ArrayRef<Dim> shape) {
    if (ArrayRef<Dim>(dimsOf(value.getType())) == shape)
      return value;
    return makeNode(b, value.getLoc(), "Reshape", 14, {value, Value()}, {}, dims.tensor(shape, elementOf(value)));
  }

  OpBuilder b;
  Dimensions dims;
  llvm::DenseMap<Value, Value> halves[2]; // of values that hold everything twice in a row, and of interleaved ones
};
} // namespace

Type Raiser::halfType(Value value) {
  SmallVector<Dim> shape = dimsOf(value.getType());
  shape.back() = dims.constant(*constantOf(shape.back()) / 2);
  return dims.tensor(shape, elementOf(value));
}

/// A table whose rows hold everything twice, without the second time.
Value Raiser::halvedConstant(Value value, bool interleaved) {
  auto tensor = constantOf(value);
  auto weight = value.getDefiningOp<onnx::WeightOp>();
  int64_t width = tensor->type.getShape().back(), bytes = tensor->type.getElementTypeBitWidth() / 8;
  if (bytes == 0 || tensor->type.getNumElements() == 0)
    return {};
  SmallVector<char> kept;
  for (int64_t row = 0; row < tensor->type.getNumElements() / width; ++row)
    for (int64_t i = 0; i < width / 2; ++i) {
      int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + width / 2;
      const char *a = tensor->bytes.data() + (row * width + first) * bytes;
      if (memcmp(a, tensor->bytes.data() + (row * width + second) * bytes, bytes) != 0)
        return {};
      kept.append(a, a + bytes);
    }
  b.setInsertionPointAfter(weight);
  auto type = RankedTensorType::get({int64_t(kept.size())}, b.getI8Type());
  ElementsAttr data = DenseResourceElementsAttr::get(
      type, weight.getName(), HeapAsmResourceBlob::allocateAndCopyWithAlign(ArrayRef<char>(kept), 64));
  return onnx::WeightOp::create(b, weight.getLoc(), halfType(value), weight.getName(), data);
}

/// The node on an operand of half the length.
Value Raiser::cloneHalved(onnx::NodeOp node, Value operand) {
  if (!operand)
    return {};
  b.setInsertionPointAfter(node);
  auto clone = cast<onnx::NodeOp>(b.clone(*node));
  // The other operand of a product, a single number, stays.
  bool isSecond = node->getNumOperands() == 2 && !madeBy(node->getResult(0), "Gather") && splatOf(node->getOperand(0));
  clone->setOperand(isSecond ? 1 : 0, operand);
  clone->getResult(0).setType(halfType(node->getResult(0)));
  return clone->getResult(0);
}

Value Raiser::makeHalved(Value value, bool interleaved) {
  int64_t rank = rankOf(value);
  if (rank < 1)
    return {};
  auto width = constantOf(dimsOf(value.getType()).back());
  if (!width || *width < 2 || *width % 2)
    return {};
  if (constantOf(value))
    return halvedConstant(value, interleaved);
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (!node)
    return {};
  Node n(node);
  StringRef type = n.type();
  if (node.getDomain().empty() && type == "Concat" && !interleaved) {
    SmallVector<Value> parts = joinedAlongLastAxis(value);
    return parts.size() == 2 && parts[0] == parts[1] ? parts[0] : Value();
  }
  if (node.getDomain().empty() && type == "Reshape" && interleaved) { // each element twice, next to itself
    SmallVector<Value> parts = joinedAlongLastAxis(node->getOperand(0));
    Value source;
    if (parts.size() == 2 && parts[0] == parts[1])
      source = withoutLastAxis(parts[0]);
    else if (auto expand = madeBy(node->getOperand(0), "Expand"))
      source = withoutLastAxis(expand->getOperand(0));
    if (source && source.getType() == halfType(value))
      return source;
  }
  bool unary = type == "Cos" || type == "Sin" || type == "Cast" || type == "Neg" || type == "Identity";
  if (node.getDomain().empty() && unary && node->getNumOperands() == 1)
    return cloneHalved(node, halved(node->getOperand(0), interleaved));
  if (node.getDomain().empty() && (type == "Mul" || type == "Div" || type == "Add" || type == "Sub"))
    for (unsigned i : {0u, 1u}) {
      Value scalar = node->getOperand(1 - i), other = node->getOperand(i);
      if (splatOf(scalar) && cast<RankedTensorType>(scalar.getType()).getNumElements() == 1 &&
          other.getType() == value.getType())
        return cloneHalved(node, halved(other, interleaved));
    }
  if (node.getDomain().empty() && type == "Gather" && n.intAttr("axis", 0) == 0 && n.rank(0) > 1)
    return cloneHalved(node, halved(node->getOperand(0), interleaved));
  bool reshapes = type == "Unsqueeze" || type == "Squeeze" || type == "Reshape";
  if (node.getDomain().empty() && reshapes && rankOf(node->getOperand(0)) > 0 &&
      dimsOf(node->getOperand(0).getType()).back() == dimsOf(value.getType()).back()) {
    Value operand = halved(node->getOperand(0), interleaved);
    if (!operand)
      return {};
    b.setInsertionPointAfter(node);
    return reshape(operand, dimsOf(halfType(value)));
  }
  // A view that keeps the last axis as it is.
  auto from = n.resolved("from"), offset = n.resolved("offset"), step = n.resolved("step");
  bool isView = from && (type == "Slice" || type == "Expand" || type == "View") && !from->empty();
  if (isView && constantOf(from->back()) == rank - 1 && constantOf(offset->back()) == 0 &&
      constantOf(step->back()) == 1 && dimsOf(node->getOperand(0).getType()).back() == dims.constant(*width))
    return cloneHalved(node, halved(node->getOperand(0), interleaved));
  return {};
}

/// The value whose last axis holds everything once where that of `value` holds it twice, one time after the other or
/// each element next to itself; null when it cannot be seen that it does.
Value Raiser::halved(Value value, bool interleaved) {
  auto &found = halves[interleaved];
  auto known = found.find(value);
  if (known != found.end())
    return known->second;
  Value made = makeHalved(value, interleaved);
  return halves[interleaved][value] = made;
}

/// A part of the last axis: source, first element and step.
static std::optional<std::tuple<Value, Dim, int64_t>> partOfLastAxis(Value value) {
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (!node || (!madeBy(value, "Slice") && !(node.getDomain() == "qcc" && node.getOpType() == "View")))
    return std::nullopt;
  Node n(node);
  auto from = n.resolved("from"), offset = n.resolved("offset"), step = n.resolved("step");
  if (!from || int64_t(from->size()) != rankOf(value) || from->empty())
    return std::nullopt;
  for (auto [i, axis] : llvm::enumerate(*from)) {
    bool isLast = i + 1 == from->size();
    if (constantOf(axis) != int64_t(i) || (!isLast && (constantOf((*offset)[i]) != 0 || constantOf((*step)[i]) != 1)))
      return std::nullopt;
  }
  auto by = constantOf(step->back());
  if (!by)
    return std::nullopt;
  return std::tuple(n.input(0), offset->back(), *by);
}

/// Whether `value` is `count` elements of the last axis of a source from `first` on.
static Value partOf(Value value, int64_t first, int64_t step, int64_t count) {
  auto part = partOfLastAxis(value);
  if (!part || constantOf(std::get<1>(*part)) != first || std::get<2>(*part) != step ||
      constantOf(dimsOf(value.getType()).back()) != count)
    return {};
  return std::get<0>(*part);
}

/// (-x2, x1) of x = (x1, x2), or (-x1, x0, -x3, x2, ...) of x = (x0, x1, ...).
std::optional<Raiser::Turn> Raiser::rotatedOf(Value value) {
  auto width = rankOf(value) > 0 ? constantOf(dimsOf(value.getType()).back()) : std::nullopt;
  if (!width || *width % 2)
    return std::nullopt;
  SmallVector<Value> parts = joinedAlongLastAxis(value);
  Turn turn;
  if (parts.empty()) {
    auto reshape = madeBy(value, "Reshape");
    parts = reshape ? joinedAlongLastAxis(reshape->getOperand(0)) : SmallVector<Value>();
    for (Value &part : parts)
      part = withoutLastAxis(part);
    turn.interleaved = true;
  }
  if (parts.size() != 2 || !parts[0] || !parts[1])
    return std::nullopt;
  Value second = negated(parts[0]);
  if (!second)
    return std::nullopt;
  int64_t half = *width / 2, step = turn.interleaved ? 2 : 1;
  turn.x = partOf(parts[1], 0, step, half);
  Value other = partOf(second, turn.interleaved ? 1 : half, step, half);
  if (!turn.x || turn.x != other || dimsOf(turn.x.getType()) != dimsOf(value.getType()))
    return std::nullopt;
  return turn;
}

/// The rotated x, with cosines and sines that broadcast to it; null when they are not one per position.
Value Raiser::rotate(Value x, Value cosine, Value sine, bool interleaved, bool isHalf, OpBuilder &at, Location loc) {
  SmallVector<Dim> shape = dimsOf(x.getType());
  if (shape.size() != 4 || rankOf(cosine) < 2 || rankOf(cosine) > 4 || elementOf(cosine) != elementOf(x) ||
      dimsOf(cosine.getType()) != dimsOf(sine.getType()))
    return {};
  SmallVector<Dim> table = dimsOf(cosine.getType());
  while (table.size() < 4)
    table.insert(table.begin(), dims.constant(1));
  auto width = constantOf(shape[3]);
  if (!width || constantOf(table[3]) != (isHalf ? *width / 2 : *width))
    return {};
  bool isOne = constantOf(table[0]) == 1;
  if (!isOne && table[0] != shape[0])
    return {};
  // (batch, heads, positions, size), or (batch, positions, heads, size).
  bool headsFirst = constantOf(table[1]) == 1 && table[2] == shape[2];
  bool headsLast = !headsFirst && constantOf(table[2]) == 1 && table[1] == shape[1];
  auto heads = constantOf(shape[headsFirst ? 1 : 2]);
  if ((!headsFirst && !headsLast) || (headsLast && !heads))
    return {};
  for (Value *part : {&cosine, &sine}) {
    if (!isHalf)
      *part = halved(*part, interleaved);
    if (!*part)
      return {};
    b.setInsertionPointAfter(part->getDefiningOp());
    *part = reshape(*part, {table[0], headsFirst ? table[2] : table[1], dims.constant(*width / 2)});
  }
  b.restoreInsertionPoint(at.saveInsertionPoint());
  SmallVector<NamedAttribute> attrs = {b.getNamedAttr("interleaved", b.getI64IntegerAttr(interleaved))};
  if (headsFirst)
    return makeNode(b, loc, "RotaryEmbedding", 23, {x, cosine, sine, Value()}, attrs, x.getType());
  attrs.push_back(b.getNamedAttr("num_heads", b.getI64IntegerAttr(*heads)));
  Value flat = reshape(x, {shape[0], shape[1], dims.mul(shape[2], shape[3])});
  Value turned = makeNode(b, loc, "RotaryEmbedding", 23, {flat, cosine, sine, Value()}, attrs, flat.getType());
  return reshape(turned, shape);
}

/// x · cos + rotated(x) · sin
bool Raiser::raiseSum(onnx::NodeOp add) {
  for (unsigned i : {0u, 1u}) {
    auto plain = madeBy(add->getOperand(i), "Mul"), turned = madeBy(add->getOperand(1 - i), "Mul");
    if (!plain || !turned)
      return false;
    auto product = splitOperands(turned, [&](Value v) { return rotatedOf(v).has_value(); });
    if (!product)
      continue;
    Turn turn = *rotatedOf(product->first);
    auto other = splitOperands(plain, [&](Value v) { return v == turn.x; });
    if (!other || add->getResult(0).getType() != turn.x.getType())
      continue;
    OpBuilder at(add);
    Value result = rotate(turn.x, other->second, product->second, turn.interleaved, false, at, add->getLoc());
    if (!result)
      continue;
    add->getResult(0).replaceAllUsesWith(result);
    absorbRest(result.getDefiningOp<onnx::NodeOp>());
    return true;
  }
  return false;
}

/// (x1 · cos - x2 · sin, x2 · cos + x1 · sin), joined one after the other or interleaved into `whole`.
bool Raiser::raiseParts(Value real, Value imaginary, bool interleaved, Value whole) {
  auto sub = madeBy(real, "Sub"), add = madeBy(imaginary, "Add");
  if (!sub || !add || rankOf(whole) != 4)
    return false;
  auto width = constantOf(dimsOf(whole.getType()).back());
  if (!width || *width % 2)
    return false;
  int64_t half = *width / 2, step = interleaved ? 2 : 1;
  auto source = [&](Value v, bool second) { return partOf(v, second ? (interleaved ? 1 : half) : 0, step, half); };
  // Of each product, the factor that is the part asked for, and the other one.
  auto product = [&](Value v, bool second) {
    return splitOperands(madeBy(v, "Mul"), [&](Value factor) { return bool(source(factor, second)); });
  };
  auto realFirst = product(sub->getOperand(0), false), realSecond = product(sub->getOperand(1), true);
  if (!realFirst || !realSecond)
    return false;
  Value x = source(realFirst->first, false), cosine = realFirst->second, sine = realSecond->second;
  if (source(realSecond->first, true) != x || x.getType() != whole.getType())
    return false;
  bool matches = false;
  for (unsigned i : {0u, 1u}) {
    auto first = product(add->getOperand(i), false), second = product(add->getOperand(1 - i), true);
    matches |= first && second && source(first->first, false) == x && first->second == sine &&
               source(second->first, true) == x && second->second == cosine;
  }
  if (!matches)
    return false;
  OpBuilder at(whole.getDefiningOp());
  Value result = rotate(x, cosine, sine, interleaved, true, at, whole.getLoc());
  if (!result)
    return false;
  whole.replaceAllUsesWith(result);
  absorbRest(result.getDefiningOp<onnx::NodeOp>());
  return true;
}

/// A rotation of the first elements of each head, joined with the others, is one of the whole.
void Raiser::absorbRest(onnx::NodeOp rotary) {
  if (!madeBy(rotary->getResult(0), "RotaryEmbedding") || rankOf(rotary->getOperand(0)) != 4 || !rotary->hasOneUse())
    return;
  auto concat = dyn_cast<onnx::NodeOp>(*rotary->getUsers().begin());
  SmallVector<Value> parts =
      concat && concat->getNumResults() ? joinedAlongLastAxis(concat->getResult(0)) : SmallVector<Value>();
  auto width = constantOf(dimsOf(rotary->getResult(0).getType()).back());
  if (parts.size() != 2 || parts[0] != rotary->getResult(0) || !width)
    return;
  auto rest = constantOf(dimsOf(parts[1].getType()).back());
  Value x = partOf(rotary->getOperand(0), 0, 1, *width);
  if (!x || !rest || partOf(parts[1], *width, 1, *rest) != x || x.getType() != concat->getResult(0).getType())
    return;
  NamedAttrList attrs(rotary.getAttrs());
  attrs.set("rotary_embedding_dim", b.getI64IntegerAttr(*width));
  b.setInsertionPoint(concat);
  Value whole = makeNode(b, rotary->getLoc(), "RotaryEmbedding", 23,
                         {x, rotary->getOperand(1), rotary->getOperand(2), Value()}, attrs, x.getType());
  concat->getResult(0).replaceAllUsesWith(whole);
}

void Raiser::raise(onnx::NodeOp op) {
  Value result = op->getNumResults() == 1 ? Value(op->getResult(0)) : Value();
  if (!result || rankOf(result) < 3)
    return;
  if (madeBy(result, "Add")) {
    raiseSum(op);
    return;
  }
  if (SmallVector<Value> parts = joinedAlongLastAxis(result); parts.size() == 2) {
    raiseParts(parts[0], parts[1], false, result);
    return;
  }
  if (!madeBy(result, "Reshape"))
    return;
  SmallVector<Value> parts = joinedAlongLastAxis(op->getOperand(0));
  if (parts.size() != 2)
    return;
  Value real = withoutLastAxis(parts[0]), imaginary = withoutLastAxis(parts[1]);
  if (real && imaginary)
    raiseParts(real, imaginary, true, result);
}

void qcc::raiseRotary(ModuleOp module) {
  module.walk([](func::FuncOp function) {
    Raiser raiser(function.getContext());
    SmallVector<onnx::NodeOp> candidates;
    function.walk([&](onnx::NodeOp op) { candidates.push_back(op); });
    for (onnx::NodeOp op : candidates)
      raiser.raise(op);
    eraseUnused(function.getBody().front());
  });
}
