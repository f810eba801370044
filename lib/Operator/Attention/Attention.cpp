// ONNX's Attention. In a canonical program queries, keys, values and result may each have 3 or 4 dimensions.
#include "Register.h"
#include "Streamed.h"

using namespace mlir;
using namespace qcc;

namespace {
enum Operand { query, key, value, mask, pastKey, pastValue, nonpadLengths };

/// The lengths of an Attention.
struct Lengths {
  Dim batch, heads, keyHeads, rows, added, before, keys, size, valueSize;
};
} // namespace

/// The head count of an operand with 3 dimensions.
static Dim headsOf(const Node &node, Dimensions &d, unsigned i) {
  if (node.rank(i) == 4)
    return node.dims(i)[1];
  return d.constant(node.intAttr(i == query ? "q_num_heads" : "kv_num_heads", 0));
}

static Dim sizeOf(const Node &node, Dimensions &d, unsigned i, Dim heads) {
  return node.rank(i) == 4 ? node.dims(i)[3] : d.floorDiv(node.dims(i)[2], heads);
}

static Lengths lengthsOf(const Node &node, Dimensions &d) {
  Lengths l;
  l.batch = node.dims(query)[0];
  l.heads = headsOf(node, d, query), l.keyHeads = headsOf(node, d, key);
  l.rows = node.dims(query)[node.rank(query) == 4 ? 2 : 1];
  l.added = node.dims(key)[node.rank(key) == 4 ? 2 : 1];
  l.before = node.has(pastKey) ? node.dims(pastKey)[2] : d.constant(0);
  l.keys = d.add(l.before, l.added);
  l.size = sizeOf(node, d, query, l.heads);
  l.valueSize = sizeOf(node, d, value, l.keyHeads);
  return l;
}

/// The four dimensions of the mask.
static SmallVector<Dim> maskDims(const Node &node, Dimensions &d) {
  SmallVector<Dim> dims = node.dims(mask);
  while (dims.size() < 4)
    dims.insert(dims.begin(), d.constant(1));
  return dims;
}

static bool differ(Dim a, Dim b) { return constantOf(a) && constantOf(b) && a != b; }

static LogicalResult inferAttention(Infer &infer) {
  Dimensions &d = infer.dim();
  if (infer.inputs() < 3 || !infer.has(query) || !infer.has(key) || !infer.has(value))
    return infer.error("needs queries, keys and values");
  for (unsigned i : {query, key, value}) {
    if ((infer.rank(i) != 3 && infer.rank(i) != 4) || infer.rank(i) != infer.rank(query))
      return infer.error("takes queries, keys and values of 3 or of 4 dimensions");
    if (!isFloat(infer.element(i)))
      return infer.error("takes floats");
    if (infer.rank(i) == 3 && constantOf(headsOf(infer, d, i)).value_or(0) < 1)
      return infer.error("needs the attributes q_num_heads and kv_num_heads for operands of 3 dimensions");
  }
  if (infer.has(pastKey) != infer.has(pastValue))
    return infer.error("has only one of past_key and past_value");
  if (infer.has(pastKey) && infer.has(nonpadLengths))
    return infer.error("has both a past and nonpad_kv_seqlen");
  for (unsigned i : {pastKey, pastValue})
    if (infer.has(i) && infer.rank(i) != 4)
      return infer.error("takes a past of 4 dimensions");
  if (infer.has(mask) && infer.rank(mask) > 4)
    return infer.error("takes a mask of at most 4 dimensions");
  if (infer.has(mask) && !isFloat(infer.element(mask)) && !infer.element(mask).isInteger(1))
    return infer.error("takes a mask of booleans or floats");
  if (infer.intAttr("qk_matmul_output_mode", 0) < 0 || infer.intAttr("qk_matmul_output_mode", 0) > 3)
    return infer.error("has an unknown qk_matmul_output_mode");
  Lengths l = lengthsOf(infer, d);
  auto heads = constantOf(l.heads), keyHeads = constantOf(l.keyHeads);
  if (differ(l.keyHeads, headsOf(infer, d, value)) || (heads && keyHeads && (*keyHeads < 1 || *heads % *keyHeads != 0)))
    return infer.error("has numbers of heads that do not go together");
  SmallVector<std::pair<Dim, Dim>> equal = {{sizeOf(infer, d, key, l.keyHeads), l.size},
                                            {d.mul(d.floorDiv(l.heads, l.keyHeads), l.keyHeads), l.heads}};
  for (unsigned i : {key, value})
    equal.append({{infer.dims(i)[0], l.batch},
                  {headsOf(infer, d, i), l.keyHeads},
                  {infer.dims(i)[infer.rank(i) == 4 ? 2 : 1], l.added}});
  for (auto [i, size] : {std::pair(pastKey, l.size), std::pair(pastValue, l.valueSize)})
    if (infer.has(i)) {
      SmallVector<Dim> dims = infer.dims(i);
      equal.append({{dims[0], l.batch}, {dims[1], l.keyHeads}, {dims[2], l.before}, {dims[3], size}});
    }
  if (infer.has(mask)) {
    SmallVector<Dim> dims = maskDims(infer, d), space = {l.batch, l.heads, l.rows};
    for (auto [dim, length] : llvm::zip(dims, space))
      equal.push_back({d.ifEqual(dim, d.constant(1), length, dim), length});
  }
  if (infer.has(nonpadLengths))
    equal.push_back({d.product(infer.dims(nonpadLengths)), l.batch});
  if (failed(requireEqual(infer, equal)))
    return failure();
  bool flat = infer.rank(query) == 3;
  infer.result(0,
               flat ? SmallVector<Dim>{l.batch, l.rows, d.mul(l.heads, l.valueSize)}
                    : SmallVector<Dim>{l.batch, l.heads, l.rows, l.valueSize},
               infer.element(query));
  infer.result(1, {l.batch, l.keyHeads, l.keys, l.size}, infer.element(key));
  infer.result(2, {l.batch, l.keyHeads, l.keys, l.valueSize}, infer.element(value));
  infer.result(3, {l.batch, l.heads, l.rows, l.keys}, infer.element(query));
  return success();
}

