// Unique: slices are sorted by merging, groups of equal ones are numbered, and their first members are copied.
#include "Register.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

static std::optional<int64_t> uniqueAxis(const Node &node) {
  if (!node.hasAttr("axis"))
    return std::nullopt;
  int64_t axis = node.intAttr("axis", 0);
  return axis < 0 ? axis + node.rank(0) : axis;
}

static LogicalResult inferUnique(Infer &infer) {
  if (infer.hasAttr("axis") && failed(infer.axis(infer.intAttr("axis", 0), infer.rank(0))))
    return failure();
  Dimensions &d = infer.dim();
  SmallVector<Dim> result = infer.dims(0);
  auto axis = uniqueAxis(infer);
  Dim length = axis ? result[*axis] : d.product(result), count = infer.counted("unique");
  if (!axis)
    result.resize(1);
  result[axis.value_or(0)] = count;
  infer.result(0, result, infer.element(0));
  Type i64 = IntegerType::get(infer.op.getContext(), 64);
  infer.result(1, {count}, i64);
  infer.result(2, {length}, i64);
  infer.result(3, {count}, i64);
  return success();
}

namespace {
class UniqueWriter {
public:
  UniqueWriter(const Node &node, Lowering &lowering) : node(node), lowering(lowering), d(lowering.dims) {
    SmallVector<Dim> in = node.dims(0), whole = {d.product(in)};
    auto axis = uniqueAxis(node);
    ArrayRef<Dim> all = axis ? ArrayRef<Dim>(in) : ArrayRef<Dim>(whole);
    outer = d.product(all.take_front(axis.value_or(0)));
    length = all[axis.value_or(0)];
    inner = d.product(all.drop_front(axis.value_or(0) + 1));
    element = node.element(0);
  }

  void write() {
    lowering.storage(node.input(0)); // read many times
    Dim bytes = d.mul(length, d.constant(8));
    for (Value *buffer : {&order, &other, &group, &first, &counts})
      *buffer = lowering.allocate(bytes);
    total = lowering.allocate(d.constant(8));
    sort();
    number();
    Dim count = node.resolved("counts")->front();
    lowering.define(count, lowering.read(total, lowering.host.getI64Type(), 0));
    copySlices(count);
    copyNumbers(1, first, count);
    copyNumbers(2, group, length);
    copyNumbers(3, counts, count);
  }

private:
  Value get(Kernel &k, Value buffer, Value i) { return k.loadAt(k.argument(buffer), i, k.b.getI64Type()); }
  void set(Kernel &k, Value buffer, Value i, Value value) { k.storeAt(k.argument(buffer), i, k.b.getI64Type(), value); }
  Value at(Kernel &k, Value row, Value slice, Value column) {
    Value number = k.add(k.mul(k.add(k.mul(row, k.dim(length)), slice), k.dim(inner)), column);
    return k.loadAt(k.pointer(node.input(0)), number, element);
  }
  Value isLess(Kernel &k, Value x, Value y) {
    if (isFloat(element)) { // NaN is larger than every number
      Value less = arith::CmpFOp::create(k.b, arith::CmpFPredicate::OLT, x, y);
      Value isNumber = arith::CmpFOp::create(k.b, arith::CmpFPredicate::ORD, x, x);
      Value isNaN = arith::CmpFOp::create(k.b, arith::CmpFPredicate::UNO, y, y);
      return arith::OrIOp::create(k.b, less, k.both(isNumber, isNaN));
    }
    return arith::CmpIOp::create(k.b, isUnsigned(element) ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt, x,
                                 y);
  }

  /// -1, 0 or 1: how slice x compares with slice y, by the first elements that differ.
  Value compare(Kernel &k, Value x, Value y) {
    SmallVector<Value> rows =
        k.loop(k.constant(0), k.dim(outer), ValueRange(k.constant(0)), [&](Value row, ValueRange before) {
          return k.loop(k.constant(0), k.dim(inner), before, [&](Value column, ValueRange found) {
            Value a = at(k, row, x, column), b = at(k, row, y, column);
            Value sign =
                k.select(isLess(k, a, b), k.constant(-1), k.select(isLess(k, b, a), k.constant(1), k.constant(0)));
            return SmallVector<Value>{k.select(k.equal(found[0], k.constant(0)), sign, found[0])};
          });
        });
    return rows[0];
  }

  /// order[i] becomes the slice at sorted position i, equal ones in their own order.
  void sort() {
    lowering.forEach({length}, "unique_start", d.constant(1),
                     [&](Kernel &k, ArrayRef<Value> i) { set(k, order, i[0], i[0]); });
    OpBuilder &host = lowering.host;
    Location loc = lowering.loc;
    Value one = arith::ConstantOp::create(host, loc, host.getI64IntegerAttr(1)), n = lowering.size(length);
    // Runs of length 1, 2, 4, ... are merged in pairs.
    SmallVector<Type> types(2, host.getI64Type());
    auto loop = scf::WhileOp::create(host, loc, types, ValueRange{one, one}); // width, steps of a search in a run
    OpBuilder::InsertionGuard guard(host);
    Block *before = host.createBlock(&loop.getBefore(), {}, types, {loc, loc});
    Value goes = arith::CmpIOp::create(host, loc, arith::CmpIPredicate::slt, before->getArgument(0), n);
    scf::ConditionOp::create(host, loc, goes, before->getArguments());
    Block *body = host.createBlock(&loop.getAfter(), {}, types, {loc, loc});
    Value width = body->getArgument(0), steps = body->getArgument(1);
    merge(width, steps);
    lowering.forEach({length}, "unique_take", d.constant(1),
                     [&](Kernel &k, ArrayRef<Value> i) { set(k, order, i[0], get(k, other, i[0])); });
    Value next = arith::AddIOp::create(host, loc, width, width), more = arith::AddIOp::create(host, loc, steps, one);
    scf::YieldOp::create(host, loc, ValueRange{next, more});
  }

