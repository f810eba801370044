// com.microsoft.GroupQueryAttention: causal attention with its own rotation and cache. The rows of each batch entry
// stand behind as many positions as it has, so that a batch may be ragged.
#include "Packed.h"
#include "Register.h"
#include "Rotation.h"

using namespace mlir;
using namespace qcc;

namespace {
enum Operand {
  query,
  key,
  value,
  pastKey,
  pastValue,
  lastPositions,
  totalLength,
  cosine,
  sine,
  positions,
  attentionBias,
  headSink,
  firstUnsupported
};

struct Parts {
  Part query, key, value;
  Dim before, after; // positions of past and present
};
} // namespace

static Parts partsOf(const Node &node, Dimensions &d, Dim total) {
  Dim heads = d.constant(node.intAttr("num_heads", 0)), keyHeads = d.constant(node.intAttr("kv_num_heads", 0));
  SmallVector<Dim> dims = node.dims(query);
  Parts p;
  Part &q = p.query;
  bool packed = !node.has(key);
  q.tensor = node.input(query);
  q.batch = dims[0], q.rows = dims[1], q.heads = heads;
  q.size = d.floorDiv(dims[2], packed ? d.add(heads, d.mul(keyHeads, d.constant(2))) : heads);
  q.first = d.constant(0);
  p.key = q, p.key.heads = keyHeads;
  p.value = p.key;
  if (packed) {
    p.key.first = d.mul(heads, q.size);
    p.value.first = d.add(p.key.first, d.mul(keyHeads, q.size));
  } else {
    for (auto [part, i] : {std::pair(&p.key, key), std::pair(&p.value, value)}) {
      part->tensor = node.input(i);
      if (node.rank(i) == 4)
        part->form = Part::Heads;
    }
  }
  p.before = node.has(pastKey) ? node.dims(pastKey)[positionAxis] : d.constant(0);
  p.after = d.max(p.before, total);
  return p;
}

