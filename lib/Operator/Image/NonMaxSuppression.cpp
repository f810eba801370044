#include "Register.h"
#include "qcc/Tile/Lowering.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferNonMaxSuppression(Infer &infer) {
  Dimensions &d = infer.dim();
  if (infer.rank(0) != 3 || infer.rank(1) != 3 || !isFloat(infer.element(0)) || !isFloat(infer.element(1)))
    return infer.error("has boxes or scores that are no floats of rank 3");
  infer.requireEqual(infer.dims(0)[0], infer.dims(1)[0]);
  infer.requireEqual(infer.dims(0)[1], infer.dims(1)[2]);
  infer.requireEqual(infer.dims(0)[2], d.constant(4));
  for (unsigned i = 2; i < 5; ++i)
    if (infer.has(i))
      infer.requireEqual(d.product(infer.dims(i)), d.constant(1));
  infer.result(0, {infer.counted("selected"), d.constant(3)}, IntegerType::get(infer.op.getContext(), 64));
  return success();
}

namespace {
/// A box by its corners, the smaller ones first.
struct Box {
  Real y1 = 0.0, x1 = 0.0, y2 = 0.0, x2 = 0.0;
};

class SuppressionWriter {
public:
  SuppressionWriter(const Node &node, Lowering &lowering)
      : node(node), lowering(lowering), d(lowering.dims), batches(node.dims(1)[0]), classes(node.dims(1)[1]),
        boxes(node.dims(1)[2]), pairs(d.mul(batches, classes)) {}

  void write() {
    for (unsigned i = 0; i < node.inputs(); ++i)
      if (node.has(i))
        lowering.storage(node.input(i));
    Dim entries = d.mul(pairs, boxes);
    scores = lowering.allocate(d.mul(entries, d.constant(4)));
    picked = lowering.allocate(d.mul(entries, d.constant(4)));
    counts = lowering.allocate(d.mul(d.add(pairs, d.constant(1)), d.constant(8)));
    pick();
    sum();
    Dim count = node.resolved("counts")->front();
    Value total = lowering.size(pairs);
    Type i64 = lowering.host.getI64Type();
    lowering.define(count, tile::ReadOp::create(lowering.host, lowering.loc, i64, counts, total, TypeAttr::get(i64)));
    list();
  }

private:
  Value scalar(Kernel &k, unsigned i) {
    Value zero = k.constant(0);
    return k.load(node.input(i), Index(node.dims(i), SmallVector<Value>(node.rank(i), zero), zero));
  }
  Real number(Kernel &k, unsigned i, double otherwise) {
    Type f32 = k.b.getF32Type();
    return {k.b,
            node.has(i) ? castNumber(k.b, scalar(k, i), node.element(i), f32) : numberConstant(k.b, f32, otherwise)};
  }

  Box box(Kernel &k, Value batch, Value i) {
    Value first = k.mul(k.add(k.mul(batch, k.dim(boxes)), i), k.constant(4));
    Real v[4] = {0.0, 0.0, 0.0, 0.0};
    for (int64_t j = 0; j < 4; ++j)
      v[j] = Real(k.b, castNumber(k.b, k.loadAt(k.pointer(node.input(0)), k.add(first, k.constant(j)), node.element(0)),
                                  node.element(0), k.b.getF32Type()));
    if (node.intAttr("center_point_box", 0)) { // x and y of the centre, width, height
      Real halfWidth = v[2] / 2, halfHeight = v[3] / 2;
      return {v[1] - halfHeight, v[0] - halfWidth, v[1] + halfHeight, v[0] + halfWidth};
    }
    return {minimum(v[0], v[2]), minimum(v[1], v[3]), maximum(v[0], v[2]), maximum(v[1], v[3])};
  }

  /// Whether the boxes' intersection is more than `most` of their union.
  Value overlaps(Kernel &k, const Box &a, const Box &b, Real most) {
    Real height = minimum(a.y2, b.y2) - maximum(a.y1, b.y1), width = minimum(a.x2, b.x2) - maximum(a.x1, b.x1);
    Real common = height * width, areaA = (a.y2 - a.y1) * (a.x2 - a.x1), areaB = (b.y2 - b.y1) * (b.x2 - b.x1);
    Real all = areaA + areaB - common;
    Value real = k.both(k.both(height > 0, width > 0), k.both(areaA > 0, areaB > 0));
    return k.both(k.both(real, all > 0), common / all > most);
  }

