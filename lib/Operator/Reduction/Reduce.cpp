// ReduceSum and its relatives.
#include "Axes.h"
#include "Fold.h"
#include "Register.h"
#include "qcc/Tile/Real.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t columnWidth = 256; // results side by side: their partial sums fit the first-level cache
static constexpr int64_t columnBlock = 64;  // terms of a partial sum in f32

namespace {
/// One reduction: finish(fold of term(x)).
struct Reduction {
  StringRef type;
  Fold fold;
  int64_t axesBecameOperand; // the operator-set version
  /// Of one element; the values are of `foldElement`.
  std::function<Value(Kernel &, Type, Value)> term = [](Kernel &, Type, Value x) { return x; };
  /// Of the folded value in the wide type, and how many terms there were.
  std::function<Value(Kernel &, Type, Value, Value)> finish = [](Kernel &, Type, Value x, Value) { return x; };
  bool inReals = false; // integers are computed in double precision
  bool shifted = false; // by the largest element, so that exponentials do not overflow
};
} // namespace

/// In what elements of type `element` are folded.
static Type foldElement(const Reduction &r, Type element) {
  MLIRContext *context = element.getContext();
  if (isFloat(element))
    return computeType(element);
  if (r.inReals)
    return Float64Type::get(context);
  bool sums = r.fold == Fold::Sum || r.fold == Fold::Product;
  unsigned width = std::max(8u, element.getIntOrFloatBitWidth());
  if (!sums)
    return element;
  return IntegerType::get(context, std::max(width, 64u),
                          isUnsigned(element) ? IntegerType::Unsigned : IntegerType::Signless);
}

/// The list of axes; fails where even their number is not known and the rank of the result depends on it.
static FailureOr<SmallVector<Dim>> axesOf(Infer &infer, const Reduction &r) {
  SmallVector<Dim> axes;
  if (infer.version() >= r.axesBecameOperand) {
    if (!infer.has(1))
      return axes;
    if (infer.rank(1) > 1)
      return infer.error("has axes of rank " + Twine(infer.rank(1)) + ", expected a list");
    return infer.shapeOperand(1, "axes");
  }
  for (int64_t axis : infer.intsAttr("axes").value_or(SmallVector<int64_t>()))
    axes.push_back(infer.dim().constant(axis));
  return axes;
}

/// For each axis whether it is reduced, 1 or 0, possibly known only when the program runs; `count` becomes how many
/// are.
static FailureOr<SmallVector<Dim>> flagsOf(Infer &infer, const Reduction &r, int64_t &count) {
  Dimensions &d = infer.dim();
  int64_t rank = infer.rank(0);
  bool isOperand = infer.version() >= r.axesBecameOperand && infer.has(1);
  if (isOperand && infer.rank(1) == 1 && !infer.contents(1) && !constantOf(infer.dims(1)[0]) &&
      infer.intAttr("keepdims", 1)) {
    // A list of unknown length: a node of its own makes flags of it.
    OpBuilder b(infer.op);
    SmallVector<NamedAttribute> attrs = {
        infer.attribute("noop_with_empty_axes", infer.intAttr("noop_with_empty_axes", 0))};
    auto type = RankedTensorType::get({rank}, b.getI64Type());
    auto flags = onnx::NodeOp::create(b, infer.op->getLoc(), TypeRange{type}, b.getStringAttr("ReducedAxes"),
                                      b.getStringAttr("qcc"), b.getI64IntegerAttr(1), b.getDictionaryAttr(attrs),
                                      DictionaryAttr(), DenseI64ArrayAttr(), ValueRange{infer.input(1)}, 0);
    infer.op->setOperand(1, flags->getResult(0));
    return infer.shapeOperand(1, "flags");
  }
  auto axes = axesOf(infer, r);
  if (failed(axes))
    return failure();
  Dim zero = d.constant(0), one = d.constant(1), sum = zero;
  bool all = axes->empty() && infer.intAttr("noop_with_empty_axes", 0) == 0;
  SmallVector<Dim> flags(rank, all ? one : zero);
  for (Dim axis : *axes) {
    if (auto known = constantOf(axis)) {
      auto at = infer.axis(*known, rank);
      if (failed(at))
        return failure();
      flags[*at] = one;
      continue;
    }
    for (int64_t i = 0; i < rank; ++i)
      flags[i] = d.ifEqual(axis, d.constant(i), one, d.ifEqual(axis, d.constant(i - rank), one, flags[i]));
  }
  for (Dim flag : flags)
    sum = d.add(sum, flag);
  count = all ? rank : constantOf(sum).value_or(int64_t(axes->size()));
  if (!constantOf(sum)) // every axis that arrives with the data exists, and none stands twice
    infer.requireEqual(sum, d.constant(count));
  return flags;
}

