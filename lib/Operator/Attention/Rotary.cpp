// RotaryEmbedding of ONNX and of com.microsoft.
#include "Register.h"
#include "Rotation.h"
#include "Streamed.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

Value Rotation::element(Kernel &k, Value i, llvm::function_ref<Value(Value)> x, llvm::function_ref<Value(Value)> cosine,
                        llvm::function_ref<Value(Value)> sine) const {
  Dimensions &d = k.lowering.dims;
  Value two = k.constant(2), half = k.dim(d.floorDiv(width, d.constant(2)));
  Value isFirst, pair, partner;
  if (interleaved) {
    Value odd = k.rem(i, two);
    isFirst = arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, odd, k.constant(0));
    pair = k.div(i, two);
    partner = k.select(isFirst, k.add(i, k.constant(1)), k.sub(i, k.constant(1)));
  } else {
    isFirst = k.less(i, half);
    pair = k.select(isFirst, i, k.sub(i, half));
    partner = k.select(isFirst, k.add(i, half), k.sub(i, half));
  }
  bool partial = width != size;
  if (partial) { // elements that are not turned read something that is there
    pair = k.min(pair, k.max(k.sub(half, k.constant(1)), k.constant(0)));
    partner = k.min(partner, k.sub(k.dim(size), k.constant(1)));
  }
  Value same = x(i), turn = multiply(k, x(partner), sine(pair));
  Value value = plus(k, multiply(k, same, cosine(pair)), k.select(isFirst, arith::NegFOp::create(k.b, turn), turn));
  return partial ? k.select(k.less(i, k.dim(width)), value, same) : value;
}

Value qcc::checkedPosition(Kernel &k, Value position, Dim length) {
  Value isThere = arith::CmpIOp::create(k.b, arith::CmpIPredicate::ult, position, k.dim(length));
  k.check(isThere);
  return k.select(isThere, position, k.constant(0));
}

namespace {
/// The operands by their places, which differ between the domains.
struct Places {
  unsigned cosine, sine, positions;
  explicit Places(const Node &node) {
    if (node.op.getDomain().empty())
      cosine = 1, sine = 2, positions = 3;
    else
      positions = 1, cosine = 2, sine = 3;
  }
};
} // namespace

/// The elements of a head; fails when they cannot be told.
static FailureOr<Rotation> rotationOf(const Node &node, Dimensions &d) {
  Places at(node);
  Rotation r;
  r.interleaved = node.intAttr("interleaved", 0) != 0;
  Dim pairs = node.dims(at.cosine).back();
  int64_t width = node.intAttr("rotary_embedding_dim", 0), heads = node.intAttr("num_heads", 0);
  if (node.rank(0) == 4)
    r.size = node.dims(0)[3];
  else if (heads > 0)
    r.size = d.floorDiv(node.dims(0)[2], d.constant(heads));
  else if (!node.op.getDomain().empty() && width == 0) // com.microsoft tells the size by its table
    r.size = d.mul(pairs, d.constant(2));
  else
    return node.error("needs num_heads for an operand of 3 dimensions");
  r.width = width ? d.constant(width) : r.size;
  return r;
}

