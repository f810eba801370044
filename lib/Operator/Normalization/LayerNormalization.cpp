// LayerNormalization and RMSNormalization over the last axes, and com.microsoft's forms of them with a sum before.
#include "Register.h"
#include "Rows.h"
#include "qcc/Target/DeviceRounding.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t shortestRow = 64;        // whose threads share it
static constexpr int64_t mostRowBytes = 32 << 10; // of shared memory, of a row that is computed where it is read

namespace {
/// The parts of a node of these operators.
struct LayerNorm {
  bool hasMean;
  unsigned scale, bias;         // operands; as many as there are when absent
  unsigned mean, inverse;       // results
  unsigned skip, skipBias, sum; // of the forms that add first: operands and a result
  bool adds;

  explicit LayerNorm(const Node &node) {
    StringRef type = node.type();
    hasMean = type == "LayerNormalization" || type == "SkipLayerNormalization";
    adds = type.starts_with("Skip");
    constexpr unsigned none = ~0u;
    scale = adds ? 2 : 1;
    bias = hasMean ? scale + 1 : none;
    skip = adds ? 1 : none;
    skipBias = !adds ? none : hasMean ? 4 : 3;
    sum = adds ? 3 : none;
    // RMSNormalization has no statistics among its results; SimplifiedLayerNormalization has the inverse alone.
    mean = hasMean || adds ? 1 : none;
    inverse = hasMean || adds ? 2 : type == "SimplifiedLayerNormalization" ? 1 : none;
  }
};
} // namespace

static FailureOr<int64_t> axisOf(const Node &node) {
  return node.axis(node.type().starts_with("Skip") ? -1 : node.intAttr("axis", -1), node.rank(0));
}

static Type computedIn(const Node &node) { return accumulatorOf(node.element(0)); }

/// The type of the statistics: what stash_type says.
static FailureOr<Type> statisticsType(const Node &node) {
  Builder b(node.op.getContext());
  switch (node.intAttr("stash_type", 1)) {
  case 1:
    return Type(b.getF32Type());
  case 10:
    return Type(b.getF16Type());
  case 11:
    return Type(b.getF64Type());
  case 16:
    return Type(b.getBF16Type());
  default:
    return node.error("has the stash_type " + Twine(node.intAttr("stash_type", 1)) + ", which is no float type");
  }
}

static LogicalResult inferLayerNorm(Infer &infer) {
  LayerNorm parts(infer);
  if (infer.inputs() <= parts.scale || !infer.has(0) || !infer.has(parts.scale) || (parts.adds && !infer.has(1)))
    return infer.error("takes " + Twine(parts.adds ? "two operands" : "an operand") + " and a scale");
  if (!isFloat(infer.element(0)))
    return infer.error("takes numbers of a float type");
  auto axis = axisOf(infer);
  auto statistics = statisticsType(infer);
  if (failed(axis) || failed(statistics))
    return failure();
  SmallVector<Dim> x = infer.dims(0);
  for (unsigned i : {parts.scale, parts.bias, parts.skip, parts.skipBias})
    if (infer.has(i)) {
      if (infer.rank(i) > infer.rank(0) || !isFloat(infer.element(i)))
        return infer.error("has operand " + Twine(i) + ", which does not broadcast to its first one");
      for (auto [a, b] : llvm::zip(infer.broadcast({x, infer.dims(i)}), x))
        infer.requireEqual(a, b);
    }
  infer.result(0, x, infer.element(0));
  SmallVector<Dim> reduced = x;
  for (Dim &dim : MutableArrayRef(reduced).drop_front(*axis))
    dim = infer.dim().constant(1);
  for (unsigned i : {parts.mean, parts.inverse})
    if (infer.hasOutput(i))
      infer.result(i, reduced, *statistics);
  if (infer.hasOutput(parts.sum))
    infer.result(parts.sum, x, infer.element(0));
  return success();
}

/// Reads an operand that is broadcast to the first one, at element i of a row.
static std::function<Value(Value)> rowOf(const Node &node, Kernel &k, unsigned operand, int64_t axis, Value row) {
  SmallVector<Dim> x = node.dims(0), dims = node.dims(operand);
  Dim length = k.lowering.dims.product(ArrayRef(x).drop_front(axis));
  Value tensor = node.input(operand), start = k.mul(row, k.dim(length));
  Type from = node.element(operand), to = computedIn(node);
  auto load = [=, &k](const Index &index) { return castNumber(k.b, k.load(tensor, index), from, to); };
  if (dims == x)
    return [=, &k](Value i) { return load(Index(x, k.add(start, i))); };
  if (ArrayRef(dims) == ArrayRef(x).drop_front(axis)) // the same for every row
    return [=](Value i) { return load(dims.size() == 1 ? Index(dims, ValueRange(i), i) : Index(dims, i)); };
  SmallVector<Value> outer = k.delinearize(row, ArrayRef(x).take_front(axis));
  return [=, &k](Value i) {
    SmallVector<Value> at = outer;
    llvm::append_range(at, k.delinearize(i, ArrayRef(x).drop_front(axis)));
    return load(k.broadcastIndex(Index(x, at, k.add(start, i)), dims));
  };
}

