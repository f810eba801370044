// ConvTranspose: the product of the weights with each input position, then the sum of what falls on each output.
#include "Register.h"
#include "Window.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

static constexpr int64_t maxScratchRow = 1 << 14; // outputs of a row whose sums lie in thread storage

/// Axes of which input position i and tap k fall on output position i * stride + k * dilation - before.
static FailureOr<Window> transposedWindow(const Node &node, Dimensions &dims) {
  auto kernel = kernelOfWeights(node, 1, 0);
  if (failed(kernel))
    return failure();
  SmallVector<Dim> input = spatialDims(node, 0);
  int64_t rank = int64_t(input.size());
  StringRef autoPad = node.stringAttr("auto_pad", "NOTSET");
  auto strides = axisAttr(node, "strides", rank, 1, 1), dilations = axisAttr(node, "dilations", rank, 1, 1);
  auto pads = axisAttr(node, "pads", rank, 0, 0, 2), extra = axisAttr(node, "output_padding", rank, 0, 0);
  if (failed(strides) || failed(dilations) || failed(pads) || failed(extra))
    return failure();
  auto shape = node.intsAttr("output_shape");
  if (shape && int64_t(shape->size()) == rank + 2) // with batch and channels, as some exporters write it
    shape->erase(shape->begin(), shape->begin() + 2);
  if (shape && int64_t(shape->size()) != rank)
    return node.error("has an output_shape of " + Twine(shape->size()) + " numbers for " + Twine(rank) +
                      " spatial axes");
  bool same = autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER";
  Window window;
  for (int64_t i = 0; i < rank; ++i) {
    WindowAxis axis;
    axis.input = input[i], axis.kernel = (*kernel)[i];
    axis.stride = (*strides)[i], axis.dilation = (*dilations)[i];
    Dim zero = dims.constant(0), stride = dims.constant(axis.stride);
    Dim reach = dims.add(dims.mul(dims.sub(axis.input, dims.constant(1)), stride), axis.extent(dims));
    Dim whole = dims.add(reach, dims.constant((*extra)[i]));
    if (shape || same) {
      axis.output = shape ? dims.constant((*shape)[i]) : dims.mul(axis.input, stride);
      Dim total = dims.max(zero, dims.sub(whole, axis.output));
      Dim half = dims.floorDiv(total, dims.constant(2));
      axis.before = autoPad == "SAME_UPPER" ? half : dims.sub(total, half);
      axis.after = dims.sub(total, axis.before);
    } else {
      bool valid = autoPad == "VALID";
      axis.before = dims.constant(valid ? 0 : (*pads)[i]), axis.after = dims.constant(valid ? 0 : (*pads)[rank + i]);
      axis.output = dims.sub(dims.sub(whole, axis.before), axis.after);
      if (constantOf(axis.output).value_or(0) < 0)
        return node.error("has more padding than output");
      axis.output = dims.max(zero, axis.output);
    }
    window.push_back(axis);
  }
  return window;
}

static LogicalResult inferConvTranspose(Infer &infer) {
  if (infer.inputs() < 2 || !infer.has(0) || !infer.has(1))
    return infer.error("takes an operand and its weights");
  if (!isFloat(infer.element(0)) || infer.element(0) != infer.element(1))
    return infer.error("takes an operand and weights of one float type");
  auto window = transposedWindow(infer, infer.dim());
  if (failed(window))
    return failure();
  int64_t groups = infer.intAttr("group", 1);
  SmallVector<Dim> input = infer.dims(0), weights = infer.dims(1);
  auto channels = constantOf(input[1]), weightChannels = constantOf(weights[0]);
  if (groups < 1 || channels.value_or(0) % groups || (channels && weightChannels && *channels != *weightChannels))
    return infer.error("has groups or weights that do not fit its operand's channels");
  infer.requireEqual(input[1], weights[0]);
  SmallVector<Dim> result = {input[0], infer.dim().mul(weights[1], infer.dim().constant(groups))};
  if (failed(checkBias(infer, 2, result[1])))
    return failure();
  llvm::append_range(result, outputDims(*window));
  infer.result(0, result, infer.element(0));
  return success();
}

namespace {
/// Sums, for rows of the output, the parts that fall on them: part(n, m, tap, i) is in `parts`.
struct PartSums {
  Dimensions &dims;
  Kernel &k;
  const Window &window;
  Type type;
  Value parts;
  SmallVector<Dim> input, kernel;