static LogicalResult inferRotary(Infer &infer) {
  Places at(infer);
  if (infer.inputs() < 3 || !infer.has(0) || !infer.has(at.cosine) || !infer.has(at.sine))
    return infer.error("needs an operand and tables of cosines and sines");
  if (infer.rank(0) != 3 && infer.rank(0) != 4)
    return infer.error("takes an operand of 3 or 4 dimensions");
  for (unsigned i : {0u, at.cosine, at.sine})
    if (!isFloat(infer.element(i)))
      return infer.error("takes floats");
  if (infer.intAttr("is_packed_batching", 0) || infer.floatAttr("scale", 1) != 1)
    return infer.unsupported("packed batches and scaled positions; export the model without them");
  int64_t tableRank = infer.has(at.positions) ? 2 : 3;
  if (infer.rank(at.cosine) != tableRank || infer.rank(at.sine) != tableRank)
    return infer.error("takes tables of " + Twine(tableRank) + " dimensions here");
  if (infer.has(at.positions) && (infer.rank(at.positions) > 2 || isFloat(infer.element(at.positions))))
    return infer.error("takes integer positions of 1 or 2 dimensions");
  auto rotation = rotationOf(infer, infer.dim());
  if (failed(rotation))
    return failure();
  auto size = constantOf(rotation->size), width = constantOf(rotation->width),
       pairs = constantOf(infer.dims(at.cosine).back());
  if ((size && width && *width > *size) || (width && (*width % 2 || (pairs && *pairs * 2 != *width))))
    return infer.error("has tables that do not fit the elements to rotate");
  Dimensions &d = infer.dim();
  Dim batch = infer.dims(0)[0], rows = infer.dims(0)[infer.rank(0) == 4 ? 2 : 1];
  SmallVector<Dim> cosines = infer.dims(at.cosine), sines = infer.dims(at.sine);
  SmallVector<std::pair<Dim, Dim>> equal = {{d.mul(cosines.back(), d.constant(2)), rotation->width},
                                            {d.max(rotation->width, rotation->size), rotation->size}};
  for (auto [a, b] : llvm::zip(sines, cosines))
    equal.push_back({a, b});
  if (!infer.has(at.positions))
    equal.append({{d.ifEqual(cosines[0], d.constant(1), batch, cosines[0]), batch}, {cosines[1], rows}});
  else if (infer.rank(at.positions) == 2)
    equal.append({{infer.dims(at.positions)[0], batch}, {infer.dims(at.positions)[1], rows}});
  else
    equal.push_back({infer.dims(at.positions)[0], d.constant(1)});
  if (failed(requireEqual(infer, equal)))
    return failure();
  infer.result(0, infer.dims(0), infer.element(0));
  return success();
}

static Value rotatedElement(const Node &node, Kernel &k, const Index &index) {
  Dimensions &d = k.lowering.dims;
  Places at(node);
  Rotation r = *rotationOf(node, d);
  SmallVector<Value> place = index.coords(k);
  Value batch = place[0], position, head, i;
  bool flat = place.size() == 3;
  if (flat) {
    position = place[1], head = k.div(place[2], k.dim(r.size)), i = k.rem(place[2], k.dim(r.size));
  } else {
    head = place[1], position = place[2], i = place[3];
  }
  auto x = [&](Value at) {
    if (flat)
      return k.load(node.input(0), {batch, position, k.add(k.mul(head, k.dim(r.size)), at)});
    return k.load(node.input(0), {batch, head, position, at});
  };
  SmallVector<Value> row;
  if (node.has(at.positions)) {
    SmallVector<Dim> dims = node.dims(at.positions);
    Value number;
    Type type = node.element(at.positions), i64 = k.b.getI64Type();
    if (dims.size() == 2) {
      number = castNumber(k.b, k.load(node.input(at.positions), {batch, position}), type, i64);
    } else { // the first position; the others follow it
      Value first = k.load(node.input(at.positions), Index(dims, ValueRange{k.constant(0)}));
      number = k.add(castNumber(k.b, first, type, i64), position);
    }
    row = {checkedPosition(k, number, node.dims(at.cosine)[0])};
  } else { // a row for each position, of one batch entry for all or of each
    Value shared =
        k.b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, k.dim(node.dims(at.cosine)[0]), k.constant(1));
    row = {k.select(shared, k.constant(0), batch), position};
  }
  auto entry = [&](unsigned table) {
    return [&, table](Value pair) {
      SmallVector<Value> place(row);
      place.push_back(pair);
      return castNumber(k.b, k.load(node.input(table), place), computeType(node.element(table)),
                        computeType(node.element(0)));
    };
  };
  return r.element(k, i, x, entry(at.cosine), entry(at.sine));
}

void qcc::registerRotary(OperatorRegistry &registry) {
  for (StringRef domain : {"", "com.microsoft"}) {
    Operator op;
    op.domain = domain, op.type = "RotaryEmbedding";
    op.infer = inferRotary;
    op.element = rotatedElement;
    op.cost = 8;
    op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
    registry.add(op);
  }
}