static LogicalResult inferGroupQuery(Infer &infer) {
  Dimensions &d = infer.dim();
  int64_t heads = infer.intAttr("num_heads", 0), keyHeads = infer.intAttr("kv_num_heads", 0);
  if (heads < 1 || keyHeads < 1 || heads % keyHeads != 0)
    return infer.error("has numbers of heads that do not go together");
  if (infer.inputs() <= totalLength || !infer.has(query) || !infer.has(lastPositions) || !infer.has(totalLength))
    return infer.error("needs queries, seqlens_k and total_sequence_length");
  if (infer.has(key) != infer.has(value) || infer.has(pastKey) != infer.has(pastValue))
    return infer.error("has only one of key and value, or only one half of the past");
  if (infer.rank(query) != 3)
    return infer.error("takes queries of 3 dimensions");
  for (unsigned i : {key, value})
    if (infer.has(i) && infer.rank(i) != 3 && infer.rank(i) != 4)
      return infer.error("takes keys and values of 3 or 4 dimensions");
  for (unsigned i : {pastKey, pastValue})
    if (infer.has(i) && infer.rank(i) != 4)
      return infer.error("takes a past of 4 dimensions");
  for (unsigned i : {query, key, value, pastKey, pastValue, attentionBias})
    if (infer.has(i) && !isFloat(infer.element(i)))
      return infer.unsupported("a quantized cache; keep keys and values in floating point");
  for (unsigned i = firstUnsupported; i < infer.inputs(); ++i)
    if (infer.has(i))
      return infer.unsupported("its operand number " + Twine(i) + "; export the model without it");
  for (StringRef kind : {"k_quant_type", "v_quant_type"})
    if (infer.stringAttr(kind, "NONE") != "NONE")
      return infer.unsupported("a quantized cache; keep keys and values in floating point");
  if (infer.intAttr("causal", 1) != 1 || infer.intAttr("sliding_window_cache", 0) || infer.intAttr("qk_output", 0) ||
      infer.hasOutput(3))
    return infer.unsupported("caches of the window's size, attention that is not causal, and scores as an output");
  if (infer.intAttr("do_rotary", 0) && (!infer.has(cosine) || !infer.has(sine)))
    return infer.error("has do_rotary, but no tables of cosines and sines");
  if (infer.has(cosine) && (infer.rank(cosine) != 2 || infer.rank(sine) != 2))
    return infer.error("takes tables of 2 dimensions");
  if (infer.has(positions) && infer.rank(positions) != 2)
    return infer.error("takes positions of 2 dimensions");
  if (infer.has(attentionBias) && infer.rank(attentionBias) != 4)
    return infer.error("takes a bias of 4 dimensions");
  if (infer.has(headSink) && infer.rank(headSink) != 1)
    return infer.error("takes a sink of 1 dimension");
  auto total = infer.shapeOperand(totalLength, "total_sequence_length");
  if (failed(total))
    return failure();
  if (total->size() != 1)
    return infer.error("takes one number as total_sequence_length");
  Parts p = partsOf(infer, d, total->front());
  if (!infer.has(key) && constantOf(infer.dims(query)[2]) &&
      *constantOf(infer.dims(query)[2]) != *constantOf(p.query.size) * (heads + 2 * keyHeads))
    return infer.error("has packed queries whose length is no multiple of the heads");
  const Part &q = p.query;
  SmallVector<std::pair<Dim, Dim>> equal = {{d.product(infer.dims(lastPositions)), q.batch},
                                            {d.max(p.after, q.rows), p.after}};
  if (infer.intAttr("do_rotary", 0)) {
    SmallVector<Dim> cosines = infer.dims(cosine), sines = infer.dims(sine);
    equal.append({{sines[0], cosines[0]}, {sines[1], cosines[1]}});
    equal.push_back({d.max(d.mul(cosines[1], d.constant(2)), q.size), q.size});
  }
  if (infer.has(positions))
    equal.append({{infer.dims(positions)[0], q.batch}, {infer.dims(positions)[1], q.rows}});
  if (infer.has(headSink))
    equal.push_back({infer.dims(headSink)[0], q.heads});
  if (failed(q.require(infer)) || failed(p.key.require(infer)) || failed(p.value.require(infer)) ||
      failed(requirePast(infer, pastKey, p.key, p.before)) ||
      failed(requirePast(infer, pastValue, p.value, p.before)) ||
      failed(requireBias(infer, attentionBias, q, p.after)) || failed(requireEqual(infer, equal)))
    return failure();
  infer.result(0, {q.batch, q.rows, d.mul(q.heads, q.size)}, infer.element(query));
  SmallVector<Dim> present = {q.batch, p.key.heads, p.after, p.key.size};
  Type element = infer.has(pastKey) ? infer.element(pastKey) : infer.element(query);
  infer.result(1, present, element);
  infer.result(2, present, element);
  return success();
}