/// An element of a tensor (batch, heads, rows, size) or (batch, rows, heads * size).
static Value loadHead(Kernel &k, Value tensor, Dim size, Value b, Value h, Value row, Value i) {
  if (cast<RankedTensorType>(tensor.getType()).getRank() == 4)
    return k.load(tensor, {b, h, row, i});
  return k.load(tensor, {b, row, k.add(k.mul(h, k.dim(size)), i)});
}

/// All keys or all values: behind the past where there is one, in `present` where that is wanted.
static StoredRows allRows(const Node &node, Lowering &lowering, const Lengths &l, unsigned i, Dim size, unsigned past,
                          unsigned present) {
  if (!node.has(past) && !node.hasOutput(present))
    return StoredRows::of(lowering, node.input(i), l.keyHeads, size);
  Extension e;
  e.batch = l.batch, e.heads = l.keyHeads, e.size = size;
  e.before = l.before, e.added = l.added, e.after = l.keys;
  e.type = node.element(i);
  e.source = [&](Kernel &k, Value b, Value h, Value row, Value at) {
    return loadHead(k, node.input(i), size, b, h, row, at);
  };
  if (node.has(past)) {
    e.past = node.input(past);
    if (lowering.isState(e.past))
      lowering.alias(node.output(present), e.past);
  }
  e.present = node.hasOutput(present) ? StoredRows::of(lowering, node.output(present), l.keyHeads, size)
                                      : StoredRows::make(lowering, node.element(i), l.batch, l.keyHeads, l.keys, size);
  emitExtension(lowering, e);
  return e.present;
}

/// The coordinate in a mask of length `dim` for position `at` of `length`: a mask of length 1 serves all positions.
static Value maskCoordinate(Kernel &k, Dim dim, Dim length, Value at) {
  if (constantOf(dim) == 1)
    return k.constant(0);
  return dim == length ? at : k.max(k.constant(0), k.min(at, k.sub(k.dim(dim), k.constant(1))));
}

