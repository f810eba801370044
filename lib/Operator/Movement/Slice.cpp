// Parts of a tensor: Slice and Split.
#include "Register.h"
#include "View.h"

using namespace mlir;
using namespace qcc;

namespace {
/// The part of one axis that a Slice takes.
struct Part {
  Dim offset, length, step;
};

/// Cuts a dimension as NumPy's slices do.
class Cutter {
public:
  Cutter(Dimensions &dims, Dim length) : d(dims), length(length), zero(dims.constant(0)), one(dims.constant(1)) {}

  Part cut(Dim start, Dim end, Dim step) {
    auto known = constantOf(step);
    if (known && *known > 0)
      return forward(start, end, step);
    Part back = backward(start, end, d.sub(zero, step));
    back.step = step;
    if (known)
      return back;
    Part ahead = forward(start, end, step);
    return {d.ifNegative(step, back.offset, ahead.offset), d.ifNegative(step, back.length, ahead.length), step};
  }

private:
  static constexpr int64_t farAway = int64_t(1) << 31; // what exporters write for "to the end" is at least this

  Dim last() { return d.sub(length, one); }
  /// Counted from the front.
  Dim fromFront(Dim value) { return d.ifNegative(value, d.add(value, length), value); }
  /// A bound in [0, length].
  Dim bound(Dim value) {
    if (auto known = constantOf(value); known && *known >= farAway)
      return length;
    else if (known && *known <= -farAway)
      return zero;
    return d.max(zero, d.min(fromFront(value), length));
  }
  Dim steps(Dim span, Dim step) {
    if (auto known = constantOf(step))
      return *known == 1 ? span : d.ceilDiv(span, *known);
    return d.floorDiv(d.add(span, d.sub(step, one)), step);
  }

  Part forward(Dim start, Dim end, Dim step) {
    Dim to = bound(end), from = bound(start), span;
    auto a = constantOf(start), b = constantOf(end);
    if (a && *a < 0 && *a > -farAway && to == length) { // the last few
      span = d.min(d.constant(-*a), length);
      from = d.sub(length, span);
    } else {
      span = d.sub(to, from);
      bool ordered = to == length || constantOf(from) == 0 || (a && b && *a >= 0 && *a <= *b);
      if (!ordered)
        span = d.max(zero, span);
    }
    return {from, steps(span, step), step};
  }

  Part backward(Dim start, Dim end, Dim back) {
    auto a = constantOf(start), b = constantOf(end);
    Dim from = a && *a >= farAway    ? last()
               : a && *a <= -farAway ? d.min(zero, last())
                                     : d.min(d.max(zero, fromFront(start)), last());
    Dim to = b && *b >= farAway    ? last()
             : b && *b <= -farAway ? d.constant(-1)
                                   : d.max(d.constant(-1), d.min(fromFront(end), last()));
    Dim span = d.sub(from, to);
    if (!(a && *a >= farAway && constantOf(to) == -1)) // the whole dimension
      span = d.max(zero, span);
    return {from, steps(span, back), {}};
  }

  Dimensions &d;
  Dim length, zero, one;
};
} // namespace

/// The list that an attribute holds before operator set 10 and operand `i` from there on.
static FailureOr<std::optional<SmallVector<Dim>>> listOf(Infer &infer, unsigned i, StringRef name) {
  if (infer.version() < 10) {
    auto attribute = infer.intsAttr(name);
    if (!attribute)
      return std::optional<SmallVector<Dim>>();
    return std::optional(llvm::map_to_vector(*attribute, [&](int64_t v) { return infer.dim().constant(v); }));
  }
  if (!infer.has(i))
    return std::optional<SmallVector<Dim>>();
  auto operand = infer.shapeOperand(i, name);
  if (failed(operand))
    return failure();
  return std::optional(*operand);
}

