// Elements chosen by indices: Gather, GatherElements and GatherND.
#include "Register.h"
#include "View.h"
#include "qcc/Tile/Bounds.h"

using namespace mlir;
using namespace qcc;

static bool areIndices(const Node &node, unsigned i) { return isa<IntegerType>(node.element(i)); }

// ---- Gather

/// Constant indices in equal steps, or a single one that the inputs' lengths decide: Gather is a view then.
static std::optional<std::pair<Dim, Dim>> progression(Infer &infer, Dim length) {
  Dimensions &d = infer.dim();
  auto indices = infer.contents(1);
  if (!indices || indices->empty())
    return std::nullopt;
  auto normal = [&](Dim index) { return d.ifNegative(index, d.add(index, length), index); };
  Dim first = normal(indices->front()), step = d.constant(0);
  if (indices->size() > 1)
    step = d.sub(normal((*indices)[1]), first);
  if (indices->size() > 1 && !constantOf(step))
    return std::nullopt;
  for (size_t i = 1; i < indices->size(); ++i)
    if (d.sub(normal((*indices)[i]), normal((*indices)[i - 1])) != step)
      return std::nullopt;
  return std::pair(first, step);
}

static LogicalResult gatherView(Infer &infer, int64_t axis, ArrayRef<Dim> result, Dim first, Dim step) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> in = infer.dims(0), indices = infer.dims(1), dims = in, offset(in.size(), d.constant(0)),
                   steps(in.size(), d.constant(1));
  Dim count = d.product(indices), last = d.add(first, d.mul(step, d.sub(count, d.constant(1))));
  for (Dim index : {first, last}) {
    Dim clamped = d.max(d.constant(0), d.min(index, d.sub(in[axis], d.constant(1))));
    if (constantOf(index) && constantOf(in[axis]) && clamped != index)
      return infer.error("has the index " + Twine(*constantOf(index)) + " for a dimension of length " +
                         Twine(*constantOf(in[axis])));
    infer.requireEqual(clamped, index);
  }
  dims[axis] = count, offset[axis] = first, steps[axis] = step;
  auto from = llvm::to_vector(llvm::seq<int64_t>(0, int64_t(in.size())));
  Value picked = infer.view(infer.checked(infer.input(0)), dims, from, offset, steps);
  infer.replace(0, indices.size() == 1 ? picked : infer.reshape(picked, result));
  return success();
}

static LogicalResult inferGather(Infer &infer) {
  auto axis = infer.axis(infer.intAttr("axis", 0), infer.rank(0));
  if (failed(axis))
    return failure();
  if (!areIndices(infer, 1))
    return infer.error("has indices that are no integers");
  SmallVector<Dim> in = infer.dims(0), indices = infer.dims(1), result(in.begin(), in.begin() + *axis);
  result.append(indices);
  result.append(in.begin() + *axis + 1, in.end());
  if (auto steps = progression(infer, in[*axis]))
    return gatherView(infer, *axis, result, steps->first, steps->second);
  infer.result(0, result, infer.element(0));
  auto data = infer.contents(0), at = infer.contents(1);
  auto type = cast<RankedTensorType>(infer.input(0).getType());
  if (!data || !at || !type.hasStaticShape() || !llvm::all_of(*at, [](Dim i) { return bool(constantOf(i)); }))
    return success();
  int64_t length = type.getDimSize(*axis), inner = 1;
  for (int64_t size : type.getShape().drop_front(*axis + 1))
    inner *= size;
  SmallVector<Dim> shape(in.begin(), in.begin() + *axis); // the indices as one axis, the axes behind as another
  shape.append({infer.dim().constant(int64_t(at->size())), infer.dim().constant(inner)});
  auto contents = selectContents(shape, *data, [&](ArrayRef<int64_t> index) {
    int64_t outer = 0, which = *constantOf((*at)[index[*axis]]);
    for (auto [i, size] : llvm::zip(index.take_front(*axis), type.getShape()))
      outer = outer * size + i;
    which = which < 0 ? which + length : which;
    return which < 0 || which >= length ? -1 : (outer * length + which) * inner + index[*axis + 1];
  });
  if (contents)
    infer.resultContents(0, *contents);
  return success();
}

namespace {
/// The operand of a gather as (outer..., length, inner...): the inner axes are one unless it is computed in place,
/// which needs coordinates.
struct Table {
  SmallVector<Dim> outer, inner;
  Dim length;

