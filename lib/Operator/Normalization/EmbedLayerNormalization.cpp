// com.microsoft's EmbedLayerNormalization: the sum of word, position and segment embeddings, normalized.
#include "Register.h"
#include "Rows.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

// Operands and results.
static constexpr unsigned inputIds = 0, segmentIds = 1, words = 2, positions = 3, segments = 4, factors = 5,
                          offsets = 6, mask = 7, positionIds = 8;
static constexpr unsigned maskIndex = 1, embeddingSum = 2;

static LogicalResult inferEmbed(Infer &infer) {
  for (unsigned i : {inputIds, words, positions, factors, offsets})
    if (!infer.has(i))
      return infer.error("lacks operand " + Twine(i));
  if (infer.rank(inputIds) != 2 || infer.rank(words) != 2 || infer.rank(positions) != 2)
    return infer.error("takes a matrix of numbers of words, and matrices of embeddings");
  if (infer.has(segmentIds) != infer.has(segments))
    return infer.error("has segments without embeddings of them, or the other way round");
  for (unsigned i : {inputIds, segmentIds, mask, positionIds})
    if (infer.has(i) && (!isa<IntegerType>(infer.element(i)) || infer.rank(i) != 2))
      return infer.error("has operand " + Twine(i) + ", which is no matrix of integers");
  SmallVector<Dim> ids = infer.dims(inputIds);
  Dim hidden = infer.dims(words)[1];
  infer.requireEqual(infer.dims(positions)[1], hidden);
  for (unsigned i : {segmentIds, mask})
    if (infer.has(i))
      for (unsigned axis : {0u, 1u})
        infer.requireEqual(infer.dims(i)[axis], ids[axis]);
  if (infer.has(positionIds)) {
    infer.requireEqual(infer.dims(positionIds)[1], ids[1]);
    if (constantOf(infer.dims(positionIds)[0]) != 1)
      infer.requireEqual(infer.dims(positionIds)[0], ids[0]);
  }
  if (infer.has(segments))
    infer.requireEqual(infer.dims(segments)[1], hidden);
  for (unsigned i : {factors, offsets})
    infer.requireEqual(infer.dims(i)[0], hidden);
  SmallVector<Dim> result = {ids[0], ids[1], hidden};
  infer.result(0, result, infer.element(words));
  infer.result(maskIndex, {ids[0]}, IntegerType::get(infer.op.getContext(), 32));
  infer.result(embeddingSum, result, infer.element(words));
  return success();
}

/// The number of ones in each row of the mask, or 0 where there is none.
static void emitMaskIndex(const Node &node, Lowering &lowering) {
  SmallVector<Dim> ids = node.dims(inputIds);
  Type i32 = IntegerType::get(node.op.getContext(), 32);
  lowering.forEach(ids[0], "mask_index", ids[1], [&](Kernel &k, ArrayRef<Value> at) {
    Value count = numberConstant(k.b, i32, 0);
    if (node.has(mask))
      count = k.loop(k.constant(0), k.dim(ids[1]), count, [&](Value i, ValueRange sum) {
        Value one = castNumber(k.b, k.load(node.input(mask), {at[0], i}), node.element(mask), i32);
        Value isOne = arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, one, numberConstant(k.b, i32, 1));
        return SmallVector<Value>{plus(k, sum[0], castNumber(k.b, isOne, k.b.getI1Type(), i32))};
      })[0];
    k.store(node.output(maskIndex), at, count);
  });
}

static LogicalResult lowerEmbed(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> ids = node.dims(inputIds);
  Dim hidden = node.dims(words)[1];
  SmallVector<Dim> result = {ids[0], ids[1], hidden};
  Type element = node.element(words), type = accumulatorOf(element), i64 = IntegerType::get(element.getContext(), 64);
  if (node.hasOutput(maskIndex))
    emitMaskIndex(node, lowering);
  Rows rows;
  rows.count = dims.mul(ids[0], ids[1]), rows.length = hidden;
  rows.type = type;
  rows.epsilon = node.floatAttr("epsilon", 1e-12);
  rows.keeps = true;
  rows.load = [&](Kernel &k, Value row) -> std::function<Value(Value)> {
    Value batch = k.div(row, k.dim(ids[1])), at = k.rem(row, k.dim(ids[1]));
    auto number = [&](unsigned i) { return castNumber(k.b, k.load(node.input(i), {batch, at}), node.element(i), i64); };
    SmallVector<std::pair<unsigned, Value>> tables = {{words, number(inputIds)}, {positions, at}};
    if (node.has(positionIds)) {
      Value first = constantOf(node.dims(positionIds)[0]) == 1 ? k.constant(0) : batch;
      tables[1].second = castNumber(k.b, k.load(node.input(positionIds), {first, at}), node.element(positionIds), i64);
    }
    if (node.has(segments))
      tables.push_back({segments, number(segmentIds)});
    for (auto &[table, line] : tables) { // a number that its table does not have ends the run
      Value length = k.dim(node.dims(table)[0]), zero = k.constant(0);
      k.check(k.both(k.less(line, length), k.less(k.constant(-1), line)));
      line = k.max(k.min(line, k.sub(length, k.constant(1))), zero);
    }
    Value start = k.mul(row, k.dim(hidden));
    return [=, &k, &node](Value i) {
      Value sum;
      for (auto [table, line] : tables) {
        Value term = castNumber(k.b, k.load(node.input(table), {line, i}), node.element(table), type);
        sum = sum ? plus(k, sum, term) : term;
      }
      if (node.hasOutput(embeddingSum))
        k.store(node.output(embeddingSum), Index(result, k.add(start, i)), sum);
      return sum;
    };
  };
  rows.store = [&](Kernel &k, const Team &team, Value row, const Moments &moments, llvm::function_ref<Value(Value)> x) {
    Value start = k.mul(row, k.dim(hidden));
    team.each(k.constant(0), k.dim(hidden), [&](Value i) {
      auto parameter = [&](unsigned operand) {
        return castNumber(k.b, k.load(node.input(operand), ArrayRef<Value>(i)), node.element(operand), type);
      };
      Value y = scaleAndShift(k, moments.normalize(k, x(i)), parameter(factors), parameter(offsets));
      k.store(node.output(), Index(result, k.add(start, i)), y);
    });
  };
  emitRows(lowering, "embedlayernormalization", rows);
  return success();
}

void qcc::registerEmbedLayerNormalization(OperatorRegistry &registry) {
  registry.add("com.microsoft", "EmbedLayerNormalization", inferEmbed, lowerEmbed);
}