static LogicalResult lowerAttention(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Lengths l = lengthsOf(node, d);
  StreamedAttention a;
  a.batch = l.batch, a.heads = l.heads, a.keyHeads = l.keyHeads;
  a.rows = l.rows, a.keys = l.keys, a.size = l.size, a.valueSize = l.valueSize;
  a.element = node.element(query);
  Type c = computeType(a.element);
  a.key = allRows(node, lowering, l, key, l.size, pastKey, 1);
  a.value = allRows(node, lowering, l, value, l.valueSize, pastValue, 2);
  if (node.hasAttr("scale"))
    a.scale = node.floatAttr("scale", 1);
  a.softcap = node.floatAttr("softcap", 0);
  a.query = [&](Kernel &k, Value b, Value h, Value row, Value i) {
    return loadHead(k, node.input(query), l.size, b, h, row, i);
  };
  if (node.intAttr("is_causal", 0))
    a.after = 0;
  if (node.version() >= 25) {
    int64_t right = node.intAttr("right_window_size", -1);
    a.before = node.intAttr("left_window_size", -1);
    a.after = a.after < 0 ? right : a.after;
  }
  if (node.has(pastKey))
    a.firstPosition = [&](Kernel &k, Value) { return k.dim(l.before); };
  SmallVector<Dim> space = {l.batch, l.heads, l.rows, l.keys}, seen;
  if (node.has(mask)) {
    seen = maskDims(node, d);
    a.bias = [&](Kernel &k, Value b, Value h, Value row, Value t, Value score) {
      SmallVector<Value> at = {maskCoordinate(k, seen[0], space[0], b), maskCoordinate(k, seen[1], space[1], h),
                               maskCoordinate(k, seen[2], space[2], row), maskCoordinate(k, seen[3], space[3], t)};
      int64_t rank = node.rank(mask);
      Value element = k.load(node.input(mask), ArrayRef<Value>(at).take_back(rank));
      if (node.element(mask).isInteger(1))
        return k.select(element, score,
                        node.hasAttr(maskedScoreAttr) ? numberConstant(k.b, c, node.floatAttr(maskedScoreAttr, 0))
                                                      : lowestNumber(k.b, c));
      element = castNumber(k.b, element, computeType(node.element(mask)), c);
      return Value(arith::AddFOp::create(k.b, score, element));
    };
  }
  // Keys behind the end of a mask that is longer than 1 are not seen.
  bool maskEnds = node.has(mask) && seen[3] != l.keys && constantOf(seen[3]) != 1;
  if (maskEnds || node.has(nonpadLengths))
    a.visibleKeys = [&](Kernel &k, Value b) {
      Value end = k.dim(l.keys);
      if (maskEnds)
        end = k.min(end, k.dim(d.ifEqual(seen[3], d.constant(1), l.keys, seen[3])));
      return node.has(nonpadLengths) ? k.min(end, k.load(node.input(nonpadLengths), Index(node.dims(nonpadLengths), b)))
                                     : end;
    };
  if (node.has(nonpadLengths)) {
    a.firstPosition = [&](Kernel &k, Value b) {
      return k.sub(k.load(node.input(nonpadLengths), Index(node.dims(nonpadLengths), b)), k.dim(l.rows));
    };
  }
  bool flat = cast<RankedTensorType>(node.output().getType()).getRank() == 3;
  a.store = [&](Kernel &k, Value b, Value h, Value row, Value i, Value element) {
    if (flat)
      return k.store(node.output(), {b, row, k.add(k.mul(h, k.dim(l.valueSize)), i)}, element);
    k.store(node.output(), {b, h, row, i}, element);
  };
  if (node.hasOutput(0))
    emitAttention(lowering, a);
  if (node.hasOutput(3))
    emitScores(lowering, a, ScoreMode(node.intAttr("qk_matmul_output_mode", 0)), node.output(3));
  return success();
}

void qcc::registerOnnxAttention(OperatorRegistry &registry) {
  Operator op;
  op.type = "Attention";
  op.infer = inferAttention;
  op.extends = [](const Node &node) {
    Dim added = node.dims(key)[node.rank(key) == 4 ? 2 : 1];
    return SmallVector<Extended>{{pastKey, 1, positionAxis, added}, {pastValue, 2, positionAxis, added}};
  };
  op.lower = lowerAttention;
  op.readsOnce = [](const Node &node, unsigned i) {
    return i == query && !node.hasOutput(3); // the scores read the queries again
  };
  op.acceptsEpilogue = true;
  registry.add(op);
}