static LogicalResult lowerGroupQuery(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Dim total = (*node.resolved("total_sequence_length"))[0];
  Parts p = partsOf(node, d, total);
  const Part &q = p.query;
  SmallVector<std::pair<Dim, Dim>> equal = {{d.product(node.dims(lastPositions)), q.batch},
                                            {d.max(p.after, q.rows), p.after}};
  auto isPrompt = [&](Kernel &k) {
    return k.b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, k.dim(total), k.dim(q.rows));
  };
  // The past of a batch entry: none in the first run, otherwise all positions but the new ones.
  auto firstPosition = [&](Kernel &k, Value b, bool checks) {
    Type type = node.element(lastPositions), i64 = k.b.getI64Type();
    Value last = castNumber(k.b, k.load(node.input(lastPositions), Index(node.dims(lastPositions), b)), type, i64);
    Value first = k.sub(k.add(last, k.constant(1)), k.dim(q.rows));
    first = k.select(isPrompt(k), k.constant(0), first);
    Value most = k.sub(k.dim(p.after), k.dim(q.rows));
    if (checks)
      k.check(arith::CmpIOp::create(k.b, arith::CmpIPredicate::ule, first, most));
    return k.max(k.constant(0), k.min(first, most));
  };

  bool rotates = node.intAttr("do_rotary", 0) != 0;
  Rotation rotation;
  rotation.size = q.size;
  rotation.interleaved = node.intAttr("rotary_interleaved", 0) != 0;
  if (rotates)
    rotation.width = d.mul(node.dims(cosine)[1], d.constant(2));
  auto rotated = [&](Kernel &k, const Part &part, Value b, Value h, Value row, Value i) {
    if (!rotates)
      return part.load(k, b, h, row, i);
    Value position = k.add(firstPosition(k, b, false), row);
    if (node.has(positions)) { // all rows of a first run follow the very first position
      auto given = [&](Value b, Value row) {
        return castNumber(k.b, k.load(node.input(positions), {b, row}), node.element(positions), k.b.getI64Type());
      };
      Value zero = k.constant(0);
      position = k.select(isPrompt(k), k.add(given(zero, zero), row), given(b, row));
    }
    position = checkedPosition(k, position, node.dims(cosine)[0]);
    Type to = computeType(node.element(query));
    auto entry = [&](unsigned table) {
      return [&, table](Value pair) {
        Value value = k.load(node.input(table), {position, pair});
        return castNumber(k.b, value, computeType(node.element(table)), to);
      };
    };
    return rotation.element(k, i, [&](Value at) { return part.load(k, b, h, row, at); }, entry(cosine), entry(sine));
  };

  StreamedAttention a;
  a.batch = q.batch, a.heads = q.heads, a.keyHeads = p.key.heads;
  a.rows = q.rows, a.keys = p.after, a.size = a.valueSize = q.size;
  a.element = node.element(query);
  Extension extension;
  extension.before = p.before, extension.after = p.after;
  extension.firstPosition = [&](Kernel &k, Value b) { return firstPosition(k, b, true); };
  auto present = [&](unsigned i) { return node.hasOutput(i) ? node.output(i) : Value(); };
  auto past = [&](unsigned i) { return node.has(i) ? node.input(i) : Value(); };
  a.value = allPositions(lowering, p.value, past(pastValue), present(2), 0, extension);
  extension.source = [&](Kernel &k, Value b, Value h, Value row, Value i) { return rotated(k, p.key, b, h, row, i); };
  a.key = allPositions(lowering, p.key, past(pastKey), present(1), 0, extension);
  if (node.has(attentionBias))
    a.bias = [&](Kernel &k, Value b, Value h, Value row, Value t, Value score) {
      return addBias(k, node.input(attentionBias), {b, h, row, t}, score);
    };
  if (node.floatAttr("scale", 0) != 0)
    a.scale = node.floatAttr("scale", 0);
  a.softcap = node.floatAttr("softcap", 0);
  a.after = 0;
  int64_t window = node.intAttr("local_window_size", -1); // counts the row's own position
  a.before = window < 0 ? -1 : std::max<int64_t>(window - 1, 0);
  a.firstPosition = [&](Kernel &k, Value b) { return firstPosition(k, b, false); };
  if (node.has(headSink))
    a.sink = [&](Kernel &k, Value head) { return k.load(node.input(headSink), {head}); };
  else if (node.intAttr("smooth_softmax", 0) == 1)
    a.sink = [&](Kernel &k, Value) { return numberConstant(k.b, a.element, 0); };
  a.query = [&](Kernel &k, Value b, Value h, Value row, Value i) { return rotated(k, q, b, h, row, i); };
  a.store = [&](Kernel &k, Value b, Value h, Value row, Value i, Value element) {
    k.store(node.output(), {b, row, k.add(k.mul(h, k.dim(q.size)), i)}, element);
  };
  emitAttention(lowering, a);
  return success();
}

void qcc::registerGroupQuery(OperatorRegistry &registry) {
  Operator op;
  op.domain = "com.microsoft", op.type = "GroupQueryAttention";
  op.infer = inferGroupQuery;
  op.extends = [](const Node &node) {
    Dim added = node.dims(query)[1];
    return SmallVector<Extended>{{pastKey, 1, positionAxis, added}, {pastValue, 2, positionAxis, added}};
  };
  op.lower = lowerGroupQuery;
  registry.add(op);
}