  /// Every element finds its place in the merged pair of runs by binary search in the other run.
  void merge(Value width, Value steps) {
    lowering.forEach({length}, "unique_merge", d.constant(64), [&](Kernel &k, ArrayRef<Value> index) {
      Value i = index[0], w = k.argument(width), n = k.dim(length);
      Value run = k.div(i, w), isRight = k.equal(k.rem(run, k.constant(2)), k.constant(1));
      Value pair = k.mul(k.div(run, k.constant(2)), k.mul(w, k.constant(2)));
      Value from = k.select(isRight, pair, k.min(k.add(pair, w), n));
      Value to = k.select(isRight, k.min(k.add(pair, w), n), k.min(k.add(pair, k.mul(w, k.constant(2))), n));
      Value mine = get(k, order, i);
      // The elements of the other run that stand before mine: the smaller ones and, for the right run, equal ones.
      Value bound = k.select(isRight, k.constant(0), k.constant(-1));
      SmallVector<Value> range = {from, to};
      SmallVector<Value> found = k.loop(k.constant(0), k.argument(steps), range, [&](Value, ValueRange carried) {
        Value low = carried[0], high = carried[1];
        Value open = k.less(low, high), middle = k.div(k.add(low, high), k.constant(2));
        Value sign =
            k.branch(open, [&] { return compare(k, get(k, order, middle), mine); }, [&] { return k.constant(0); });
        Value before = arith::CmpIOp::create(k.b, arith::CmpIPredicate::sle, sign, bound);
        Value nextLow = k.select(k.both(open, before), k.add(middle, k.constant(1)), low);
        Value stays = k.select(open, before, k.equal(k.constant(0), k.constant(0)));
        return SmallVector<Value>{nextLow, k.select(stays, high, middle)};
      });
      Value own = k.sub(i, k.mul(run, w)), place = k.add(k.add(pair, own), k.sub(found[0], from));
      set(k, other, place, mine);
    });
  }

  /// Numbers the groups of equal slices: group[slice], first[group] and counts[group]; `total` is how many there are.
  void number() {
    bool sorted = node.intAttr("sorted", 1) != 0;
    Kernel k(lowering, "unique_number", lowering.loc);
    Value zero = k.constant(0), one = k.constant(1), n = k.dim(length);
    // In sorted order; `other` keeps each slice's leader, the first slice that equals it.
    SmallVector<Value> init = {zero, zero};
    SmallVector<Value> done = k.loop(zero, n, init, [&](Value i, ValueRange carried) {
      Value slice = get(k, order, i),
            isNew = k.branch(
                k.equal(i, zero), [&] { return k.equal(zero, zero); },
                [&] {
                  Value differs = arith::CmpIOp::create(k.b, arith::CmpIPredicate::ne,
                                                        compare(k, get(k, order, k.sub(i, one)), slice), zero);
                  return differs;
                });
      Value leader = k.select(isNew, slice, carried[1]), next = k.select(isNew, k.add(carried[0], one), carried[0]);
      Value mine = k.sub(next, one);
      set(k, other, slice, leader);
      set(k, group, slice, mine);
      k.when(isNew, [&] {
        set(k, first, mine, slice);
        set(k, counts, mine, zero);
      });
      set(k, counts, mine, k.add(get(k, counts, mine), one));
      return SmallVector<Value>{next, leader};
    });
    set(k, total, zero, done[0]);
    if (!sorted) { // again in the order of the slices, where a leader comes before all that equal it
      k.loop(zero, n, ValueRange(zero), [&](Value i, ValueRange carried) {
        Value leader = get(k, other, i), isNew = k.equal(leader, i);
        Value mine = k.branch(isNew, [&] { return carried[0]; }, [&] { return get(k, group, leader); });
        set(k, group, i, mine);
        k.when(isNew, [&] {
          set(k, first, mine, i);
          set(k, counts, mine, zero);
        });
        set(k, counts, mine, k.add(get(k, counts, mine), one));
        return SmallVector<Value>{k.select(isNew, k.add(carried[0], one), carried[0])};
      });
    }
    k.launch(d.constant(1), d.constant(1));
  }

  void copySlices(Dim count) {
    Value result = lowering.storage(node.output(0));
    lowering.forEach({outer, count}, "unique_copy", inner, [&](Kernel &k, ArrayRef<Value> index) {
      Value slice = get(k, first, index[1]);
      Value from = k.mul(k.add(k.mul(index[0], k.dim(length)), slice), k.dim(inner));
      Value to = k.mul(k.add(k.mul(index[0], k.dim(count)), index[1]), k.dim(inner));
      k.loop(k.constant(0), k.dim(inner), [&](Value i) {
        k.move(node.input(0), Index(node.dims(0), k.add(from, i)), k.argument(result), k.add(to, i));
      });
    });
  }

  void copyNumbers(unsigned output, Value buffer, Dim count) {
    if (!node.hasOutput(output))
      return;
    Value result = lowering.storage(node.output(output));
    lowering.forEach({count}, "unique_numbers", d.constant(1),
                     [&](Kernel &k, ArrayRef<Value> i) { set(k, result, i[0], get(k, buffer, i[0])); });
  }

  const Node &node;
  Lowering &lowering;
  Dimensions &d;
  Dim outer, length, inner;
  Type element;
  Value order, other, group, first, counts, total;
};
} // namespace

static LogicalResult lowerUnique(const Node &node, Lowering &lowering) {
  UniqueWriter(node, lowering).write();
  return success();
}

void qcc::registerUnique(OperatorRegistry &registry) { registry.add("", "Unique", inferUnique, lowerUnique); }