/// The lengths of the axes that are kept, of which there are `count`.
static SmallVector<Dim> keptDims(Dimensions &d, ArrayRef<Dim> dims, ArrayRef<Dim> flags, int64_t count) {
  SmallVector<Dim> result(count), place; // place[i]: how many kept axes stand before axis i
  Dim zero = d.constant(0), one = d.constant(1), before = zero;
  for (Dim flag : flags) {
    place.push_back(before);
    before = d.add(before, d.ifEqual(flag, zero, one, zero));
  }
  for (int64_t j = 0; j < count; ++j) {
    result[j] = one;
    for (int64_t i = int64_t(dims.size()) - 1; i >= 0; --i)
      result[j] = d.ifEqual(flags[i], zero, d.ifEqual(place[i], d.constant(j), dims[i], result[j]), result[j]);
  }
  return result;
}

/// What a reduction of a known list to one number holds.
static void inferContents(Infer &infer, const Reduction &r, ArrayRef<Dim> flags) {
  auto known = infer.contents(0);
  if (!known || known->empty() || r.inReals || flags.size() != 1 || constantOf(flags[0]) != 1)
    return;
  Dimensions &d = infer.dim();
  Dim result = known->front();
  for (Dim next : ArrayRef<Dim>(*known).drop_front())
    result = r.fold == Fold::Sum       ? d.add(result, next)
             : r.fold == Fold::Product ? d.mul(result, next)
             : r.fold == Fold::Largest ? d.max(result, next)
                                       : d.min(result, next);
  if (r.type == "ReduceSum" || r.type == "ReduceProd" || r.type == "ReduceMax" || r.type == "ReduceMin")
    infer.resultContents(0, {result});
}

static LogicalResult inferReduce(Infer &infer, const Reduction &r) {
  if (infer.inputs() == 0 || !infer.has(0) || infer.outputs() != 1)
    return infer.error("has no operand");
  Type element = infer.element(0);
  bool extremum = r.fold == Fold::Largest || r.fold == Fold::Smallest;
  if (element.getIntOrFloatBitWidth() < 8 && !(extremum && element.isInteger(1)))
    return infer.error("cannot compute with elements of this type");
  SmallVector<Dim> dims = infer.dims(0), result;
  int64_t count = 0;
  auto known = infer.resolved("reduced");
  FailureOr<SmallVector<Dim>> flags = known ? FailureOr<SmallVector<Dim>>(*known) : flagsOf(infer, r, count);
  if (failed(flags))
    return failure();
  Dimensions &d = infer.dim();
  if (infer.intAttr("keepdims", 1))
    for (auto [dim, flag] : llvm::zip(dims, *flags))
      result.push_back(d.ifEqual(flag, d.constant(0), dim, d.constant(1)));
  else if (llvm::all_of(*flags, [](Dim flag) { return bool(constantOf(flag)); })) {
    for (auto [dim, flag] : llvm::zip(dims, *flags))
      if (constantOf(flag) == 0)
        result.push_back(dim);
  } else if (known)
    result = infer.outputDims();
  else
    result = keptDims(d, dims, *flags, std::max<int64_t>(0, int64_t(dims.size()) - count));
  infer.resolve("reduced", *flags);
  infer.result(0, result, element);
  inferContents(infer, r, *flags);
  return success();
}

namespace {
/// The kernel of one reduction.
class Reducer {
public:
  Reducer(const Node &node, Lowering &lowering, const Reduction &r)
      : node(node), r(r), axes(lowering, node.input(0), *node.resolved("reduced")), lowering(lowering),
        k(lowering, r.type.lower(), lowering.loc), element(foldElement(r, node.element(0))),
        wide(wideType(r.fold, element)), result(node.outputDims()), count(lowering.dims.product(axes.reduced)) {}

