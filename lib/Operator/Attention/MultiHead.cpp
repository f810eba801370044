// com.microsoft's MultiHeadAttention and Attention, with the masks and packings that they share.
#include "Packed.h"
#include "Register.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

namespace {
/// The operands of both operators by their places.
struct Places {
  unsigned bias, mask, attentionBias, pastKey, pastValue, unsupported;
  bool isAttention; // whose queries, keys and values are one matrix, and whose past is a pair
  explicit Places(const Node &node) : isAttention(node.type() == "Attention") {
    if (isAttention) // the matrix and its product with the input have become an operand of their own
      bias = 2, mask = 3, attentionBias = 5, pastKey = pastValue = 4, unsupported = 6;
    else
      bias = 3, mask = 4, attentionBias = 5, pastKey = 6, pastValue = 7, unsupported = 8;
  }
};

struct Parts {
  Part query, key, value;
  Dim before, keys;
};
} // namespace

static Parts partsOf(const Node &node, Dimensions &d) {
  Places at(node);
  Parts p;
  Dim heads = d.constant(node.intAttr("num_heads", 1)), zero = d.constant(0);
  SmallVector<Dim> dims = node.dims(0);
  Part &q = p.query, &key = p.key, &value = p.value;
  q.tensor = node.input(0);
  q.batch = dims[0], q.rows = dims[1], q.heads = heads, q.first = zero;
  if (node.has(at.bias))
    q.bias = node.input(at.bias);
  key = value = q;
  if (at.isAttention) {
    Dim third = d.floorDiv(dims[2], d.constant(3));
    SmallVector<Dim> hidden = {third, third, third};
    if (auto sizes = node.intsAttr("qkv_hidden_sizes"))
      for (int i = 0; i < 3; ++i)
        hidden[i] = d.constant((*sizes)[i]);
    q.size = key.size = d.floorDiv(hidden[0], heads);
    value.size = d.floorDiv(hidden[2], heads);
    key.first = hidden[0], value.first = d.add(hidden[0], hidden[1]);
  } else if (dims.size() == 5) {
    q.form = key.form = value.form = Part::Packed;
    key.part = 1, value.part = 2;
    q.size = key.size = value.size = dims[4];
  } else {
    q.size = key.size = d.floorDiv(dims[2], heads);
    SmallVector<Dim> keyDims = node.dims(1);
    key.tensor = node.input(1);
    if (keyDims.size() == 5) {
      key.form = value.form = Part::Packed;
      value.tensor = key.tensor;
      value.part = 1;
      key.rows = value.rows = keyDims[1];
      value.size = keyDims[4];
    } else {
      value.tensor = node.input(2);
      bool ofPast = keyDims.size() == 4; // of cross attention: without bias
      key.rows = value.rows = keyDims[ofPast ? 2 : 1];
      value.size = ofPast ? node.dims(2)[3] : d.floorDiv(node.dims(2)[2], heads);
      if (ofPast)
        key.form = value.form = Part::Heads, key.bias = value.bias = Value();
    }
  }
  Dim hidden = d.mul(heads, q.size);
  q.biasFirst = zero, key.biasFirst = hidden, value.biasFirst = d.mul(hidden, d.constant(2));
  bool hasPast = node.has(at.pastKey);
  p.before = hasPast ? node.dims(at.pastKey)[at.isAttention ? 3 : 2] : zero;
  p.keys = d.add(p.before, key.rows);
  return p;
}

/// Which entries of a mask are masked.
enum class MaskKind { None, Ends, Ranges, Keys, Scores, Unknown };

static MaskKind maskKind(const Node &node, unsigned mask, Dim batch, Dimensions &d) {
  if (!node.has(mask))
    return MaskKind::None;
  SmallVector<Dim> dims = node.dims(mask);
  if (dims.size() == 1)
    return dims[0] == batch                                         ? MaskKind::Ends
           : dims[0] == d.mul(batch, d.constant(2))                 ? MaskKind::Ranges
           : constantOf(dims[0]) && !constantOf(batch)              ? MaskKind::Unknown
           : isa<AffineSymbolExpr>(dims[0]) && !constantOf(dims[0]) ? MaskKind::Ends
                                                                    : MaskKind::Unknown;
  return dims.size() == 2 ? MaskKind::Keys : dims.size() == 3 ? MaskKind::Scores : MaskKind::Unknown;
}