static LogicalResult inferSlice(Infer &infer) {
  Dimensions &d = infer.dim();
  auto starts = listOf(infer, 1, "starts"), ends = listOf(infer, 2, "ends"), axes = listOf(infer, 3, "axes"),
       steps = listOf(infer, 4, "steps");
  if (failed(starts) || failed(ends) || failed(axes) || failed(steps))
    return failure();
  if (!*starts || !*ends)
    return infer.error("has no starts or no ends");
  SmallVector<Dim> in = infer.dims(0);
  int64_t rank = int64_t(in.size());
  size_t count = (*starts)->size();
  if (!*axes)
    *axes = llvm::map_to_vector(llvm::seq<int64_t>(0, int64_t(count)), [&](int64_t axis) { return d.constant(axis); });
  if (!*steps)
    *steps = SmallVector<Dim>(count, d.constant(1));
  if ((*ends)->size() != count || (*axes)->size() != count || (*steps)->size() != count)
    return infer.error("has starts, ends, axes and steps of different lengths");
  for (Dim axis : **axes)
    if (auto known = constantOf(axis); known && failed(infer.axis(*known, rank)))
      return failure();
  for (Dim step : **steps)
    if (constantOf(step) == 0)
      return infer.error("has a step of 0");
  SmallVector<Dim> result;
  View view;
  for (int64_t i = 0; i < rank; ++i) {
    Dim start = d.constant(0), end = d.constant(INT64_MAX), step = d.constant(1);
    for (size_t j = 0; j < count; ++j) {
      auto pick = [&](Dim mine, Dim otherwise) {
        Dim axis = (**axes)[j];
        return d.ifEqual(axis, d.constant(i), mine, d.ifEqual(axis, d.constant(i - rank), mine, otherwise));
      };
      start = pick((**starts)[j], start), end = pick((**ends)[j], end), step = pick((**steps)[j], step);
    }
    Part part = Cutter(d, in[i]).cut(start, end, step);
    view.axes.push_back({int(i), part.offset, part.step});
    result.push_back(part.length);
  }
  infer.result(0, result, infer.element(0));
  resolveView(infer, view);
  return success();
}

static LogicalResult inferSplit(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> in = infer.dims(0), sizes;
  auto axis = infer.axis(infer.intAttr("axis", 0), infer.rank(0));
  if (failed(axis))
    return failure();
  Dim length = in[*axis], sum = d.constant(0);
  int64_t parts = infer.outputs();
  if (auto attribute = infer.intsAttr("split")) {
    for (int64_t size : *attribute)
      sizes.push_back(d.constant(size));
  } else if (infer.version() >= 13 && infer.has(1)) {
    auto operand = infer.shapeOperand(1, "split", parts);
    if (failed(operand))
      return failure();
    sizes = *operand;
  } else {
    if (infer.intAttr("num_outputs", parts) != parts)
      return infer.error("has " + Twine(parts) + " outputs but another number in 'num_outputs'");
    // Equal parts; since operator set 18 the last ones may be shorter.
    Dim chunk = infer.version() < 18 ? d.floorDiv(length, d.constant(parts)) : d.ceilDiv(length, parts);
    if (infer.version() < 18)
      sizes.assign(parts, chunk);
    for (int64_t i = int64_t(sizes.size()); i < parts; ++i) {
      Dim begin = d.min(length, d.mul(chunk, d.constant(i)));
      Dim end = i + 1 == parts ? length : d.min(length, d.mul(chunk, d.constant(i + 1)));
      sizes.push_back(d.sub(end, begin));
    }
  }
  if (int64_t(sizes.size()) != parts)
    return infer.error("has " + Twine(parts) + " outputs but " + Twine(sizes.size()) + " lengths");
  for (Dim &size : sizes) {
    if (constantOf(size).value_or(0) < 0)
      return infer.error("has a negative length");
    if (d.isRuntime(size)) // whatever it turns out to be, the part is within the operand
      size = d.max(d.constant(0), d.min(size, d.sub(length, sum)));
    sum = d.add(sum, size);
  }
  if (constantOf(sum) && constantOf(length) && sum != length)
    return infer.error("has lengths that add up to " + Twine(*constantOf(sum)) + " instead of " +
                       Twine(*constantOf(length)));
  infer.requireEqual(sum, length);
  Value source = infer.checked(infer.input(0));
  sum = d.constant(0);
  for (int64_t i = 0; i < parts; ++i) {
    infer.replace(i, infer.slice(source, *axis, sum, sizes[i]));
    sum = d.add(sum, sizes[i]);
  }
  return success();
}

void qcc::registerSlice(OperatorRegistry &registry) {
  addView(registry, "", "Slice", inferSlice, resolvedView);
  registry.add("", "Split", inferSplit, nullptr);
}