  /// The sum of all parts of one output position of `plane` (n, m).
  Value at(Value plane, ArrayRef<Value> position) {
    Value taps = k.dim(dims.product(kernel)), none = numberConstant(k.b, type, 0), zero = k.constant(0);
    return k.loop(zero, taps, none, [&](Value tap, ValueRange sum) {
      SmallVector<Value> offset = k.delinearize(tap, kernel);
      Value valid, number = k.add(k.mul(plane, taps), tap);
      for (auto [i, axis] : llvm::enumerate(window)) {
        Value from = k.sub(k.add(position[i], k.dim(axis.before)), k.mul(offset[i], k.constant(axis.dilation)));
        Value stride = k.constant(axis.stride), clamped = k.max(from, zero), place = k.div(clamped, stride);
        Value fits = k.both(k.equal(k.mul(place, stride), from), k.less(place, k.dim(axis.input)));
        valid = valid ? k.both(valid, fits) : fits;
        number = k.add(k.mul(number, k.dim(axis.input)), k.select(fits, place, zero));
      }
      return SmallVector<Value>{plus(k, sum[0], k.select(valid, k.loadAt(parts, number, type), none))};
    })[0];
  }

  /// sums[start + o] = all parts of output row `at` (without its last coordinate) of `plane` (n, m).
  void writeRow(Value plane, ArrayRef<Value> at, Value sums, Value start) {
    size_t last = window.size() - 1;
    Value zero = k.constant(0), length = k.dim(window[last].output), none = numberConstant(k.b, type, 0);
    k.loop(zero, length, [&](Value o) { k.storeAt(sums, k.add(start, o), type, none); });
    k.nest(ArrayRef(kernel).drop_back(), [&](ArrayRef<Value> tap) {
      Value valid = arith::ConstantOp::create(k.b, k.b.getBoolAttr(true)), line = zero;
      for (size_t i = 0; i < last; ++i) {
        Value from = k.sub(k.add(at[i], k.dim(window[i].before)), k.mul(tap[i], k.constant(window[i].dilation)));
        Value stride = k.constant(window[i].stride), clamped = k.max(from, zero), position = k.div(clamped, stride);
        Value no = arith::ConstantOp::create(k.b, k.b.getBoolAttr(false));
        valid = k.select(k.less(from, zero), no, valid);
        valid = k.select(k.less(zero, k.rem(clamped, stride)), no, valid);
        valid = k.select(k.less(position, k.dim(window[i].input)), valid, no);
        line = k.add(k.mul(line, k.dim(window[i].input)), position);
      }
      k.when(valid, [&] {
        k.loop(zero, k.dim(kernel[last]), [&](Value t) {
          SmallVector<Value> all(tap);
          all.push_back(t);
          Value part = k.add(k.mul(plane, k.dim(dims.product(kernel))), k.linearize(all, kernel));
          Value row = k.add(k.mul(part, k.dim(dims.product(ArrayRef(input).drop_back()))), line);
          addRow(k.mul(row, k.dim(input[last])), t, sums, start);
        });
      });
    });
  }

private:
  /// Adds a row of parts at `row` of tap `t` of the last axis.
  void addRow(Value row, Value t, Value sums, Value start) {
    const WindowAxis &axis = window.back();
    Value zero = k.constant(0), stride = k.constant(axis.stride);
    Value shift = k.sub(k.mul(t, k.constant(axis.dilation)), k.dim(axis.before)); // o = i * stride + shift
    auto firstAt = [&](Value o) { // the first i whose output is not before o
      return k.div(k.max(k.add(k.sub(o, shift), k.constant(axis.stride - 1)), zero), stride);
    };
    Value end = k.min(firstAt(k.dim(axis.output)), k.dim(axis.input)), to = k.add(start, shift);
    k.loop(firstAt(zero), end, [&](Value i) {
      Value o = k.add(to, k.mul(i, stride));
      k.storeAt(sums, o, type, plus(k, k.loadAt(sums, o, type), k.loadAt(parts, k.add(row, i), type)));
    });
  }
};
} // namespace

