// Copies of a tensor in which elements that indices choose are replaced: ScatterElements, Scatter, ScatterND and
// TensorScatter.
#include "Blocks.h"
#include "Register.h"
#include "qcc/Tile/Bounds.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t sliceChunk = 256; // elements of a slice that a unit adds all updates to

static LogicalResult checkReduction(Infer &infer) {
  StringRef name = infer.stringAttr("reduction", "none");
  if (name != "none" && name != "add" && name != "mul" && name != "min" && name != "max")
    return infer.error("has the unknown reduction '" + name + "'");
  return success();
}

/// What an update makes of an element.
static Value reduced(Kernel &k, StringRef reduction, Type element, Value before, Value update) {
  bool real = isFloat(element), natural = isUnsigned(element);
  if (reduction == "add")
    return real                   ? Value(arith::AddFOp::create(k.b, before, update))
           : element.isInteger(1) ? Value(arith::OrIOp::create(k.b, before, update))
                                  : k.add(before, update);
  if (reduction == "mul")
    return real ? Value(arith::MulFOp::create(k.b, before, update)) : k.mul(before, update);
  if (reduction == "min")
    return real      ? Value(arith::MinimumFOp::create(k.b, before, update))
           : natural ? Value(arith::MinUIOp::create(k.b, before, update))
                     : k.min(before, update);
  if (reduction == "max")
    return real      ? Value(arith::MaximumFOp::create(k.b, before, update))
           : natural ? Value(arith::MaxUIOp::create(k.b, before, update))
                     : k.max(before, update);
  return update;
}

/// storage[to] = storage[to] reduced with tensor[from].
static void updateElement(Kernel &k, StringRef reduction, Value tensor, const Index &from, Value storage, Value to) {
  if (reduction == "none")
    return k.move(tensor, from, storage, to);
  Type element = cast<ShapedType>(tensor.getType()).getElementType();
  k.storeAt(storage, to, element, reduced(k, reduction, element, k.loadAt(storage, to, element), k.load(tensor, from)));
}

static LogicalResult inferScatterElements(Infer &infer) {
  Dimensions &d = infer.dim();
  auto axis = infer.axis(infer.intAttr("axis", 0), infer.rank(0));
  if (failed(axis) || failed(checkReduction(infer)))
    return failure();
  if (infer.rank(1) != infer.rank(0) || infer.rank(2) != infer.rank(0) || !isa<IntegerType>(infer.element(1)))
    return infer.error("has indices or updates that do not have the rank of its data");
  SmallVector<Dim> in = infer.dims(0), indices = infer.dims(1), updates = infer.dims(2);
  for (size_t i = 0; i < in.size(); ++i) {
    infer.requireEqual(indices[i], updates[i]);
    if (int64_t(i) != *axis)
      infer.requireEqual(d.max(in[i], indices[i]), in[i]);
  }
  infer.result(0, in, infer.element(0));
  return success();
}

static LogicalResult lowerScatterElements(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  auto axis = node.axis(node.intAttr("axis", 0), node.rank(0));
  if (failed(axis))
    return failure();
  StringRef reduction = node.stringAttr("reduction", "none");
  SmallVector<Dim> in = node.dims(0), indices = node.dims(1), space = indices;
  Value storage = lowering.storage(node.output());
  lowering.copy(node.input(0), storage);
  // Updates along the axis may meet in one element, so a unit makes all of those, in order; along the last axis beside
  // it the elements are consecutive.
  bool isLast = *axis == int64_t(in.size()) - 1;
  space[*axis] = dims.constant(1);
  if (!isLast)
    space.back() = dims.constant(1);
  Kernel k(lowering, "scatter_elements", lowering.loc);
  Value base = k.argument(storage), length = k.dim(in[*axis]), some = k.less(k.constant(0), length);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, space);
    auto update = [&](Value i) {
      at.back() = i;
      CheckedIndex index = loadIndex(k, node.input(1), Index(indices, at), length);
      SmallVector<Value> target = at;
      target[*axis] = index.position;
      updateElement(k, reduction, node.input(2), Index(node.dims(2), at), base, k.linearize(target, in));
      return index.good;
    };
    if (isLast)
      return checkedLoop(k, k.constant(0), k.dim(indices.back()), some, update);
    k.loop(k.constant(0), k.dim(indices[*axis]), [&](Value along) {
      at[*axis] = along;
      checkedLoop(k, k.constant(0), k.dim(indices.back()), some, update);
    });
  });
  k.launch(dims.product(space), dims.mul(dims.product(indices), dims.constant(2)));
  return success();
}

// ---- ScatterND

static LogicalResult inferScatterND(Infer &infer) {
  SmallVector<Dim> in = infer.dims(0), indices = infer.dims(1), updates = infer.dims(2);
  if (failed(checkReduction(infer)))
    return failure();
  if (indices.empty() || !isa<IntegerType>(infer.element(1)))
    return infer.error("has indices that are no tensor of integers");
  auto tuple = constantOf(indices.back());
  if (!tuple)
    return infer.unsupported("the last dimension of its indices is not known before the model runs");
  SmallVector<Dim> expected(indices.begin(), indices.end() - 1);
  if (*tuple < 0 || *tuple > int64_t(in.size()) || updates.size() != expected.size() + in.size() - size_t(*tuple))
    return infer.error("has index tuples of length " + Twine(*tuple) + " and updates of rank " + Twine(updates.size()) +
                       " for data of rank " + Twine(in.size()));
  expected.append(in.begin() + *tuple, in.end());
  for (auto [wanted, given] : llvm::zip(expected, updates))
    infer.requireEqual(wanted, given);
  infer.result(0, in, infer.element(0));
  return success();
}