  Table(Lowering &lowering, Value tensor, int64_t axis, int64_t axes = 1) {
    SmallVector<Dim> dims = dimsOf(tensor.getType());
    ArrayRef<Dim> all(dims);
    outer.assign(all.begin(), all.begin() + axis);
    length = all[axis];
    inner.assign(all.begin() + axis + axes, all.end());
    if (!lowering.isFused(tensor) && inner.size() > 1)
      inner = {lowering.dims.product(inner)};
  }
};
} // namespace

static SmallVector<Dim> joined(ArrayRef<Dim> a, ArrayRef<Dim> b, ArrayRef<Dim> c = {}) {
  SmallVector<Dim> result(a);
  result.append(b.begin(), b.end());
  result.append(c.begin(), c.end());
  return result;
}

static SmallVector<Value> joined(ArrayRef<Value> a, ArrayRef<Value> b, ArrayRef<Value> c = {}) {
  SmallVector<Value> result(a);
  result.append(b.begin(), b.end());
  result.append(c.begin(), c.end());
  return result;
}

static LogicalResult lowerGather(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  Value data = node.input(0), indices = node.input(1), result = node.output();
  auto axis = node.axis(node.intAttr("axis", 0), node.rank(0));
  if (failed(axis))
    return failure();
  Table table(lowering, data, *axis);
  Dim count = dims.product(node.dims(1)), total = dims.product(node.outputDims());
  SmallVector<Dim> full = joined(table.outer, {table.length}, table.inner);
  lowering.storage(indices); // they are numbered
  Kernel k(lowering, "gather", lowering.loc);
  Value base = k.pointer(result), length = k.dim(table.length);
  if (table.inner.empty()) { // along the last axis: an index for every element
    k.loop(k.lo(), k.hi(), [&](Value unit) {
      SmallVector<Value> outer = k.delinearize(unit, table.outer);
      Value start = k.mul(unit, k.dim(count));
      checkedLoop(k, k.constant(0), k.dim(count), k.less(k.constant(0), length), [&](Value i) {
        CheckedIndex at = loadIndex(k, indices, Index(node.dims(1), i), length);
        k.move(data, Index(full, joined(outer, {at.position})), base, k.add(start, i));
        return at.good;
      });
    });
    k.launch(dims.product(table.outer), total);
    return success();
  }
  SmallVector<Dim> rows = joined(table.outer, {count}, ArrayRef<Dim>(table.inner).drop_back());
  Value run = k.dim(table.inner.back());
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, rows);
    CheckedIndex index = loadIndex(k, indices, Index(node.dims(1), at[*axis]), length);
    k.check(index.good);
    at[*axis] = index.position;
    at.push_back({});
    Value start = k.mul(unit, run);
    k.loop(k.constant(0), k.select(index.good, run, k.constant(0)), [&](Value i) {
      at.back() = i;
      k.move(data, Index(full, at), base, k.add(start, i));
    });
  });
  k.launch(dims.product(rows), total);
  return success();
}

// ---- GatherElements

static LogicalResult inferGatherElements(Infer &infer) {
  Dimensions &d = infer.dim();
  auto axis = infer.axis(infer.intAttr("axis", 0), infer.rank(0));
  if (failed(axis))
    return failure();
  if (infer.rank(0) != infer.rank(1) || !areIndices(infer, 1))
    return infer.error("has indices that are no integers of the rank of its data");
  SmallVector<Dim> in = infer.dims(0), result = infer.dims(1);
  for (size_t i = 0; i < in.size(); ++i)
    if (int64_t(i) != *axis)
      infer.requireEqual(d.max(in[i], result[i]), in[i]);
  infer.result(0, result, infer.element(0));
  return success();
}

static LogicalResult lowerGatherElements(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  Value data = node.input(0), indices = node.input(1);
  SmallVector<Dim> in = node.dims(0), out = node.outputDims();
  auto axis = node.axis(node.intAttr("axis", 0), node.rank(0));
  if (failed(axis))
    return failure();
  ArrayRef<Dim> outer = ArrayRef<Dim>(out).drop_back();
  Kernel k(lowering, "gather_elements", lowering.loc);
  Value base = k.pointer(node.output()), length = k.dim(in[*axis]);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> index = k.delinearize(unit, outer);
    Value row = k.dim(out.back()), start = k.mul(unit, row);
    index.push_back({});
    checkedLoop(k, k.constant(0), row, k.less(k.constant(0), length), [&](Value i) {
      index.back() = i;
      CheckedIndex at = loadIndex(k, indices, Index(out, index, k.add(start, i)), length);
      SmallVector<Value> source = index;
      source[*axis] = at.position;
      k.move(data, Index(in, source), base, k.add(start, i));
      return at.good;
    });
  });
  k.launch(dims.product(outer), dims.mul(dims.product(out), dims.constant(2)));
  return success();
}

