// Operators that only give a tensor other dimensions: the result shares the operand's storage.
#include "Register.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

static LogicalResult lowerAlias(const Node &node, Lowering &lowering) {
  lowering.alias(node.output(), node.input(0));
  return success();
}

/// The result has the operand's elements and contents under new dimensions.
static LogicalResult finish(Infer &infer, ArrayRef<Dim> dims) {
  infer.requireEqual(infer.dim().product(infer.dims(0)), infer.dim().product(dims));
  infer.result(0, dims, infer.element(0));
  if (auto contents = infer.contents(0))
    infer.resultContents(0, *contents);
  return success();
}

/// Whether a requested length may be -1 or 0 with a meaning of its own: something read from data, not a length.
static bool isOpen(const Dimensions &dims, Dim dim) {
  auto symbol = dyn_cast<AffineSymbolExpr>(dim);
  return symbol && dims.symbols()[symbol.getPosition()].kind != Dimensions::Kind::Input && !dims.isNonNegative(dim);
}

static LogicalResult inferReshape(Infer &infer) {
  Dimensions &d = infer.dim();
  if (!infer.has(1))
    return infer.error("has no shape");
  auto operand = infer.shapeOperand(1, "shape");
  if (failed(operand))
    return failure();
  SmallVector<Dim> shape = *operand;
  SmallVector<Dim> in = infer.dims(0);
  bool allowZero = infer.intAttr("allowzero", 0) != 0;
  std::optional<size_t> inferred;
  for (auto [i, length] : llvm::enumerate(shape)) {
    auto known = constantOf(length);
    if (known == -1) {
      if (inferred)
        return infer.error("has a shape with two lengths of -1");
      inferred = i;
    } else if (known && *known < 0) {
      return infer.error("has a shape with the length " + Twine(*known));
    } else if (known == 0 && !allowZero) {
      if (i >= in.size())
        return infer.error("copies dimension " + Twine(i) + " of an operand of rank " + Twine(in.size()));
      length = in[i];
    } else if (!known && isOpen(d, length) && !allowZero && i < in.size()) {
      length = d.ifEqual(length, d.constant(0), in[i], length);
    }
  }
  Dim total = d.product(in);
  if (inferred) {
    SmallVector<Dim> others = shape;
    others.erase(others.begin() + int64_t(*inferred));
    Dim rest = d.product(others);
    if (constantOf(rest) == 0)
      return infer.error("has a shape with a length of -1 besides one of 0");
    shape[*inferred] = d.floorDiv(total, rest);
  } else {
    Dim rest = d.constant(1);
    for (Dim length : shape)
      rest = d.mul(rest, isOpen(d, length) ? d.ifNegative(length, d.constant(1), length) : length);
    for (Dim &length : shape)
      if (isOpen(d, length))
        length = d.ifNegative(length, d.floorDiv(total, rest), length);
  }
  Dim made = d.product(shape);
  if (constantOf(total) && constantOf(made) && total != made)
    return infer.error("makes " + Twine(*constantOf(made)) + " elements of " + Twine(*constantOf(total)));
  return finish(infer, shape);
}

static LogicalResult inferFlatten(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> in = infer.dims(0);
  int64_t rank = int64_t(in.size()), axis = infer.intAttr("axis", 1);
  if (axis < -rank || axis > rank)
    return infer.error("has axis " + Twine(axis) + ", but the rank is " + Twine(rank));
  if (axis < 0)
    axis += rank;
  ArrayRef<Dim> all(in);
  return finish(infer, {d.product(all.take_front(axis)), d.product(all.drop_front(axis))});
}

/// The axes of a Squeeze or Unsqueeze: an attribute before operator set 13, then an operand, which may be known only
/// while the program runs. Nothing when there are none.
static FailureOr<std::optional<SmallVector<Dim>>> axesOf(Infer &infer) {
  if (auto attribute = infer.intsAttr("axes"))
    return std::optional(llvm::map_to_vector(*attribute, [&](int64_t axis) { return infer.dim().constant(axis); }));
  if (!infer.has(1))
    return std::optional<SmallVector<Dim>>();
  auto operand = infer.shapeOperand(1, "axes");
  if (failed(operand))
    return failure();
  return std::optional(*operand);
}

