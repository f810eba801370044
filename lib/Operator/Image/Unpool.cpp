// The way back from windows to an image: MaxUnpool and Col2Im.
#include "Register.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

// ---- MaxUnpool

static LogicalResult inferMaxUnpool(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> in = infer.dims(0), pooled = {in.begin(), in.begin() + std::min<size_t>(2, in.size())};
  int64_t axes = int64_t(in.size()) - 2;
  auto kernel = infer.intsAttr("kernel_shape");
  if (axes < 1 || !kernel || int64_t(kernel->size()) != axes || !isa<IntegerType>(infer.element(1)) ||
      infer.rank(1) != infer.rank(0))
    return infer.error("has a kernel or indices that do not fit its operand");
  auto strides = infer.intsAttr("strides").value_or(SmallVector<int64_t>(axes, 1));
  auto pads = infer.intsAttr("pads").value_or(SmallVector<int64_t>(2 * axes, 0));
  if (int64_t(strides.size()) != axes || int64_t(pads.size()) != 2 * axes)
    return infer.error("has strides or pads that do not fit its kernel");
  for (auto [a, b] : llvm::zip(in, infer.dims(1)))
    infer.requireEqual(a, b);
  for (int64_t i = 0; i < axes; ++i) {
    Dim steps = d.mul(d.sub(in[2 + i], d.constant(1)), d.constant(strides[i]));
    pooled.push_back(d.add(steps, d.constant((*kernel)[i] - pads[i] - pads[axes + i])));
  }
  SmallVector<Dim> result = pooled;
  if (infer.has(2)) {
    auto shape = infer.shapeOperand(2, "output_shape", int64_t(in.size()));
    if (failed(shape))
      return failure();
    if (shape->size() != in.size())
      return infer.error("has an output shape of " + Twine(shape->size()) + " lengths");
    for (auto [to, length] : llvm::zip(result, *shape))
      to = d.isRuntime(length) ? d.max(length, d.constant(0)) : length;
  }
  infer.resolve("pooled", pooled); // the image that the indices are numbers in
  infer.result(0, result, infer.element(0));
  return success();
}

static LogicalResult lowerMaxUnpool(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  SmallVector<Dim> in = node.dims(0), out = node.outputDims(), pooled = *node.resolved("pooled");
  Type element = node.element(0);
  lowering.forEachElement(node.output(), "unpool_clear", true, 1,
                          [&](Kernel &k, const Index &) { return numberConstant(k.b, element, 0); });
  Value values = node.input(0), indices = node.input(1);
  lowering.storage(values), lowering.storage(indices);
  Kernel k(lowering, "max_unpool", lowering.loc);
  Value base = k.pointer(node.output());
  k.loop(k.lo(), k.hi(), [&](Value i) {
    Value index = castNumber(k.b, k.load(indices, Index(in, i)), node.element(1), k.b.getI64Type());
    Value total = k.dim(d.product(pooled));
    Value good = arith::CmpIOp::create(k.b, arith::CmpIPredicate::ult, index, total);
    SmallVector<Value> at = k.delinearize(k.select(good, index, k.constant(0)), pooled);
    for (auto [coordinate, length] : llvm::zip(at, out))
      good = k.both(good, k.less(coordinate, k.dim(length)));
    k.check(good);
    k.when(good, [&] { k.move(values, Index(in, i), base, k.linearize(at, out)); });
  });
  k.launch(d.product(in), d.mul(d.product(in), d.constant(8)));
  return success();
}

// ---- Col2Im