static LogicalResult lowerConvTranspose(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  auto window = transposedWindow(node, dims);
  if (failed(window))
    return failure();
  SmallVector<Dim> result = node.outputDims(), inputDims = node.dims(0), weightDims = node.dims(1);
  SmallVector<Dim> kernel = kernelDims(*window), input = spatialDims(node, 0), output = outputDims(*window);
  Dim groups = dims.constant(node.intAttr("group", 1)), channels = dims.floorDiv(weightDims[0], groups);
  Type accumulator = accumulatorOf(node.element(0));
  Contraction product;
  product.batches = {inputDims[0], groups};
  product.rows = dims.mul(weightDims[1], dims.product(kernel));
  product.columns = dims.product(input), product.depth = channels;
  product.accumulator = accumulator;
  product.rightIsContiguous = node.element(0) == accumulator;
  Value parts = lowering.allocate(
      dims.product({inputDims[0], groups, product.rows, product.columns, dims.constant(storageBytes(accumulator))}));
  product.left = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value step) {
    Value channel = k.add(k.mul(batch[1], k.dim(channels)), step);
    return k.load(node.input(1), Index(weightDims, k.add(k.mul(channel, k.dim(product.rows)), row)));
  };
  product.right = [&](Kernel &k, ArrayRef<Value> batch, Value step, Value column) {
    Value channel = k.add(k.mul(batch[1], k.dim(channels)), step);
    Value image = k.add(k.mul(batch[0], k.dim(inputDims[1])), channel);
    return k.load(node.input(0), Index(inputDims, k.add(k.mul(image, k.dim(product.columns)), column)));
  };
  product.store = [&](Kernel &k, ArrayRef<Value> batch, Value row, Value column, Value sum) {
    Value group = k.add(k.mul(batch[0], k.dim(groups)), batch[1]);
    Value at = k.add(k.mul(k.add(k.mul(group, k.dim(product.rows)), row), k.dim(product.columns)), column);
    k.storeAt(k.argument(parts), at, accumulator, sum);
  };
  emitContraction(lowering, "convtranspose", product);

  if (lowering.facts.device) { // each result gathers its parts
    Kernel k(lowering, "convtranspose_sum", lowering.loc);
    SmallVector<Value> at = k.delinearize(k.lo(), result);
    PartSums sum{dims, k, *window, accumulator, k.argument(parts), input, kernel};
    Value total = sum.at(k.add(k.mul(at[0], k.dim(result[1])), at[1]), ArrayRef(at).drop_front(2));
    if (node.has(2))
      total = plus(k, total, k.load(node.input(2), at[1]));
    k.store(node.output(), Index(result, at, k.lo()), total);
    k.launch(dims.product(result), dims.mul(dims.product(result), dims.product(kernel)));
    return success();
  }
  auto rowLength = constantOf(output.back());
  bool inScratch = rowLength && *rowLength <= maxScratchRow;
  Value buffer;
  if (!inScratch)
    buffer = lowering.allocate(dims.mul(dims.product(result), dims.constant(storageBytes(accumulator))));
  ArrayRef<Dim> rows = ArrayRef<Dim>(result).drop_back();
  Kernel k(lowering, "convtranspose_sum", lowering.loc);
  Value sums = inScratch ? k.threadScratch(*rowLength * storageBytes(accumulator)) : k.argument(buffer);
  PartSums writer{dims, k, *window, accumulator, k.argument(parts), input, kernel};
  k.loop(k.lo(), k.hi(), [&](Value row) {
    SmallVector<Value> at = k.delinearize(row, rows);
    Value length = k.dim(output.back()), number = k.mul(row, length), start = inScratch ? k.constant(0) : number;
    writer.writeRow(k.add(k.mul(at[0], k.dim(result[1])), at[1]), ArrayRef(at).drop_front(2), sums, start);
    Value bias = node.has(2) ? k.load(node.input(2), at[1]) : Value();
    at.push_back({});
    k.loop(k.constant(0), length, [&](Value o) {
      at.back() = o;
      Value sum = k.loadAt(sums, k.add(start, o), accumulator);
      k.store(node.output(), Index(result, at, k.add(number, o)), bias ? plus(k, sum, bias) : sum);
    });
  });
  k.launch(dims.product(rows), dims.mul(dims.product(result), dims.product(kernel)));
  return success();
}

void qcc::registerConvTranspose(OperatorRegistry &registry) {
  Operator op;
  op.type = "ConvTranspose";
  op.infer = inferConvTranspose;
  op.lower = lowerConvTranspose;
  op.acceptsEpilogue = true;
  registry.add(op);
}
