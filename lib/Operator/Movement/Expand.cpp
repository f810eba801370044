// Repetition along axes: Expand and Tile.
#include "Register.h"
#include "View.h"

using namespace mlir;
using namespace qcc;

static LogicalResult inferExpand(Infer &infer) {
  Dimensions &d = infer.dim();
  auto shape = infer.shapeOperand(1, "shape");
  if (failed(shape))
    return failure();
  for (Dim &length : *shape) {
    if (constantOf(length).value_or(0) < 0)
      return infer.error("has a shape with the length " + Twine(*constantOf(length)));
    if (d.isRuntime(length))
      length = d.max(length, d.constant(0));
  }
  SmallVector<Dim> in = infer.dims(0);
  SmallVector<Dim> result = infer.broadcast({in, *shape});
  infer.result(0, result, infer.element(0));
  View view;
  int skipped = int(result.size() - in.size());
  for (auto [i, length] : llvm::enumerate(in)) {
    int from = skipped + int(i);
    Dim step = length == result[from] ? d.constant(1) : d.ifEqual(length, d.constant(1), d.constant(0), d.constant(1));
    view.axes.push_back({constantOf(step) == 0 ? -1 : from, d.constant(0), step});
  }
  resolveView(infer, view);
  return success();
}

/// A tensor repeated along an axis is the tensor with an axis in front of that one, expanded.
static LogicalResult inferTile(Infer &infer) {
  Dimensions &d = infer.dim();
  auto repeats = infer.shapeOperand(1, "repeats", infer.rank(0));
  if (failed(repeats))
    return failure();
  SmallVector<Dim> in = infer.dims(0), wide, result, offset, step;
  if (repeats->size() != in.size())
    return infer.error("has " + Twine(repeats->size()) + " repeats for an operand of rank " + Twine(in.size()));
  SmallVector<int64_t> from;
  for (auto [length, count] : llvm::zip(in, *repeats)) {
    if (constantOf(count).value_or(0) < 0)
      return infer.error("repeats " + Twine(*constantOf(count)) + " times");
    if (d.isRuntime(count))
      count = d.max(count, d.constant(0));
    if (constantOf(count) != 1)
      wide.push_back(count);
    from.push_back(int64_t(wide.size()));
    wide.push_back(length);
    result.push_back(d.mul(count, length));
    offset.push_back(d.constant(0)), step.push_back(d.constant(1));
  }
  infer.replace(0, infer.reshape(infer.view(infer.input(0), wide, from, offset, step), result));
  return success();
}

void qcc::registerExpand(OperatorRegistry &registry) {
  addView(registry, "", "Expand", inferExpand, resolvedView);
  registry.add("", "Tile", inferTile, nullptr);
}