static LogicalResult inferCol2Im(Infer &infer) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> in = infer.dims(0);
  auto image = infer.shapeOperand(1, "image_shape"), block = infer.shapeOperand(2, "block_shape");
  if (failed(image) || failed(block))
    return failure();
  int64_t axes = int64_t(image->size());
  auto strides = infer.intsAttr("strides").value_or(SmallVector<int64_t>(axes, 1)),
       dilations = infer.intsAttr("dilations").value_or(SmallVector<int64_t>(axes, 1)),
       pads = infer.intsAttr("pads").value_or(SmallVector<int64_t>(2 * axes, 0));
  if (in.size() != 3 || int64_t(block->size()) != axes || int64_t(strides.size()) != axes ||
      int64_t(dilations.size()) != axes || int64_t(pads.size()) != 2 * axes ||
      llvm::any_of(strides, [](int64_t s) { return s < 1; }) ||
      llvm::any_of(dilations, [](int64_t s) { return s < 1; }))
    return infer.error("has an image, blocks, strides, dilations or pads that do not fit each other");
  for (SmallVector<Dim> *list : {&*image, &*block})
    for (Dim &length : *list)
      length = d.isRuntime(length) ? d.max(length, d.constant(1)) : length;
  SmallVector<Dim> counts;
  for (int64_t i = 0; i < axes; ++i) {
    Dim reach = d.mul(d.constant(dilations[i]), d.sub((*block)[i], d.constant(1)));
    Dim span = d.sub(d.add((*image)[i], d.constant(pads[i] + pads[axes + i] - 1)), reach);
    counts.push_back(d.add(d.floorDiv(span, d.constant(strides[i])), d.constant(1)));
  }
  Dim area = d.product(*block), channels = d.floorDiv(in[1], area);
  infer.requireEqual(d.mul(channels, area), in[1]);
  infer.requireEqual(d.product(counts), in[2]);
  infer.resolve("block", *block), infer.resolve("counts_of_blocks", counts);
  SmallVector<Dim> result = {in[0], channels};
  result.append(*image);
  infer.result(0, result, infer.element(0));
  return success();
}

/// Every element of the image is the sum of the block elements that lie on it.
static LogicalResult lowerCol2Im(const Node &node, Lowering &lowering) {
  Dimensions &d = lowering.dims;
  SmallVector<Dim> in = node.dims(0), out = node.outputDims(), block = *node.resolved("block"),
                   counts = *node.resolved("counts_of_blocks");
  int64_t axes = int64_t(block.size());
  auto strides = node.intsAttr("strides").value_or(SmallVector<int64_t>(axes, 1)),
       dilations = node.intsAttr("dilations").value_or(SmallVector<int64_t>(axes, 1)),
       pads = node.intsAttr("pads").value_or(SmallVector<int64_t>(2 * axes, 0));
  Type element = node.element(0), compute = computeType(element);
  Value source = node.input(0);
  lowering.storage(source);
  Kernel k(lowering, "col2im", lowering.loc);
  Value columns = k.pointer(source), base = k.pointer(node.output()), zero = k.constant(0);
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    SmallVector<Value> at = k.delinearize(unit, out);
    Value plane = k.add(k.mul(at[0], k.dim(out[1])), at[1]);
    // The nest over the block carries the sum, the element's number in the block, the block's number and whether the
    // block exists.
    std::function<Value(int64_t, Value, Value, Value, Value)> axis = [&](int64_t i, Value sum, Value inBlock,
                                                                         Value which, Value exists) -> Value {
      if (i == axes) {
        Value row = k.add(k.mul(plane, k.dim(d.product(block))), inBlock);
        Value number = k.add(k.mul(row, k.dim(in[2])), which);
        Value value = k.loadAt(columns, k.select(exists, number, zero), element);
        value = k.select(exists, value, numberConstant(k.b, compute, 0));
        return isFloat(element) ? Value(arith::AddFOp::create(k.b, sum, value)) : k.add(sum, value);
      }
      return k.loop(zero, k.dim(block[i]), ValueRange(sum), [&](Value tap, ValueRange carried) {
        Value shifted = k.sub(k.add(at[2 + i], k.constant(pads[i])), k.mul(tap, k.constant(dilations[i])));
        Value positive = k.max(shifted, zero), stride = k.constant(strides[i]);
        Value number = k.div(positive, stride);
        Value good = k.both(exists, k.equal(k.mul(number, stride), shifted));
        good = k.both(good, k.less(number, k.dim(counts[i])));
        Value next = axis(i + 1, carried[0], k.add(k.mul(inBlock, k.dim(block[i])), tap),
                          k.add(k.mul(which, k.dim(counts[i])), number), good);
        return SmallVector<Value>{next};
      })[0];
    };
    Value sum = axis(0, numberConstant(k.b, compute, 0), zero, zero, k.equal(zero, zero));
    k.storeAt(base, unit, element, sum);
  });
  k.launch(d.product(out), d.mul(d.product(out), d.mul(d.product(block), d.constant(8))));
  return success();
}

void qcc::registerUnpool(OperatorRegistry &registry) {
  registry.add("", "MaxUnpool", inferMaxUnpool, lowerMaxUnpool);
  registry.add("", "Col2Im", inferCol2Im, lowerCol2Im);
}