  void lower() {
    if (lowering.facts.device)
      lines();
    else if (axes.lastIsKept())
      columns();
    else
      rows();
  }

private:
  Value term(ArrayRef<Value> keptAt, ArrayRef<Value> reducedAt, Value shift) {
    Value x = castNumber(k.b, axes.load(k, keptAt, reducedAt), node.element(0), element);
    return shift ? exp(Real(k.b, x) - Real(k.b, shift)).value() : r.term(k, element, x);
  }
  void store(Value number, Value folded, Value shift) {
    Value finished = r.finish(k, wide, folded, k.dim(count));
    Value value = castNumber(k.b, finished, wide, element);
    if (shift)
      value = (Real(k.b, value) + Real(k.b, shift)).value();
    k.store(node.output(), Index(result, number), castNumber(k.b, value, element, node.outputElement()));
  }
  /// What the terms of a sum of exponentials are divided by: the largest one, if it is a number.
  Value shiftOf(Value largest) {
    Real x(k.b, largest);
    return select(abs(x) == std::numeric_limits<double>::infinity(), x.like(0.0), x).value();
  }

  Value row(Fold fold, ArrayRef<Value> keptAt, Value shift) {
    SmallVector<Value> at;
    std::function<Value(Value)> level = [&](Value carried) -> Value {
      Dim length = axes.reduced[at.size()];
      auto with = [&](Value i, auto body) {
        at.push_back(i);
        Value value = body();
        at.pop_back();
        return value;
      };
      if (at.size() + 1 == axes.dims.size())
        return foldRow(
            k, fold, element, length,
            [&](Value i) {
              return with(i, [&]() -> Value {
                if (fold != r.fold) // the largest element, for the shift
                  return castNumber(k.b, axes.load(k, keptAt, at), node.element(0), element);
                return term(keptAt, at, shift);
              });
            },
            carried);
      if (constantOf(length) == 1)
        return with(k.constant(0), [&] { return level(carried); });
      return k.loop(k.constant(0), k.dim(length), carried, [&](Value i, ValueRange inner) {
        return SmallVector<Value>{with(i, [&] { return level(inner[0]); })};
      })[0];
    };
    return level(identity(k, fold, wideType(fold, element)));
  }

