#include "Blocks.h"
#include "Register.h"

using namespace mlir;
using namespace qcc;

/// The contents of the result, when those of all operands are known: for each index of the leading axes, the operands'
/// runs one after another.
static std::optional<SmallVector<Dim>> contentsOfConcat(Infer &infer, int64_t axis) {
  SmallVector<SmallVector<Dim>> parts;
  SmallVector<size_t> runs;
  int64_t rows = 1;
  for (unsigned i = 0; i < infer.inputs(); ++i) {
    auto contents = infer.contents(i);
    auto type = cast<RankedTensorType>(infer.input(i).getType());
    if (!contents || !type.hasStaticShape())
      return std::nullopt;
    int64_t run = 1, outer = 1;
    for (auto [at, length] : llvm::enumerate(type.getShape()))
      (int64_t(at) < axis ? outer : run) *= length;
    rows = outer;
    parts.push_back(*contents);
    runs.push_back(size_t(run));
  }
  SmallVector<Dim> result;
  for (int64_t row = 0; row < rows; ++row)
    for (auto [part, run] : llvm::zip(parts, runs))
      result.append(part.begin() + row * int64_t(run), part.begin() + (row + 1) * int64_t(run));
  return result;
}

static LogicalResult inferConcat(Infer &infer) {
  Dimensions &d = infer.dim();
  if (infer.inputs() == 0)
    return infer.error("has no operands");
  int64_t rank = infer.rank(0);
  auto axis = infer.axis(infer.intAttr("axis", 1), rank);
  if (failed(axis))
    return failure();
  if (infer.inputs() == 1) {
    infer.replace(0, infer.input(0));
    return success();
  }
  SmallVector<Dim> result = infer.dims(0);
  for (unsigned i = 1; i < infer.inputs(); ++i) {
    if (infer.rank(i) != rank)
      return infer.error("joins operands of the ranks " + Twine(rank) + " and " + Twine(infer.rank(i)));
    for (auto [at, length] : llvm::enumerate(infer.dims(i))) {
      Dim &all = result[at];
      if (int64_t(at) == *axis) {
        all = d.add(all, length);
        continue;
      }
      if (constantOf(all) && constantOf(length) && all != length)
        return infer.error("joins operands whose dimensions " + Twine(at) + " differ: " + Twine(*constantOf(all)) +
                           " and " + Twine(*constantOf(length)));
      infer.requireEqual(all, length);
      if (constantOf(length))
        all = length;
    }
  }
  infer.result(0, result, infer.element(0));
  if (auto contents = contentsOfConcat(infer, *axis))
    infer.resultContents(0, *contents);
  return success();
}

static LogicalResult lowerConcat(const Node &node, Lowering &lowering) {
  Dimensions &dims = lowering.dims;
  auto axis = node.axis(node.intAttr("axis", 1), node.rank(0));
  if (failed(axis))
    return failure();
  SmallVector<Dim> pitch = pitchesOf(dims, node.outputDims());
  Dim offset = dims.constant(0);
  SmallVector<BlockCopy> copies;
  for (unsigned i = 0; i < node.inputs(); ++i) {
    Dim length = node.dims(i)[*axis];
    if (constantOf(length) != 0)
      copies.push_back({node.input(i), offset, pitch});
    offset = dims.add(offset, dims.mul(length, pitch[*axis]));
  }
  if (!copies.empty())
    copyBlocks(lowering, "concat", node.output(), copies);
  else
    lowering.storage(node.output());
  return success();
}

void qcc::registerConcat(OperatorRegistry &registry) {
  Operator op;
  op.type = "Concat";
  op.infer = inferConcat;
  op.readsOnce = [](const Node &, unsigned) { return true; };
  op.lower = lowerConcat;
  registry.add(op);
}