static LogicalResult checkOperands(Infer &infer) {
  Places at(infer);
  if (infer.intAttr("num_heads", 0) < 1)
    return infer.error("needs num_heads");
  for (unsigned i = at.unsupported; i < infer.inputs(); ++i)
    if (infer.has(i))
      return infer.unsupported("caches of a fixed length and beams; export the model with a past that grows");
  if (infer.intAttr("do_rotary", 0) || infer.intAttr("past_present_share_buffer", 0))
    return infer.unsupported("do_rotary and past_present_share_buffer; export the model without them");
  for (unsigned i : {0u, at.bias, at.attentionBias, at.pastKey, at.pastValue})
    if (infer.has(i) && !isFloat(infer.element(i)))
      return infer.error("takes floats");
  if (infer.has(at.bias) && infer.rank(at.bias) != 1)
    return infer.error("takes a bias of 1 dimension");
  if (infer.has(at.attentionBias) && infer.rank(at.attentionBias) != 4)
    return infer.error("takes an attention_bias of 4 dimensions");
  if (infer.has(at.pastKey) != infer.has(at.pastValue))
    return infer.error("has only one half of the past");
  for (unsigned i : {at.pastKey, at.pastValue})
    if (infer.has(i) && infer.rank(i) != (at.isAttention ? 5 : 4))
      return infer.error("takes a past of " + Twine(at.isAttention ? 5 : 4) + " dimensions");
  if (infer.has(at.mask) && isFloat(infer.element(at.mask)))
    return infer.error("takes an integer mask");
  return success();
}

static LogicalResult inferParts(Infer &infer) {
  Places at(infer);
  Dimensions &d = infer.dim();
  Parts p = partsOf(infer, d);
  MaskKind kind = maskKind(infer, at.mask, p.query.batch, d);
  if (kind == MaskKind::Unknown)
    return infer.unsupported("a mask of this shape; use one of (batch, keys)");
  SmallVector<std::pair<Dim, Dim>> equal;
  if (kind != MaskKind::None) {
    SmallVector<Dim> dims = infer.dims(at.mask);
    equal.push_back({dims[0], kind == MaskKind::Ranges ? d.mul(p.query.batch, d.constant(2)) : p.query.batch});
    if (dims.size() > 1)
      equal.push_back({dims.back(), p.keys});
    if (kind == MaskKind::Scores)
      equal.push_back({dims[1], p.query.rows});
  }
  if (failed(requireEqual(infer, equal)) || failed(requireBias(infer, at.attentionBias, p.query, p.keys)))
    return failure();
  for (const Part *part : {&p.query, &p.key, &p.value})
    if (failed(part->require(infer)))
      return failure();
  if (failed(requirePast(infer, at.pastKey, p.key, p.before)) ||
      failed(requirePast(infer, at.pastValue, p.value, p.before)))
    return failure();
  Type element = infer.element(0);
  infer.result(0, {p.query.batch, p.query.rows, d.mul(p.query.heads, p.value.size)}, element);
  SmallVector<Dim> present = {p.query.batch, p.key.heads, p.keys, p.key.size};
  if (at.isAttention) {
    present.insert(present.begin(), d.constant(2));
    infer.result(1, present, element);
    return success();
  }
  infer.result(1, present, element);
  present.back() = p.value.size;
  infer.result(2, present, element);
  infer.result(3, {p.query.batch, p.query.heads, p.query.rows, p.keys}, element);
  return success();
}

static LogicalResult inferMultiHead(Infer &infer) {
  if (infer.inputs() < 1 || !infer.has(0) || (infer.rank(0) != 3 && infer.rank(0) != 5))
    return infer.error("takes queries of 3 dimensions, or packed ones of 5");
  if (infer.rank(0) == 3) {
    if (!infer.has(1) || infer.rank(1) < 3 || infer.rank(1) > 5)
      return infer.error("takes keys of 3 to 5 dimensions");
    if (infer.rank(1) != 5 && (!infer.has(2) || infer.rank(2) != infer.rank(1)))
      return infer.error("takes values of as many dimensions as its keys");
  }
  return failed(checkOperands(infer)) ? failure() : inferParts(infer);
}

/// Attention: operand 1 is the matrix that the input is to be multiplied with. In a canonical program it is absent, and
/// operand 0 is the product.
static LogicalResult inferProjected(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || infer.rank(0) != 3)
    return infer.error("takes an input of 3 dimensions");
  if (failed(checkOperands(infer)))
    return failure();
  if (!infer.has(1))
    return inferParts(infer);
  if (infer.rank(1) != 2 || !isFloat(infer.element(1)))
    return infer.error("takes a matrix of floats as weights");
  auto sizes = infer.intsAttr("qkv_hidden_sizes");
  int64_t heads = infer.intAttr("num_heads", 1);
  if (sizes && (sizes->size() != 3 || (*sizes)[0] != (*sizes)[1]))
    return infer.error("needs three qkv_hidden_sizes, the first two equal");
  for (int64_t size : sizes.value_or(SmallVector<int64_t>()))
    if (size < 1 || size % heads != 0)
      return infer.error("has qkv_hidden_sizes that are no multiples of num_heads");
  auto columns = constantOf(infer.dims(1)[1]);
  if (columns && (sizes ? *columns != (*sizes)[0] * 2 + (*sizes)[2] : *columns % (3 * heads) != 0))
    return infer.error("has weights whose columns are not those of queries, keys and values");
  // The product stands as an operator of its own: it may then be quantized, fused and shared like any other.
  OpBuilder b(infer.op);
  Dimensions &d = infer.dim();
  SmallVector<Dim> dims = infer.dims(0);
  dims.back() = infer.dims(1)[1];
  auto node = [&](StringRef type, ValueRange operands) {
    return onnx::NodeOp::create(b, infer.op->getLoc(), TypeRange{d.tensor(dims, infer.element(0))},
                                b.getStringAttr(type), b.getStringAttr(""), b.getI64IntegerAttr(13),
                                b.getDictionaryAttr({}), DictionaryAttr(), DenseI64ArrayAttr(), operands, 0)
        ->getResult(0);
  };
  Value product = node("MatMul", {infer.input(0), infer.input(1)});
  Value absent = onnx::AbsentOp::create(b, infer.op->getLoc(), b.getNoneType());
  if (infer.has(2))
    product = node("Add", {product, infer.input(2)});
  infer.op->setOperand(0, product);
  infer.op->setOperand(1, absent);
  if (infer.inputs() > 2)
    infer.op->setOperand(2, absent);
  return inferParts(infer);
}