/// Takes element `i` of a row, of whose result it is number `at`.
using TakeElement = std::function<void(Kernel &, Value i, const Index &at, Value y)>;

static Rows rowsOf(const Node &node, Lowering &lowering, int64_t axis, const TakeElement &take) {
  LayerNorm parts(node);
  SmallVector<Dim> x = node.dims(0);
  Type type = computedIn(node);
  Rows rows;
  rows.count = lowering.dims.product(ArrayRef(x).take_front(axis));
  rows.length = lowering.dims.product(ArrayRef(x).drop_front(axis));
  rows.type = type;
  rows.hasMean = parts.hasMean;
  rows.epsilon = node.floatAttr("epsilon", parts.adds ? 1e-12 : 1e-5);
  rows.keeps = parts.adds || lowering.isFused(node.input(0)) || node.element(0) != type;
  Dim length = rows.length;
  rows.load = [=](Kernel &k, Value row) -> std::function<Value(Value)> {
    SmallVector<std::function<Value(Value)>> terms;
    for (unsigned i : {0u, parts.skip, parts.skipBias})
      if (node.has(i))
        terms.push_back(rowOf(node, k, i, axis, row));
    Value start = k.mul(row, k.dim(length));
    return [=, &k](Value i) {
      Value sum = terms[0](i);
      for (const auto &term : ArrayRef(terms).drop_front())
        sum = arith::AddFOp::create(k.b, sum, term(i));
      if (node.hasOutput(parts.sum))
        k.store(node.output(parts.sum), Index(x, k.add(start, i)), sum);
      return sum;
    };
  };
  rows.store = [=](Kernel &k, const Team &team, Value row, const Moments &moments,
                   llvm::function_ref<Value(Value)> element) {
    for (auto [i, value] : {std::pair(parts.mean, moments.mean), std::pair(parts.inverse, moments.inverse)})
      if (node.hasOutput(i))
        team.once([&, i = i, value = value] {
          k.store(node.output(i), Index(node.outputDims(i), row),
                  castNumber(k.b, value ? value : numberConstant(k.b, type, 0), type, node.outputElement(i)));
        });
    auto scale = rowOf(node, k, parts.scale, axis, row);
    std::function<Value(Value)> bias;
    if (node.has(parts.bias))
      bias = rowOf(node, k, parts.bias, axis, row);
    SmallVector<Value> outer = k.delinearize(row, ArrayRef(x).take_front(axis));
    Value start = k.mul(row, k.dim(length));
    team.each(k.constant(0), k.dim(length), [&](Value i) {
      Value y = scaleAndShift(k, moments.normalize(k, element(i)), scale(i), bias ? bias(i) : Value());
      SmallVector<Value> at = outer;
      llvm::append_range(at, k.delinearize(i, ArrayRef(x).drop_front(axis)));
      take(k, i, Index(x, at, k.add(start, i)), y);
    });
  };
  return rows;
}

/// Whether the kernels that round the result of a row for linear operations compute it themselves.
static bool leavesRows(const Node &node, const Rows &rows, Lowering &lowering) {
  auto length = constantOf(rows.length);
  if (!length || *length < shortestRow || !rows.type.isF32() || node.outputElement() != rows.type ||
      lowering.epilogue(node.output()) || *length * storageBytes(rows.type) * (1 + rows.keeps) > mostRowBytes ||
      dimsOf(node.output().getType()).back() != rows.length)
    return false;
  for (unsigned i = 1; i < node.outputs(); ++i)
    if (node.hasOutput(i))
      return false;
  return roundsRowsOf(lowering, node.output());
}

static LogicalResult lowerLayerNorm(const Node &node, Lowering &lowering) {
  auto axis = axisOf(node);
  if (failed(axis))
    return failure();
  Rows rows =
      rowsOf(node, lowering, *axis, [=](Kernel &k, Value, const Index &at, Value y) { k.store(node.output(), at, y); });
  if (!leavesRows(node, rows, lowering)) {
    emitRows(lowering, node.type().lower(), rows);
    return success();
  }
  RowProgram program;
  program.name = node.type().lower();
  program.write = [node, &lowering, axis = *axis](Kernel &k, const Team &team, Value row,
                                                  llvm::function_ref<void(Value, Value)> take) {
    Rows rows = rowsOf(node, lowering, axis, [&](Kernel &, Value i, const Index &, Value y) { take(i, y); });
    Value kept = rows.keeps ? team.scratch(*constantOf(rows.length) * storageBytes(rows.type)) : Value();
    emitRow(k, team, rows, row, kept, k.constant(0));
  };
  lowering.leaveRows(node.output(), std::move(program));
  return success();
}

void qcc::registerLayerNormalization(OperatorRegistry &registry) {
  auto add = [&](StringRef domain, StringRef type) {
    Operator op;
    op.domain = domain, op.type = type;
    op.infer = inferLayerNorm;
    op.lower = lowerLayerNorm;
    op.acceptsEpilogue = true;
    op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
    registry.add(op);
  };
  add("", "LayerNormalization");
  add("", "RMSNormalization");
  add("", "SimplifiedLayerNormalization");
  add("com.microsoft", "SimplifiedLayerNormalization");
  add("com.microsoft", "SkipLayerNormalization");
  add("com.microsoft", "SkipSimplifiedLayerNormalization");
}
