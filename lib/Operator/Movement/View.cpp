#include "View.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t chunk = 4096;  // elements of a run that one unit copies
static constexpr int64_t tileSide = 16; // square tiles of a transposition: rows of a cache line in 4-byte elements

std::optional<SmallVector<Dim>> qcc::selectContents(ArrayRef<Dim> dims, ArrayRef<Dim> contents,
                                                    llvm::function_ref<int64_t(ArrayRef<int64_t>)> source) {
  SmallVector<int64_t> lengths, index(dims.size(), 0);
  int64_t count = 1;
  for (Dim dim : dims) {
    auto length = constantOf(dim);
    if (!length || *length < 0 || *length > Infer::maxContents)
      return std::nullopt;
    lengths.push_back(*length);
    count *= *length;
    if (count > Infer::maxContents)
      return std::nullopt;
  }
  SmallVector<Dim> result;
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    for (size_t axis = lengths.size(); axis-- > 0;) {
      index[axis] = rest % lengths[axis];
      rest /= lengths[axis];
    }
    int64_t at = source(index);
    if (at < 0 || at >= int64_t(contents.size()))
      return std::nullopt;
    result.push_back(contents[at]);
  }
  return result;
}

void qcc::resolveView(Infer &infer, const View &view) {
  Dimensions &dims = infer.dim();
  infer.resolve("from", llvm::map_to_vector(view.axes, [&](const View::Axis &a) { return dims.constant(a.from); }));
  infer.resolve("offset", llvm::map_to_vector(view.axes, [](const View::Axis &a) { return a.offset; }));
  infer.resolve("step", llvm::map_to_vector(view.axes, [](const View::Axis &a) { return a.step; }));
}

View qcc::resolvedView(const Node &node) {
  View view;
  for (auto [from, offset, step] : llvm::zip(*node.resolved("from"), *node.resolved("offset"), *node.resolved("step")))
    view.axes.push_back({int(*constantOf(from)), offset, step});
  return view;
}

static std::optional<SmallVector<Dim>> contentsOfView(Infer &infer, const View &view) {
  auto contents = infer.contents(0);
  if (!contents)
    return std::nullopt;
  SmallVector<Dim> shape = infer.dims(0);
  for (auto [dim, axis] : llvm::zip(shape, view.axes))
    if (!constantOf(dim) || !constantOf(axis.offset) || (axis.from >= 0 && !constantOf(axis.step)))
      return std::nullopt;
  return selectContents(infer.outputDims(), *contents, [&](ArrayRef<int64_t> index) {
    int64_t at = 0;
    for (auto [dim, axis] : llvm::zip(shape, view.axes))
      at = at * *constantOf(dim) + *constantOf(axis.offset) +
           (axis.from >= 0 ? *constantOf(axis.step) * index[axis.from] : 0);
    return at;
  });
}

static SmallVector<Value> sourceOf(Kernel &k, const View &view, ArrayRef<Value> index) {
  SmallVector<Value> at;
  for (const View::Axis &axis : view.axes) {
    Value offset = k.dim(axis.offset);
    at.push_back(axis.from < 0 ? offset : k.add(offset, k.mul(k.dim(axis.step), index[axis.from])));
  }
  return at;
}

namespace {
/// One view about to be copied.
struct Copy {
  Lowering &lowering;
  Value source, result;
  const View &view;
  SmallVector<Dim> from, to;

  Copy(const Node &node, Lowering &lowering, const View &view)
      : lowering(lowering), source(node.input(0)), result(node.output()), view(view), from(node.dims(0)),
        to(node.outputDims()) {}

  void emit();

private:
  bool isPlain(size_t axis, size_t resultAxis) const {
    const View::Axis &a = view.axes[axis];
    return a.from == int(resultAxis) && constantOf(a.step) == 1;
  }
  size_t runAxes() const;
  void copyRuns(size_t inner);
  void copyRows();
  void copyTiles(size_t across);
};
} // namespace

/// How many of the last axes are consecutive on both sides: all those that are copied whole and, where it is a plain
/// part of the operand's, the one before them.
size_t Copy::runAxes() const {
  for (size_t count = 0; count < from.size() && count < to.size(); ++count) {
    size_t axis = from.size() - 1 - count, resultAxis = to.size() - 1 - count;
    if (!isPlain(axis, resultAxis))
      return count;
    if (constantOf(view.axes[axis].offset) != 0 || from[axis] != to[resultAxis])
      return count + 1;
  }
  return std::min(from.size(), to.size());
}

