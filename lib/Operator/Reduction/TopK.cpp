// TopK: the first elements of each line in the order of a comparison.
#include "Axes.h"
#include "Register.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferTopK(Infer &infer) {
  bool attribute = infer.version() < 10;
  if (!infer.has(0) || (!attribute && !infer.has(1)))
    return infer.error("lacks an operand");
  if (infer.element(0).getIntOrFloatBitWidth() < 8)
    return infer.error("cannot compute with elements of this type");
  SmallVector<Dim> dims = infer.dims(0);
  auto axis = infer.axis(infer.intAttr("axis", -1), int64_t(dims.size()));
  if (failed(axis))
    return failure();
  Dimensions &d = infer.dim();
  Dim count = d.constant(infer.intAttr("k", 0));
  if (!attribute) {
    auto operand = infer.shapeOperand(1, "k", 1);
    if (failed(operand))
      return failure();
    if (operand->size() != 1)
      return infer.error("has an operand K of " + Twine(operand->size()) + " elements");
    count = operand->front();
  }
  auto known = constantOf(count), length = constantOf(dims[*axis]);
  if (known && (*known < 0 || (length && *known > *length)))
    return infer.error("takes " + Twine(*known) + " elements of an axis that has " +
                       (length ? Twine(*length) : Twine("fewer")));
  Dim bounded = known ? count : d.max(d.constant(0), d.min(count, dims[*axis]));
  if (!known || !length)
    infer.requireEqual(count, d.max(d.constant(0), d.min(count, dims[*axis])));
  dims[*axis] = bounded;
  infer.result(0, dims, infer.element(0));
  infer.result(1, dims, IntegerType::get(infer.op.getContext(), 64));
  return success();
}

namespace {
/// The kernel: a heap of the best elements so far, whose root is the worst of them, grows in the results' storage; then
/// the heap is taken apart from its end.
class TopKernel {
public:
  TopKernel(const Node &node, Lowering &lowering)
      : lowering(lowering), k(lowering, "topk", lowering.loc), node(node), element(node.element(0)),
        largest(node.intAttr("largest", 1)) {}

  void lower() {
    Dimensions &d = lowering.dims;
    int64_t axis = *node.axis(node.intAttr("axis", -1), node.rank(0));
    SmallVector<Dim> shape = node.dims(0), result = dimsOf(node.output(node.hasOutput(0) ? 0 : 1).getType());
    Dim outer = d.product(ArrayRef<Dim>(shape).take_front(axis)),
        inner = d.product(ArrayRef<Dim>(shape).drop_front(axis + 1));
    Dim length = shape[axis], count = result[axis];
    auto storage = [&](unsigned i, int64_t bytes) {
      return k.argument(node.hasOutput(i) ? lowering.storage(node.output(i))
                                          : lowering.allocate(d.mul(d.product(result), d.constant(bytes))));
    };
    Value input = node.input(0);
    lowering.storage(input);
    values = storage(0, storageBytes(element)), indices = storage(1, 8);
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      SmallVector<Value> at = k.delinearize(unit, {outer, inner});
      stride = k.dim(inner);
      base = k.add(k.mul(k.mul(at[0], k.dim(count)), stride), at[1]);
      Value from = k.add(k.mul(k.mul(at[0], k.dim(length)), stride), at[1]);
      auto load = [&](Value i) -> Entry { return {k.load(input, Index(shape, k.add(from, k.mul(i, stride)))), i}; };
      Value size = k.dim(count), zero = k.constant(0), one = k.constant(1);
      k.loop(zero, size, [&](Value i) { siftUp(i, load(i)); });
      k.when(k.less(zero, size), [&] {
        k.loop(size, k.dim(length), [&](Value i) {
          Entry next = load(i);
          k.when(precedes(next, get(zero)), [&] { siftDown(size, next); });
        });
        // The worst one left goes behind those that are better.
        k.loop(one, size, [&](Value step) {
          Value last = k.sub(size, step);
          Entry worst = get(zero), moved = get(last);
          siftDown(last, moved);
          set(last, worst);
        });
      });
    });
    k.launch(d.mul(outer, inner), d.product({outer, inner, length, d.constant(8)}));
  }

