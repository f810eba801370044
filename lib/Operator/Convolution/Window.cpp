#include "Window.h"

using namespace mlir;
using namespace qcc;

SmallVector<Dim> qcc::spatialDims(const Node &node, unsigned i) {
  return to_vector(ArrayRef(node.dims(i)).drop_front(2));
}

std::optional<KnownAxis> qcc::knownAxis(const WindowAxis &axis) {
  auto input = constantOf(axis.input), kernel = constantOf(axis.kernel), output = constantOf(axis.output);
  auto before = constantOf(axis.before);
  if (!input || !kernel || !output || !before)
    return std::nullopt;
  return KnownAxis{*input, *kernel, *output, axis.stride, axis.dilation, *before};
}

SmallVector<Dim> qcc::outputDims(const Window &window) {
  return llvm::map_to_vector(window, [](const WindowAxis &axis) { return axis.output; });
}

SmallVector<Dim> qcc::kernelDims(const Window &window) {
  return llvm::map_to_vector(window, [](const WindowAxis &axis) { return axis.kernel; });
}

FailureOr<SmallVector<int64_t>> qcc::axisAttr(const Node &node, StringRef name, int64_t axes, int64_t otherwise,
                                              int64_t least, int64_t perAxis) {
  auto values = node.intsAttr(name);
  if (!values)
    return SmallVector<int64_t>(axes * perAxis, otherwise);
  if (int64_t(values->size()) != axes * perAxis)
    return node.error("has " + Twine(values->size()) + " numbers in '" + name + "' for " + Twine(axes) +
                      " spatial axes");
  for (int64_t value : *values)
    if (value < least)
      return node.error("has " + Twine(value) + " in '" + name + "', which must be at least " + Twine(least));
  return *values;
}

/// ceil((input - 1 + 1) / stride) positions, with the padding that this takes split between both ends.
static void padSame(WindowAxis &axis, Dimensions &dims, bool upper) {
  Dim one = dims.constant(1), stride = dims.constant(axis.stride);
  axis.output = dims.ceilDiv(axis.input, axis.stride);
  Dim reach = dims.add(dims.mul(dims.sub(axis.output, one), stride), axis.extent(dims));
  Dim total = dims.max(dims.constant(0), dims.sub(reach, axis.input));
  Dim half = dims.floorDiv(total, dims.constant(2)), rest = dims.sub(total, half);
  axis.before = upper ? half : rest, axis.after = upper ? rest : half;
}

FailureOr<Window> qcc::windowOf(const Node &node, Dimensions &dims, ArrayRef<Dim> input, ArrayRef<Dim> kernel) {
  int64_t rank = int64_t(input.size());
  StringRef autoPad = node.stringAttr("auto_pad", "NOTSET");
  bool same = autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER", ceil = node.intAttr("ceil_mode", 0) != 0;
  if (!same && autoPad != "NOTSET" && autoPad != "VALID" && !autoPad.empty())
    return node.error("has the unknown auto_pad '" + autoPad + "'");
  auto strides = axisAttr(node, "strides", rank, 1, 1), dilations = axisAttr(node, "dilations", rank, 1, 1);
  auto pads = axisAttr(node, "pads", rank, 0, 0, 2);
  if (failed(strides) || failed(dilations) || failed(pads))
    return failure();
  Window window;
  for (int64_t i = 0; i < rank; ++i) {
    WindowAxis axis;
    axis.input = input[i], axis.kernel = kernel[i];
    axis.stride = (*strides)[i], axis.dilation = (*dilations)[i];
    bool explicitPads = autoPad == "NOTSET" || autoPad.empty();
    axis.before = dims.constant(explicitPads ? (*pads)[i] : 0);
    axis.after = dims.constant(explicitPads ? (*pads)[rank + i] : 0);
    if (constantOf(axis.kernel).value_or(1) < 1)
      return node.error("has an empty kernel");
    if (same) {
      padSame(axis, dims, autoPad == "SAME_UPPER");
    } else {
      Dim reach = dims.add(axis.input, axis.before), zero = dims.constant(0);
      // One more than the number of steps that fit, so that the numerator stays positive.
      Dim room = dims.add(dims.sub(dims.add(reach, axis.after), axis.extent(dims)),
                          dims.constant(ceil ? 2 * axis.stride - 1 : axis.stride));
      if (auto known = constantOf(room); known && *known < axis.stride)
        return node.error("has a kernel that is longer than its padded input");
      axis.output = dims.max(zero, dims.floorDiv(room, dims.constant(axis.stride)));
      if (ceil) { // a window that would start in the padding behind the input is left out
        Dim last = dims.mul(dims.sub(axis.output, dims.constant(1)), dims.constant(axis.stride));
        axis.output = dims.ifNegative(dims.sub(dims.sub(reach, last), dims.constant(1)),
                                      dims.sub(axis.output, dims.constant(1)), axis.output);
      }
    }
    window.push_back(axis);
  }
  return window;
}

bool qcc::isPlain(const Node &node) {
  StringRef autoPad = node.stringAttr("auto_pad", "NOTSET");
  auto all = [&](StringRef name, int64_t value) {
    return llvm::all_of(node.intsAttr(name).value_or(SmallVector<int64_t>()), [&](int64_t v) { return v == value; });
  };
  return !autoPad.starts_with("SAME") && (autoPad == "VALID" || all("pads", 0)) && all("strides", 1) &&
         node.intAttr("ceil_mode", 0) == 0;
}

FailureOr<SmallVector<Dim>> qcc::kernelShape(const Node &node, Dimensions &dims) {
  if (node.rank(0) < 3)
    return node.error("takes an operand of at least three dimensions");
  if (!node.intsAttr("kernel_shape"))
    return node.error("has no kernel_shape");
  auto shape = axisAttr(node, "kernel_shape", node.rank(0) - 2, 1, 1);
  if (failed(shape))
    return failure();
  return llvm::map_to_vector(*shape, [&](int64_t length) { return dims.constant(length); });
}

FailureOr<SmallVector<Dim>> qcc::kernelOfWeights(const Node &node, unsigned weights, unsigned input) {
  if (node.rank(input) < 3)
    return node.error("takes an operand of at least three dimensions");
  if (node.rank(weights) != node.rank(input))
    return node.error("has weights of rank " + Twine(node.rank(weights)) + " for an operand of rank " +
                      Twine(node.rank(input)));
  SmallVector<Dim> kernel = spatialDims(node, weights);
  auto shape = axisAttr(node, "kernel_shape", int64_t(kernel.size()), 1, 1);
  if (failed(shape))
    return failure();
  if (node.hasAttr("kernel_shape"))
    for (auto [length, attribute] : llvm::zip(kernel, *shape))
      if (constantOf(length).value_or(attribute) != attribute)
        return node.error("has weights whose shape differs from kernel_shape");
  return kernel;
}

LogicalResult qcc::checkBias(Infer &infer, unsigned i, Dim channels) {
  if (!infer.has(i))
    return success();
  auto length = infer.rank(i) == 1 ? constantOf(infer.dims(i)[0]) : std::nullopt, expected = constantOf(channels);
  if (infer.rank(i) != 1 || (length && expected && *length != *expected))
    return infer.error("has a bias that is not one number for each output channel");
  infer.requireEqual(infer.dims(i)[0], channels);
  return success();
}