static LogicalResult lowerMultiHead(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Places at(node);
  Parts p = partsOf(node, d);
  const Part &q = p.query;
  auto tensor = [&](unsigned i) { return node.has(i) ? node.input(i) : Value(); };
  auto result = [&](unsigned i) { return node.hasOutput(i) ? node.output(i) : Value(); };
  StreamedAttention a;
  a.batch = q.batch, a.heads = a.keyHeads = q.heads;
  a.rows = q.rows, a.keys = p.keys, a.size = q.size, a.valueSize = p.value.size;
  a.element = q.element();
  Extension extension;
  extension.before = p.before, extension.after = p.keys;
  a.key = allPositions(lowering, p.key, tensor(at.pastKey), result(1), 0, extension);
  a.value =
      allPositions(lowering, p.value, tensor(at.pastValue), result(at.isAttention ? 1 : 2), at.isAttention, extension);
  if (node.floatAttr("scale", 0) != 0)
    a.scale = node.floatAttr("scale", 0);
  a.query = [&](Kernel &k, Value b, Value h, Value row, Value i) { return q.load(k, b, h, row, i); };
  if (node.intAttr("unidirectional", 0)) {
    a.after = 0;
    a.firstPosition = [&](Kernel &k, Value) { return k.dim(p.before); };
  }
  MaskKind kind = maskKind(node, at.mask, q.batch, d);
  Type c = computeType(a.element), i64 = lowering.host.getI64Type();
  double filter = node.floatAttr("mask_filter_value", -10000);
  auto bias = [&](Kernel &k, Value b, Value h, Value row, Value t, Value score) {
    if (node.has(at.attentionBias))
      score = addBias(k, node.input(at.attentionBias), {b, h, row, t}, score);
    if (kind == MaskKind::None)
      return score;
    auto entry = [&](ArrayRef<Value> place) {
      return castNumber(k.b, k.load(node.input(at.mask), place), node.element(at.mask), i64);
    };
    Value seen;
    if (kind == MaskKind::Keys || kind == MaskKind::Scores) {
      SmallVector<Value> place = {b, t};
      if (kind == MaskKind::Scores)
        place = {b, row, t};
      seen = k.less(k.constant(0), entry(place));
    } else {
      seen = k.less(t, entry({b}));
      if (kind == MaskKind::Ranges) {
        Value started = k.less(k.sub(entry({k.add(b, k.dim(q.batch))}), k.constant(1)), t);
        seen = arith::AndIOp::create(k.b, seen, started);
      }
    }
    Value penalty = k.select(seen, numberConstant(k.b, c, 0), numberConstant(k.b, c, filter));
    return plus(k, score, penalty);
  };
  if (kind != MaskKind::None || node.has(at.attentionBias))
    a.bias = bias;
  a.store = [&](Kernel &k, Value b, Value h, Value row, Value i, Value element) {
    k.store(node.output(), {b, row, k.add(k.mul(h, k.dim(p.value.size)), i)}, element);
  };
  emitAttention(lowering, a);
  if (!at.isAttention && node.hasOutput(3))
    emitScores(lowering, a, ScoreMode::Softmax, node.output(3));
  return success();
}

static SmallVector<Extended> extendedOf(const Node &node) {
  Places at(node);
  if (at.isAttention)
    return {{at.pastKey, 1, positionAxis + 1, node.dims(0)[1]}};
  bool packed = node.rank(0) == 5, inHeads = !packed && node.rank(1) == 4;
  Dim added = node.dims(packed ? 0 : 1)[inHeads ? 2 : 1];
  return {{at.pastKey, 1, positionAxis, added}, {at.pastValue, 2, positionAxis, added}};
}

void qcc::registerMultiHead(OperatorRegistry &registry) {
  auto add = [&](StringRef type, auto infer) {
    Operator op;
    op.domain = "com.microsoft", op.type = type;
    op.infer = infer;
    op.extends = extendedOf;
    op.lower = lowerMultiHead;
    registry.add(op);
  };
  add("MultiHeadAttention", inferMultiHead);
  add("Attention", inferProjected);
}