static LogicalResult lowerScatterND(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  StringRef reduction = node.stringAttr("reduction", "none");
  SmallVector<Dim> in = node.dims(0), tuples = node.dims(1);
  int64_t tuple = *constantOf(tuples.pop_back_val());
  Value indices = node.input(1), updates = node.input(2), storage = lowering.storage(node.output());
  lowering.copy(node.input(0), storage);
  lowering.storage(indices), lowering.storage(updates); // they are numbered
  SmallVector<Dim> leading(in.begin(), in.begin() + tuple);
  Dim slice = dims.product(ArrayRef<Dim>(in).drop_front(tuple)), count = dims.product(tuples);
  Dim chunks = dims.ceilDiv(slice, sliceChunk);
  Kernel k(lowering, "scatter_nd", lowering.loc);
  Value base = k.argument(storage), size = k.dim(slice);
  auto update = [&](Value which, Value chunk) {
    Value row = k.constant(0), good = arith::ConstantOp::create(k.b, k.b.getBoolAttr(true));
    for (int64_t i = 0; i < tuple; ++i) {
      Value number = k.add(k.mul(which, k.constant(tuple)), k.constant(i)), length = k.dim(leading[i]);
      CheckedIndex index = loadIndex(k, indices, Index(node.dims(1), number), length);
      row = k.add(k.mul(row, length), index.position);
      good = k.both(good, index.good);
    }
    k.check(good);
    Value begin = k.mul(chunk, k.constant(sliceChunk));
    Value end = k.select(good, k.min(k.add(begin, k.constant(sliceChunk)), size), begin);
    Value to = k.mul(row, size), from = k.mul(which, size);
    k.loop(begin, end, [&](Value i) {
      updateElement(k, reduction, updates, Index(node.dims(2), k.add(from, i)), base, k.add(to, i));
    });
  };
  // Plain updates of one element twice are not allowed, so they can be made in any order; reductions meet in it.
  bool ordered = reduction != "none";
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    if (ordered)
      return k.loop(k.constant(0), k.dim(count), [&](Value which) { update(which, unit); });
    SmallVector<Value> at = k.delinearize(unit, {count, chunks});
    update(at[0], at[1]);
  });
  k.launch(ordered ? chunks : dims.mul(count, chunks), dims.product(node.dims(2)));
  return success();
}

// ---- TensorScatter

static LogicalResult inferTensorScatter(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> in = infer.dims(0), update = infer.dims(1);
  auto axis = infer.axis(infer.intAttr("axis", -2), infer.rank(0));
  if (failed(axis))
    return failure();
  StringRef mode = infer.stringAttr("mode", "linear");
  if (*axis == 0 || update.size() != in.size() || (mode != "linear" && mode != "circular"))
    return infer.error("has an axis, a mode or an update that its cache does not allow");
  for (size_t i = 0; i < in.size(); ++i)
    if (int64_t(i) == *axis)
      infer.requireEqual(d.max(in[i], update[i]), in[i]);
    else
      infer.requireEqual(in[i], update[i]);
  if (infer.has(2)) {
    if (infer.rank(2) != 1 || !isa<IntegerType>(infer.element(2)))
      return infer.error("has write indices that are no list of integers");
    infer.requireEqual(infer.dims(2)[0], in[0]);
  }
  infer.result(0, in, infer.element(0));
  return success();
}

static LogicalResult lowerTensorScatter(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> in = node.dims(0), update = node.dims(1);
  auto axis = node.axis(node.intAttr("axis", -2), node.rank(0));
  if (failed(axis))
    return failure();
  Value storage = lowering.storage(node.output()), source = node.input(1);
  lowering.copy(node.input(0), storage);
  lowering.storage(source);
  bool circular = node.stringAttr("mode", "linear") == "circular";
  SmallVector<Dim> space(update.begin(), update.begin() + *axis + 1);
  Dim run = dims.product(ArrayRef<Dim>(in).drop_front(*axis + 1));
  Kernel k(lowering, "tensor_scatter", lowering.loc);
  Value base = k.argument(storage), length = k.dim(in[*axis]), zero = k.constant(0);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, space);
    Value first =
        node.has(2) ? castNumber(k.b, k.load(node.input(2), {at[0]}), node.element(2), k.b.getI64Type()) : zero;
    Value position = k.add(first, at[*axis]), good = arith::CmpIOp::create(k.b, arith::CmpIPredicate::sge, first, zero);
    if (circular)
      position = k.rem(k.max(position, zero), k.max(length, k.constant(1)));
    good = k.both(good, k.less(position, length));
    k.check(good);
    at[*axis] = position;
    Value to = k.mul(k.linearize(at, ArrayRef<Dim>(in).take_front(*axis + 1)), k.dim(run)),
          from = k.mul(unit, k.dim(run));
    k.loop(zero, k.select(good, k.dim(run), zero),
           [&](Value i) { k.move(source, Index(update, k.add(from, i)), base, k.add(to, i)); });
  });
  k.launch(dims.product(space), dims.product(update));
  return success();
}

void qcc::registerScatter(OperatorRegistry &registry) {
  registry.add("", "ScatterElements", inferScatterElements, lowerScatterElements);
  registry.add("", "Scatter", inferScatterElements, lowerScatterElements);
  registry.add("", "ScatterND", inferScatterND, lowerScatterND);
  registry.add("", "TensorScatter", inferTensorScatter, lowerTensorScatter);
}