private:
  struct Entry {
    Value value, index;
  };

  Value position(Value i) { return k.add(base, k.mul(i, stride)); }
  Entry get(Value i) {
    Value at = position(i);
    return {k.loadAt(values, at, element), k.loadAt(indices, at, k.b.getI64Type())};
  }
  void set(Value i, Entry entry) {
    Value at = position(i);
    k.storeAt(values, at, element, entry.value);
    k.storeAt(indices, at, k.b.getI64Type(), entry.index);
  }

  /// Whether `a` stands before `b` in the result. NaN is larger than every number.
  Value precedes(Entry a, Entry b) {
    Value before, same;
    if (isFloat(element)) {
      auto isNaN = [&](Value x) -> Value { return arith::CmpFOp::create(k.b, arith::CmpFPredicate::UNO, x, x); };
      auto both = [&](Value x, Value y) -> Value { return arith::AndIOp::create(k.b, x, y); };
      auto either = [&](Value x, Value y) -> Value { return arith::OrIOp::create(k.b, x, y); };
      auto no = [&](Value x) -> Value {
        return arith::XOrIOp::create(k.b, x, arith::ConstantOp::create(k.b, k.b.getBoolAttr(true)));
      };
      Value aIsNaN = isNaN(a.value), bIsNaN = isNaN(b.value);
      Value greater = either(Real(k.b, a.value) > Real(k.b, b.value), both(aIsNaN, no(bIsNaN)));
      Value smaller = either(Real(k.b, a.value) < Real(k.b, b.value), both(bIsNaN, no(aIsNaN)));
      before = largest ? greater : smaller;
      same = no(either(greater, smaller));
    } else {
      auto compare = [&](arith::CmpIPredicate p) -> Value { return arith::CmpIOp::create(k.b, p, a.value, b.value); };
      using P = arith::CmpIPredicate;
      bool isSigned = !isUnsigned(element);
      before = compare(largest ? (isSigned ? P::sgt : P::ugt) : (isSigned ? P::slt : P::ult));
      same = compare(P::eq);
    }
    Value earlier = k.less(a.index, b.index);
    return arith::OrIOp::create(k.b, before, arith::AndIOp::create(k.b, same, earlier));
  }

  /// Moves along the heap from `start` while next(i) names a place whose entry goes to i; `entry` goes to the last one.
  void sift(Value start, Entry entry, llvm::function_ref<std::pair<Value, Value>(Value)> next) {
    auto loop = scf::WhileOp::create(k.b, TypeRange{k.b.getI64Type()}, ValueRange{start});
    {
      OpBuilder::InsertionGuard guard(k.b);
      Block *before = k.b.createBlock(&loop.getBefore(), {}, {k.b.getI64Type()}, {k.b.getLoc()});
      auto [goesOn, place] = next(before->getArgument(0));
      Value target = k.branch(
          goesOn,
          [&, place = place] {
            set(before->getArgument(0), get(place));
            return place;
          },
          [&] { return before->getArgument(0); });
      scf::ConditionOp::create(k.b, goesOn, target);
      Block *after = k.b.createBlock(&loop.getAfter(), {}, {k.b.getI64Type()}, {k.b.getLoc()});
      scf::YieldOp::create(k.b, after->getArguments());
    }
    set(loop.getResult(0), entry);
  }

  /// A heap of `end` entries gets one more.
  void siftUp(Value end, Entry entry) {
    sift(end, entry, [&](Value i) {
      Value parent = k.div(k.max(k.sub(i, k.constant(1)), k.constant(0)), k.constant(2));
      Value inside = k.less(k.constant(0), i);
      return std::pair<Value, Value>(arith::AndIOp::create(k.b, inside, precedes(get(parent), entry)), parent);
    });
  }

  /// A heap of `size` entries loses its root and gets `entry`.
  void siftDown(Value size, Entry entry) {
    sift(k.constant(0), entry, [&](Value i) {
      Value last = k.sub(size, k.constant(1)), left = k.add(k.mul(i, k.constant(2)), k.constant(1));
      Value inside = k.less(left, size);
      Value a = k.select(inside, left, k.constant(0)), right = k.add(a, k.constant(1));
      Value b = k.min(right, k.max(last, k.constant(0)));
      Value child = k.select(precedes(get(a), get(b)), b, a); // the worse of two
      return std::pair<Value, Value>(arith::AndIOp::create(k.b, inside, precedes(entry, get(child))), child);
    });
  }

  Lowering &lowering;
  Kernel k;
  const Node &node;
  Type element;
  bool largest;
  Value values, indices, base, stride;
};
} // namespace

static LogicalResult lowerTopK(const Node &node, Lowering &lowering) {
  TopKernel(node, lowering).lower();
  return success();
}

void qcc::registerTopK(OperatorRegistry &registry) { registry.add("", "TopK", inferTopK, lowerTopK); }