  /// For each class of each batch: takes the best box that is left, again and again, and drops what overlaps it.
  void pick() {
    Kernel k(lowering, "nms_pick", lowering.loc);
    Type f32 = k.b.getF32Type(), i32 = k.b.getI32Type(), i64 = k.b.getI64Type();
    Value left = k.argument(scores), chosen = k.argument(picked), sums = k.argument(counts), zero = k.constant(0);
    Value gone = lowestNumber(k.b, f32), n = k.dim(boxes);
    Real most = number(k, 3, 0), threshold = number(k, 4, 0);
    Value limit = node.has(2) ? castNumber(k.b, scalar(k, 2), node.element(2), i64) : zero;
    limit = k.min(limit, n);
    k.loop(k.lo(), k.hi(), [&](Value pair) {
      Value first = k.mul(pair, n), batch = k.div(pair, k.dim(classes));
      k.loop(zero, n, [&](Value i) {
        Value at = k.add(first, i);
        Real score(k.b, castNumber(k.b, k.loadAt(k.pointer(node.input(1)), at, node.element(1)), node.element(1), f32));
        Value taken = node.has(4) ? score > threshold : score == score;
        k.storeAt(left, at, f32, k.select(taken, score.value(), gone));
      });
      SmallVector<Value> start = {zero, k.equal(zero, zero)}; // how many are taken; whether there may be more
      Value found = k.loop(zero, limit, start, [&](Value, ValueRange carried) {
        auto none = [&] { return carried[0]; };
        Value next = k.branch(
            carried[1],
            [&] {
              SmallVector<Value> init = {gone, k.constant(-1)};
              SmallVector<Value> best = k.loop(zero, n, init, [&](Value i, ValueRange before) {
                Value score = k.loadAt(left, k.add(first, i), f32);
                Value better = Real(k.b, score) > Real(k.b, before[0]);
                return SmallVector<Value>{k.select(better, score, before[0]), k.select(better, i, before[1])};
              });
              Value any = arith::CmpIOp::create(k.b, arith::CmpIPredicate::sge, best[1], zero);
              k.when(any, [&] {
                k.storeAt(chosen, k.add(first, carried[0]), i32, arith::TruncIOp::create(k.b, i32, best[1]));
                Box taken = box(k, batch, best[1]);
                k.loop(zero, n, [&](Value i) {
                  Value at = k.add(first, i), score = k.loadAt(left, at, f32);
                  Value drops =
                      arith::OrIOp::create(k.b, overlaps(k, taken, box(k, batch, i), most), k.equal(i, best[1]));
                  k.storeAt(left, at, f32, k.select(drops, gone, score));
                });
              });
              return k.add(carried[0], k.select(any, k.constant(1), zero));
            },
            none);
        return SmallVector<Value>{next, arith::CmpIOp::create(k.b, arith::CmpIPredicate::ne, next, carried[0])};
      })[0];
      k.storeAt(sums, pair, i64, found);
    });
    k.launch(pairs, d.mul(d.mul(pairs, boxes), d.constant(256)));
  }

  /// Each count becomes the number of the first row of its pair; all rows stand behind the last one.
  void sum() {
    Kernel k(lowering, "nms_sum", lowering.loc);
    Type i64 = k.b.getI64Type();
    Value sums = k.argument(counts);
    Value all = k.loop(k.constant(0), k.dim(pairs), ValueRange(k.constant(0)), [&](Value i, ValueRange carried) {
      Value own = k.loadAt(sums, i, i64);
      k.storeAt(sums, i, i64, carried[0]);
      return SmallVector<Value>{k.add(carried[0], own)};
    })[0];
    k.storeAt(sums, k.dim(pairs), i64, all);
    k.launch(d.constant(1), pairs);
  }

  void list() {
    Value result = lowering.storage(node.output());
    lowering.forEach({pairs}, "nms_list", boxes, [&](Kernel &k, ArrayRef<Value> index) {
      Type i64 = k.b.getI64Type();
      Value pair = index[0], sums = k.argument(counts), rows = k.argument(result);
      Value from = k.loadAt(sums, pair, i64), to = k.loadAt(sums, k.add(pair, k.constant(1)), i64);
      k.loop(from, to, [&](Value row) {
        Value entry = k.add(k.mul(pair, k.dim(boxes)), k.sub(row, from));
        Value box = arith::ExtSIOp::create(k.b, i64, k.loadAt(k.argument(picked), entry, k.b.getI32Type()));
        Value fields[] = {k.div(pair, k.dim(classes)), k.rem(pair, k.dim(classes)), box};
        for (auto [i, field] : llvm::enumerate(fields))
          k.storeAt(rows, k.add(k.mul(row, k.constant(3)), k.constant(int64_t(i))), i64, field);
      });
    });
  }

  const Node &node;
  Lowering &lowering;
  Dimensions &d;
  Dim batches, classes, boxes, pairs;
  Value scores, picked, counts;
};
} // namespace

static LogicalResult lowerNonMaxSuppression(const Node &node, Lowering &lowering) {
  SuppressionWriter(node, lowering).write();
  return success();
}

void qcc::registerNonMaxSuppression(OperatorRegistry &registry) {
  registry.add("", "NonMaxSuppression", inferNonMaxSuppression, lowerNonMaxSuppression);
}
