// Transpose, and what is a transposition of a reshaped tensor: DepthToSpace, SpaceToDepth.
#include "Register.h"
#include "View.h"

using namespace mlir;
using namespace qcc;

static SmallVector<int64_t> permutation(const Node &node) {
  if (auto perm = node.intsAttr("perm"))
    return *perm;
  return llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, node.rank(0))));
}

static LogicalResult inferTranspose(Infer &infer) {
  SmallVector<int64_t> perm = permutation(infer), sorted = perm;
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, infer.rank(0))))
    return infer.error("has a 'perm' that is no permutation of the axes of its operand");
  SmallVector<Dim> dims = infer.dims(0);
  infer.result(0, llvm::map_to_vector(perm, [&](int64_t axis) { return dims[axis]; }), infer.element(0));
  return success();
}

static View viewOfTranspose(const Node &node) {
  MLIRContext *context = node.op.getContext();
  SmallVector<int64_t> perm = permutation(node);
  View view;
  view.axes.resize(perm.size());
  for (auto [to, from] : llvm::enumerate(perm))
    view.axes[from] = {int(to), getAffineConstantExpr(0, context), getAffineConstantExpr(1, context)};
  return view;
}

/// Both move blocks of `blocksize` squared channels to or from space: the axes of space are split or joined.
static LogicalResult inferSpace(Infer &infer) {
  Dimensions &d = infer.dim();
  if (infer.rank(0) != 4)
    return infer.error("has an operand of rank " + Twine(infer.rank(0)) + "; it must be 4");
  int64_t block = infer.intAttr("blocksize", 0);
  if (block <= 0 || block > (1 << 15))
    return infer.error("has a 'blocksize' of " + Twine(block));
  SmallVector<Dim> in = infer.dims(0), split, result;
  SmallVector<int64_t> perm;
  Dim size = d.constant(block), area = d.constant(block * block);
  if (infer.type() == "DepthToSpace") {
    StringRef mode = infer.stringAttr("mode", "DCR");
    if (mode != "DCR" && mode != "CRD")
      return infer.error("has the unknown mode '" + mode + "'");
    if (auto channels = constantOf(in[1]); channels && *channels % (block * block))
      return infer.error("has " + Twine(*channels) + " channels, no multiple of the block's area");
    Dim depth = d.floorDiv(in[1], area);
    if (mode == "DCR")
      split = {in[0], size, size, depth, in[2], in[3]}, perm = {0, 3, 4, 1, 5, 2};
    else
      split = {in[0], depth, size, size, in[2], in[3]}, perm = {0, 1, 4, 2, 5, 3};
    result = {in[0], depth, d.mul(in[2], size), d.mul(in[3], size)};
  } else {
    for (Dim length : {in[2], in[3]})
      if (auto known = constantOf(length); known && *known % block)
        return infer.error("has the length " + Twine(*known) + ", no multiple of the block's size");
    split = {in[0], in[1], d.floorDiv(in[2], size), size, d.floorDiv(in[3], size), size};
    perm = {0, 3, 5, 1, 2, 4};
    result = {in[0], d.mul(in[1], area), split[2], split[4]};
  }
  Value parts = infer.reshape(infer.input(0), split);
  auto moved = infer.make("Transpose", 13, parts, infer.attribute("perm", perm));
  if (failed(moved))
    return failure();
  infer.replace(0, infer.reshape(*moved, result));
  return success();
}

void qcc::registerTranspose(OperatorRegistry &registry) {
  addView(registry, "", "Transpose", inferTranspose, viewOfTranspose);
  // What slices and splits become.
  addView(registry, "qcc", "View", [](Infer &) { return success(); }, resolvedView);
  for (StringRef type : {"DepthToSpace", "SpaceToDepth"})
    registry.add("", type, inferSpace, nullptr);
}