// ---- GatherND

/// The number of axes that an index tuple of GatherND covers.
static std::optional<int64_t> tupleLength(const Node &node) {
  SmallVector<Dim> dims = node.dims(1);
  return dims.empty() ? std::nullopt : constantOf(dims.back());
}

static LogicalResult inferGatherND(Infer &infer) {
  Dimensions &d = infer.dim();
  int64_t batch = infer.intAttr("batch_dims", 0);
  SmallVector<Dim> in = infer.dims(0), indices = infer.dims(1);
  if (!areIndices(infer, 1) || indices.empty())
    return infer.error("has indices that are no tensor of integers");
  auto tuple = tupleLength(infer);
  if (!tuple)
    return infer.unsupported("the last dimension of its indices is not known before the model runs");
  if (batch < 0 || batch >= int64_t(indices.size()) || *tuple < 1 || batch + *tuple > int64_t(in.size()))
    return infer.error("has index tuples of length " + Twine(*tuple) + " and " + Twine(batch) +
                       " batch dimensions for data of rank " + Twine(in.size()));
  SmallVector<Dim> result(indices.begin(), indices.end() - 1);
  for (int64_t i = 0; i < batch; ++i) {
    infer.requireEqual(in[i], indices[i]);
    result[i] = constantOf(in[i]) ? in[i] : indices[i];
  }
  result.append(in.begin() + batch + *tuple, in.end());
  (void)d;
  infer.result(0, result, infer.element(0));
  return success();
}

static LogicalResult lowerGatherND(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  Value data = node.input(0), indices = node.input(1);
  int64_t batch = node.intAttr("batch_dims", 0), tuple = *tupleLength(node);
  SmallVector<Dim> in = node.dims(0), tuples(node.dims(1));
  tuples.pop_back();
  Table table(lowering, data, batch, tuple);
  SmallVector<Dim> full = joined(ArrayRef<Dim>(in).take_front(batch + tuple), table.inner);
  if (table.inner.empty())
    table.inner.push_back(dims.constant(1)); // single elements are runs of one
  ArrayRef<Dim> middle = ArrayRef<Dim>(table.inner).drop_back();
  SmallVector<Dim> rows = joined(tuples, middle);
  lowering.storage(indices);
  Kernel k(lowering, "gather_nd", lowering.loc);
  Value base = k.pointer(node.output()), run = k.dim(table.inner.back());
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> row = k.delinearize(unit, rows), at(row.begin(), row.begin() + batch);
    Value which = k.linearize(ArrayRef<Value>(row).take_front(tuples.size()), tuples);
    Value good = arith::ConstantOp::create(k.b, k.b.getBoolAttr(true));
    for (int64_t i = 0; i < tuple; ++i) {
      Value number = k.add(k.mul(which, k.constant(tuple)), k.constant(i));
      CheckedIndex index = loadIndex(k, indices, Index(node.dims(1), number), k.dim(in[batch + i]));
      at.push_back(index.position);
      good = k.both(good, index.good);
    }
    k.check(good);
    at.append(row.begin() + int64_t(tuples.size()), row.end());
    Value start = k.mul(unit, run);
    k.loop(k.constant(0), k.select(good, run, k.constant(0)), [&](Value i) {
      SmallVector<Value> source = at;
      if (source.size() < full.size())
        source.push_back(i);
      k.move(data, Index(full, source), base, k.add(start, i));
    });
  });
  k.launch(dims.product(rows), dims.product(node.outputDims()));
  return success();
}

void qcc::registerGather(OperatorRegistry &registry) {
  auto add = [&](StringRef type, std::function<LogicalResult(Infer &)> infer,
                 std::function<LogicalResult(const Node &, Lowering &)> lower) {
    Operator op;
    op.type = type;
    op.infer = std::move(infer), op.lower = std::move(lower);
    op.readsOnce = [](const Node &, unsigned i) { return i == 0; };
    registry.add(op);
  };
  add("Gather", inferGather, lowerGather);
  add("GatherElements", inferGatherElements, lowerGatherElements);
  add("GatherND", inferGatherND, lowerGatherND);
}