  void rows() {
    Dim units = lowering.dims.product(axes.kept);
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      SmallVector<Value> keptAt = k.delinearize(unit, axes.kept);
      Value shift = r.shifted ? shiftOf(row(Fold::Largest, keptAt, {})) : Value();
      store(unit, row(r.fold, keptAt, shift), shift);
    });
    k.launch(units, lowering.dims.mul(units, lowering.dims.mul(count, lowering.dims.constant(r.shifted ? 20 : 1))));
  }

  /// One unit for each result: neighbouring threads have neighbouring columns, a team has a row.
  void lines() {
    Dim units = lowering.dims.product(axes.kept);
    Team team = axes.lastIsKept() ? Team(k) : Team(k, count);
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      SmallVector<Value> keptAt = k.delinearize(unit, axes.kept);
      Value shift;
      auto fold = [&](Fold fold, llvm::function_ref<Value(ArrayRef<Value>)> value) {
        return foldRow(
            k, fold, element, count, [&](Value i) { return value(k.delinearize(i, axes.reduced)); }, {}, &team);
      };
      if (r.shifted)
        shift = shiftOf(fold(Fold::Largest, [&](ArrayRef<Value> at) {
          return castNumber(k.b, axes.load(k, keptAt, at), node.element(0), element);
        }));
      Value folded = fold(r.fold, [&](ArrayRef<Value> at) { return term(keptAt, at, shift); });
      team.once([&] { store(unit, folded, shift); });
    });
    k.launch(units, lowering.dims.mul(units, lowering.dims.mul(count, lowering.dims.constant(r.shifted ? 20 : 1))));
  }

  /// body(keptAt, j) for the columns of the unit, j counting from 0.
  void eachColumn(llvm::function_ref<void(ArrayRef<Value>, Value)> body) {
    k.loop(k.constant(0), width, [&](Value j) {
      keptAt.back() = k.add(start, j);
      body(keptAt, j);
    });
  }

  /// totals[j] = fold of the column's terms, through partial results where sums would lose accuracy.
  void foldColumns(Fold fold, Value totals, Value partials, llvm::function_ref<Value(ArrayRef<Value>, Value)> term) {
    Type total = partials ? wideType(fold, element) : element;
    eachColumn([&](ArrayRef<Value>, Value j) { k.storeAt(totals, j, total, identity(k, fold, total)); });
    auto accumulate = [&](Value into, Type type, Value j, Value x) {
      k.storeAt(into, j, type, combine(k, fold, type, k.loadAt(into, j, type), x));
    };
    SmallVector<Value> at;
    auto terms = [&](Value into, Type type) {
      eachColumn([&](ArrayRef<Value> keptAt, Value j) { accumulate(into, type, j, term(at, j)); });
    };
    size_t last = axes.dims.size() - 1; // the axis of the columns
    std::function<void()> level = [&] {
      size_t i = at.size();
      Dim length = i < last ? axes.reduced[i] : lowering.dims.constant(1);
      auto with = [&](Value position, llvm::function_ref<void()> body) {
        at.push_back(position);
        body();
        at.pop_back();
      };
      if (i == last)
        return with(k.constant(0), [&] { terms(totals, total); });
      if (constantOf(length) == 1)
        return with(k.constant(0), level);
      bool innermost = llvm::all_of(ArrayRef<Dim>(axes.reduced).slice(i + 1), [](Dim d) { return constantOf(d) == 1; });
      if (!partials || !innermost)
        return k.loop(k.constant(0), k.dim(length), [&](Value position) { with(position, level); });
      Value end = k.dim(length);
      k.loop(
          k.constant(0), end,
          [&](Value from) {
            eachColumn([&](ArrayRef<Value>, Value j) { k.storeAt(partials, j, element, identity(k, fold, element)); });
            k.loop(from, k.min(k.add(from, k.constant(columnBlock)), end), [&](Value position) {
              size_t depth = at.size();
              at.push_back(position);
              at.resize(last + 1, k.constant(0));
              terms(partials, element);
              at.resize(depth);
            });
            eachColumn([&](ArrayRef<Value>, Value j) {
              accumulate(totals, total, j, castNumber(k.b, k.loadAt(partials, j, element), element, total));
            });
          },
          columnBlock);
    };
    level();
  }

  void columns() {
    Dimensions &d = lowering.dims;
    Dim length = axes.kept.back(), perRow = d.ceilDiv(length, columnWidth);
    SmallVector<Dim> space(ArrayRef<Dim>(axes.kept).drop_back());
    Dim outer = d.product(space);
    space.push_back(perRow);
    auto terms = constantOf(count);
    bool twoLevels = wide != element && !(terms && *terms <= columnBlock);
    auto scratch = [&](Type type) { return k.threadScratch(columnWidth * storageBytes(type)); };
    Type total = twoLevels ? wide : element;
    Value totals = scratch(total), partials = twoLevels ? scratch(element) : Value();
    Value shifts = r.shifted ? scratch(element) : Value();
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      keptAt = k.delinearize(unit, space);
      start = k.mul(keptAt.back(), k.constant(columnWidth));
      width = k.min(k.constant(columnWidth), k.sub(k.dim(length), start));
      Value row = space.size() == 1
                      ? k.constant(0)
                      : k.linearize(ArrayRef<Value>(keptAt).drop_back(), ArrayRef<Dim>(space).drop_back());
      Value first = k.add(k.mul(row, k.dim(length)), start);
      if (shifts) {
        foldColumns(Fold::Largest, shifts, {}, [&](ArrayRef<Value> at, Value) {
          return castNumber(k.b, axes.load(k, keptAt, at), node.element(0), element);
        });
        eachColumn(
            [&](ArrayRef<Value>, Value j) { k.storeAt(shifts, j, element, shiftOf(k.loadAt(shifts, j, element))); });
      }
      auto shift = [&](Value j) { return shifts ? k.loadAt(shifts, j, element) : Value(); };
      foldColumns(r.fold, totals, partials, [&](ArrayRef<Value> at, Value j) { return term(keptAt, at, shift(j)); });
      eachColumn([&](ArrayRef<Value>, Value j) {
        Value folded = castNumber(k.b, k.loadAt(totals, j, total), total, wide);
        store(k.add(first, j), folded, shift(j));
      });
    });
    k.launch(d.mul(outer, perRow), d.mul(d.mul(outer, length), d.mul(count, d.constant(r.shifted ? 20 : 1))));
  }

  const Node &node;
  const Reduction &r;
  Axes axes;
  Lowering &lowering;
  Kernel k;
  Type element, wide;
  SmallVector<Dim> result;
  Dim count;
  SmallVector<Value> keptAt; // of the columns being folded
  Value start, width;
};
} // namespace

