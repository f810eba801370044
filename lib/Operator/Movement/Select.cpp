// Elements chosen by data, so that their number is known only while the program runs: NonZero and Compress.
#include "Register.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t chunk = 1024; // elements that a unit counts

namespace {
/// Counts the elements of [0, total) that are chosen, chunk by chunk, and then visits them with their rank.
class Selection {
public:
  using Test = std::function<Value(Kernel &, Value)>; // i1 of the element of that number

  Selection(Lowering &lowering, Dim total, Test test)
      : lowering(lowering), d(lowering.dims), total(total), chunks(d.ceilDiv(total, chunk)), test(std::move(test)) {
    starts = lowering.allocate(d.mul(d.add(chunks, d.constant(1)), d.constant(8)));
  }

  /// The number of chosen elements becomes the value of `symbol`.
  void count(Dim symbol) {
    Kernel k(lowering, "count_chosen", lowering.loc);
    Type i64 = k.b.getI64Type();
    Value base = k.argument(starts);
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      auto [from, to] = range(k, unit);
      Value one = k.constant(1), zero = k.constant(0);
      SmallVector<Value> sum = k.loop(from, to, ValueRange(zero), [&](Value i, ValueRange carried) {
        return SmallVector<Value>{k.add(carried[0], k.select(test(k, i), one, zero))};
      });
      k.storeAt(base, unit, i64, sum[0]);
    });
    k.launch(chunks, total);
    // Each chunk's count becomes the rank of its first element; the sum stands behind the last one.
    Kernel scan(lowering, "scan_chosen", lowering.loc);
    Value counts = scan.argument(starts);
    SmallVector<Value> sum =
        scan.loop(scan.constant(0), scan.dim(chunks), ValueRange(scan.constant(0)), [&](Value i, ValueRange carried) {
          Value own = scan.loadAt(counts, i, i64);
          scan.storeAt(counts, i, i64, carried[0]);
          return SmallVector<Value>{scan.add(carried[0], own)};
        });
    scan.storeAt(counts, scan.dim(chunks), i64, sum[0]);
    scan.launch(d.constant(1), chunks);
    Value last = lowering.size(chunks);
    lowering.define(symbol, tile::ReadOp::create(lowering.host, lowering.loc, i64, starts, last, TypeAttr::get(i64)));
  }

  /// body(k, element, rank) for every chosen element; the kernel has the arguments that `prepare` makes.
  void visit(StringRef name, Dim work, llvm::function_ref<void(Kernel &, Value, Value)> body) {
    Kernel k(lowering, name, lowering.loc);
    Value base = k.argument(starts);
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      auto [from, to] = range(k, unit);
      Value first = k.loadAt(base, unit, k.b.getI64Type());
      k.loop(from, to, ValueRange(first), [&](Value i, ValueRange carried) {
        Value chosen = test(k, i);
        k.when(chosen, [&] { body(k, i, carried[0]); });
        return SmallVector<Value>{k.add(carried[0], k.select(chosen, k.constant(1), k.constant(0)))};
      });
    });
    k.launch(chunks, work);
  }

private:
  std::pair<Value, Value> range(Kernel &k, Value unit) {
    Value from = k.mul(unit, k.constant(chunk));
    return {from, k.min(k.add(from, k.constant(chunk)), k.dim(total))};
  }

  Lowering &lowering;
  Dimensions &d;
  Dim total, chunks;
  Test test;
  Value starts;
};
} // namespace

// ---- NonZero

static LogicalResult inferNonZero(Infer &infer) {
  infer.result(0, {infer.dim().constant(infer.rank(0)), infer.counted("nonzero")},
               IntegerType::get(infer.op.getContext(), 64));
  return success();
}

static LogicalResult lowerNonZero(const Node &node, Lowering &lowering) {
  Value source = node.input(0);
  Type element = node.element(0);
  SmallVector<Dim> shape = node.dims(0);
  Dim total = lowering.dims.product(shape), count = node.resolved("counts")->front();
  lowering.storage(source); // read twice
  Selection selection(lowering, total, [&](Kernel &k, Value i) {
    return castNumber(k.b, k.load(source, Index(shape, i)), element, k.b.getI1Type());
  });
  selection.count(count);
  Value result = lowering.storage(node.output());
  selection.visit("nonzero", total, [&](Kernel &k, Value i, Value rank) {
    for (auto [axis, coordinate] : llvm::enumerate(k.delinearize(i, shape)))
      k.storeAt(k.argument(result), k.add(k.mul(k.constant(int64_t(axis)), k.dim(count)), rank), k.b.getI64Type(),
                coordinate);
  });
  return success();
}

// ---- Compress

/// The axis to choose along; none when the operand is flattened.
static std::optional<int64_t> compressAxis(const Node &node) {
  if (!node.hasAttr("axis"))
    return std::nullopt;
  int64_t axis = node.intAttr("axis", 0);
  return axis < 0 ? axis + node.rank(0) : axis;
}

static LogicalResult inferCompress(Infer &infer) {
  Dimensions &d = infer.dim();
  if (infer.hasAttr("axis") && failed(infer.axis(infer.intAttr("axis", 0), infer.rank(0))))
    return failure();
  if (infer.rank(1) != 1 || !infer.element(1).isInteger(1))
    return infer.error("has a condition that is no list of booleans");
  SmallVector<Dim> in = infer.dims(0), result;
  auto axis = compressAxis(infer);
  Dim length = axis ? in[*axis] : d.product(in);
  infer.requireEqual(d.max(length, infer.dims(1)[0]), length);
  if (axis)
    result = in;
  else
    result.resize(1);
  result[axis.value_or(0)] = infer.counted("chosen");
  infer.result(0, result, infer.element(0));
  return success();
}

static LogicalResult lowerCompress(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  Value source = node.input(0), condition = node.input(1);
  SmallVector<Dim> in = node.dims(0), whole = {d.product(in)};
  auto axis = compressAxis(node);
  ArrayRef<Dim> all = axis ? ArrayRef<Dim>(in) : ArrayRef<Dim>(whole);
  ArrayRef<Dim> outer = all.take_front(axis.value_or(0));
  Dim length = all[axis.value_or(0)], inner = d.product(all.drop_front(axis.value_or(0) + 1));
  lowering.storage(source), lowering.storage(condition);
  Selection selection(lowering, node.dims(1)[0],
                      [&](Kernel &k, Value i) { return k.load(condition, Index(node.dims(1), i)); });
  Dim count = node.resolved("counts")->front();
  selection.count(count);
  Value result = lowering.storage(node.output());
  Dim rows = d.product(outer);
  selection.visit("compress", d.product(node.outputDims()), [&](Kernel &k, Value i, Value rank) {
    k.loop(k.constant(0), k.dim(rows), [&](Value row) {
      Value from = k.mul(k.add(k.mul(row, k.dim(length)), i), k.dim(inner));
      Value to = k.mul(k.add(k.mul(row, k.dim(count)), rank), k.dim(inner));
      k.loop(k.constant(0), k.dim(inner),
             [&](Value j) { k.move(source, Index(all, k.add(from, j)), k.argument(result), k.add(to, j)); });
    });
  });
  return success();
}

void qcc::registerSelect(OperatorRegistry &registry) {
  registry.add("", "NonZero", inferNonZero, lowerNonZero);
  registry.add("", "Compress", inferCompress, lowerCompress);
}