namespace {
/// Which of `rank` axes are in a list, as numbers 0 and 1, and how many of those before each axis are.
struct Marks {
  SmallVector<Dim> is, before;
  Marks(Dimensions &d, ArrayRef<Dim> axes, int64_t rank) {
    Dim count = d.constant(0);
    for (int64_t i = 0; i < rank; ++i) {
      Dim mark = d.constant(0);
      for (Dim axis : axes)
        mark =
            d.ifEqual(axis, d.constant(i), d.constant(1), d.ifEqual(axis, d.constant(i - rank), d.constant(1), mark));
      before.push_back(count);
      is.push_back(mark);
      count = d.add(count, mark);
    }
  }
};
} // namespace

static LogicalResult checkAxes(Infer &infer, ArrayRef<Dim> axes, int64_t rank) {
  llvm::SmallDenseSet<int64_t> seen;
  for (Dim axis : axes)
    if (auto known = constantOf(axis)) {
      auto normal = infer.axis(*known, rank);
      if (failed(normal))
        return failure();
      if (!seen.insert(*normal).second)
        return infer.error("has axis " + Twine(*known) + " twice");
    }
  return success();
}

static LogicalResult inferSqueeze(Infer &infer) {
  Dimensions &d = infer.dim();
  auto axes = axesOf(infer);
  if (failed(axes))
    return failure();
  SmallVector<Dim> in = infer.dims(0), result;
  int64_t rank = int64_t(in.size());
  if (!*axes) {
    axes->emplace();
    for (auto [i, length] : llvm::enumerate(in))
      if (auto known = constantOf(length); !known)
        return infer.unsupported("it has no axes and an operand with dimensions that are known only when the model "
                                 "runs: give it axes");
      else if (*known == 1)
        (*axes)->push_back(d.constant(int64_t(i)));
  }
  if (failed(checkAxes(infer, **axes, rank)))
    return failure();
  Marks marks(d, **axes, rank);
  for (auto [mark, length] : llvm::zip(marks.is, in))
    if (constantOf(mark) == 1 && constantOf(length) && constantOf(length) != 1)
      return infer.error("removes a dimension of length " + Twine(*constantOf(length)));
  for (int64_t to = 0; to < rank - int64_t((*axes)->size()); ++to) {
    Dim length = d.constant(1);
    for (int64_t i = rank; i-- > 0;) // the axis that `to` of those that stay are before
      length = d.ifEqual(d.add(marks.before[i], d.constant(to)), d.constant(i),
                         d.ifEqual(marks.is[i], d.constant(0), in[i], length), length);
    result.push_back(length);
  }
  return finish(infer, result);
}

static LogicalResult inferUnsqueeze(Infer &infer) {
  Dimensions &d = infer.dim();
  auto axes = axesOf(infer);
  if (failed(axes))
    return failure();
  if (!*axes)
    return infer.error("has no axes");
  SmallVector<Dim> in = infer.dims(0), result;
  int64_t rank = int64_t(in.size() + (*axes)->size());
  if (failed(checkAxes(infer, **axes, rank)))
    return failure();
  Marks marks(d, **axes, rank);
  for (int64_t i = 0; i < rank; ++i) {
    Dim length = d.constant(1); // also where the axes turn out to be wrong
    for (int64_t from = 0; from < int64_t(in.size()); ++from)
      length = d.ifEqual(d.add(marks.before[i], d.constant(from)), d.constant(i), in[from], length);
    result.push_back(d.ifEqual(marks.is[i], d.constant(1), d.constant(1), length));
  }
  return finish(infer, result);
}

static LogicalResult inferIdentity(Infer &infer) { return finish(infer, infer.dims(0)); }

void qcc::registerReshape(OperatorRegistry &registry) {
  registry.add("", "Reshape", inferReshape, lowerAlias);
  registry.add("", "Flatten", inferFlatten, lowerAlias);
  registry.add("", "Squeeze", inferSqueeze, lowerAlias);
  registry.add("", "Unsqueeze", inferUnsqueeze, lowerAlias);
  registry.add("", "Identity", inferIdentity, lowerAlias);
}