static Value square(Kernel &k, Type element, Value x) {
  return isFloat(element) ? (Real(k.b, x) * Real(k.b, x)).value() : Value(arith::MulIOp::create(k.b, x, x));
}

static Value magnitude(Kernel &k, Type element, Value x) {
  if (isFloat(element))
    return abs(Real(k.b, x)).value();
  return isUnsigned(element) ? x : Value(math::AbsIOp::create(k.b, x));
}

static Value root(Kernel &k, Type, Value x, Value) { return sqrt(Real(k.b, x)).value(); }
static Value logarithm(Kernel &k, Type, Value x, Value) { return log(Real(k.b, x)).value(); }

static Value mean(Kernel &k, Type wide, Value sum, Value count) {
  if (isFloat(wide)) {
    Value divisor = castNumber(k.b, count, k.b.getI64Type(), wide);
    return (Real(k.b, sum) / Real(k.b, divisor)).value();
  }
  Value divisor = k.max(count, k.constant(1));
  return isUnsigned(wide) ? Value(arith::DivUIOp::create(k.b, sum, divisor))
                          : Value(arith::DivSIOp::create(k.b, sum, divisor));
}

/// qcc.ReducedAxes: of a list of axes, for each axis whether it is in the list.
static LogicalResult lowerReducedAxes(const Node &node, Lowering &lowering) {
  Kernel k(lowering, "axes", lowering.loc);
  Value zero = k.constant(0), one = k.constant(1), length = k.dim(node.dims(0)[0]);
  auto pick = [&](Value found) { return k.select(found, one, zero); };
  int64_t rank = *constantOf(node.outputDims()[0]);
  Value whenEmpty = pick(k.equal(length, zero));
  if (node.intAttr("noop_with_empty_axes", 0))
    whenEmpty = zero;
  for (int64_t i = 0; i < rank; ++i) {
    Value flag = k.loop(zero, length, whenEmpty, [&](Value j, ValueRange before) {
      Value axis = k.load(node.input(0), ArrayRef<Value>(j));
      Value same = arith::OrIOp::create(k.b, k.equal(axis, k.constant(i)), k.equal(axis, k.constant(i - rank)));
      return SmallVector<Value>{k.max(before[0], pick(same))};
    })[0];
    k.store(node.output(), ArrayRef<Value>(k.constant(i)), flag);
  }
  k.launch(lowering.dims.constant(1), lowering.dims.constant(1));
  return success();
}

void qcc::registerReduce(OperatorRegistry &registry) {
  SmallVector<Reduction> reductions = {{"ReduceSum", Fold::Sum, 13},     {"ReduceProd", Fold::Product, 18},
                                       {"ReduceMax", Fold::Largest, 18}, {"ReduceMin", Fold::Smallest, 18},
                                       {"ReduceMean", Fold::Sum, 18},    {"ReduceL1", Fold::Sum, 18},
                                       {"ReduceL2", Fold::Sum, 18},      {"ReduceSumSquare", Fold::Sum, 18},
                                       {"ReduceLogSum", Fold::Sum, 18},  {"ReduceLogSumExp", Fold::Sum, 18}};
  for (Reduction &r : reductions) {
    if (r.type == "ReduceMean")
      r.finish = mean;
    if (r.type == "ReduceL1")
      r.term = magnitude;
    if (r.type == "ReduceL2" || r.type == "ReduceSumSquare")
      r.term = square;
    if (r.type == "ReduceL2")
      r.finish = root, r.inReals = true;
    if (r.type == "ReduceLogSum" || r.type == "ReduceLogSumExp")
      r.finish = logarithm, r.inReals = true;
    r.shifted = r.type == "ReduceLogSumExp";
    Operator op;
    op.type = r.type;
    op.infer = [r](Infer &infer) { return inferReduce(infer, r); };
    op.readsOnce = [once = !r.shifted](const Node &, unsigned i) { return i == 0 && once; };
    op.acceptsEpilogue = true;
    op.lower = [r](const Node &node, Lowering &lowering) {
      Reducer(node, lowering, r).lower();
      return success();
    };
    registry.add(op);
  }
  registry.add("qcc", "ReducedAxes", [](Infer &) { return success(); }, lowerReducedAxes);
}