/// Copies runs of elements that are consecutive on both sides, the last `inner` axes.
void Copy::copyRuns(size_t inner) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> space(ArrayRef<Dim>(to).drop_back(inner));
  Dim length = dims.product(ArrayRef<Dim>(to).take_back(inner)), runs = dims.product(space);
  if (constantOf(runs) == 1 && lowering.mayAlias(result, source)) {
    Dim first = dims.constant(0);
    for (auto [axis, dim] : llvm::zip(view.axes, from))
      first = dims.add(dims.mul(first, dim), axis.offset);
    return lowering.alias(result, source, first);
  }
  space.push_back(dims.ceilDiv(length, chunk));
  Kernel k(lowering, "copy_runs", lowering.loc);
  Value base = k.pointer(result), run = k.dim(length);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> index = k.delinearize(unit, space);
    Value begin = k.mul(index.pop_back_val(), k.constant(chunk));
    Value end = k.min(k.add(begin, k.constant(chunk)), run);
    Value target = k.mul(k.linearize(index, ArrayRef<Dim>(to).drop_back(inner)), run);
    index.append(inner, k.constant(0));
    Value start = k.linearize(sourceOf(k, view, index), from);
    k.loop(begin, end, [&](Value i) { k.move(source, Index(from, k.add(start, i)), base, k.add(target, i)); });
  });
  k.launch(dims.product(space), dims.product(to));
}

/// Copies element by element along the last axis of the result.
void Copy::copyRows() {
  ArrayRef<Dim> outer = ArrayRef<Dim>(to).drop_back(to.empty() ? 0 : 1);
  Kernel k(lowering, "copy_rows", lowering.loc);
  Value base = k.pointer(result);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> index = k.delinearize(unit, outer);
    if (to.empty())
      return k.move(source, Index(from, sourceOf(k, view, index)), base, unit);
    Value length = k.dim(to.back()), start = k.mul(unit, length);
    index.push_back({});
    k.loop(k.constant(0), length, [&](Value i) {
      index.back() = i;
      k.move(source, Index(from, sourceOf(k, view, index)), base, k.add(start, i));
    });
  });
  k.launch(lowering.dims.product(outer), lowering.dims.product(to));
}

/// Copies tiles of result axis `across`, which is the operand's last one, by the result's last axis.
void Copy::copyTiles(size_t across) {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> space(ArrayRef<Dim>(to).drop_back());
  space[across] = dims.ceilDiv(to[across], tileSide);
  space.push_back(dims.ceilDiv(to.back(), tileSide));
  Kernel k(lowering, "transpose", lowering.loc);
  Value base = k.pointer(result);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> index = k.delinearize(unit, space);
    Value firstRow = k.mul(index[across], k.constant(tileSide)),
          firstColumn = k.mul(index.back(), k.constant(tileSide));
    Value rows = k.min(k.constant(tileSide), k.sub(k.dim(to[across]), firstRow));
    Value columns = k.min(k.constant(tileSide), k.sub(k.dim(to.back()), firstColumn));
    k.loop(k.constant(0), rows, [&](Value row) {
      index[across] = k.add(firstRow, row);
      index.back() = firstColumn;
      Value start = k.linearize(index, to);
      k.loop(k.constant(0), columns, [&](Value column) {
        index.back() = k.add(firstColumn, column);
        k.move(source, Index(from, sourceOf(k, view, index)), base, k.add(start, column));
      });
    });
  });
  k.launch(dims.product(space), dims.product(to));
}

void Copy::emit() {
  // Elements of a run are numbered, and what is computed in place needs coordinates.
  if (size_t inner = runAxes(); (inner > 0 || from.empty()) && !lowering.isFused(source))
    return copyRuns(inner);
  if (from.size() > 1 && to.size() > 1) {
    int across = view.axes.back().from;
    if (across >= 0 && across != int(to.size()) - 1 && isPlain(from.size() - 1, across))
      return copyTiles(across);
  }
  copyRows();
}

void qcc::addView(OperatorRegistry &registry, StringRef domain, StringRef type,
                  std::function<LogicalResult(Infer &)> infer, ViewRule rule) {
  Operator op;
  op.domain = domain, op.type = type;
  op.infer = [infer, rule](Infer &node) -> LogicalResult {
    if (failed(infer(node)))
      return failure();
    if (!isa<RankedTensorType>(node.output().getType())) // the node became others
      return success();
    if (auto contents = contentsOfView(node, rule(node)))
      node.resultContents(0, *contents);
    return success();
  };
  op.inPlace = [rule](const Node &node) {
    View view = rule(node);
    if (view.axes.empty() || node.outputDims().empty())
      return true;
    return view.axes.back().from < 0 || view.axes.back().from == int(node.outputDims().size()) - 1;
  };
  op.readsOnce = [rule](const Node &node, unsigned i) {
    View view = rule(node);
    for (auto [axis, dim] : llvm::enumerate(node.outputDims()))
      if (constantOf(dim) != 1 && llvm::none_of(view.axes, [&, at = int(axis)](const View::Axis &a) {
            return a.from == at && constantOf(a.step).value_or(0) != 0;
          }))
        return false; // repeats the operand along this axis
    return i == 0;
  };
  op.element = [rule](const Node &node, Kernel &k, const Index &index) {
    View view = rule(node);
    SmallVector<Value> coordinates = index.coords(k);
    return k.load(node.input(0), Index(node.dims(0), sourceOf(k, view, coordinates)));
  };
  op.lower = [rule](const Node &node, Lowering &lowering) -> LogicalResult {
    View view = rule(node);
    Copy(node, lowering, view).emit();
    return success();
  };
  registry.add(op);
}
