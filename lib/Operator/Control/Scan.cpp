// Scan: a Loop whose body reads slices of its operands. Before operator set 9 the first axis is a batch, each element
// of which is scanned on its own: a Loop around the Scan.
#include "Register.h"
#include "Subgraph.h"

using namespace mlir;
using namespace qcc;

namespace {
/// A node with a body under construction in front of another one.
class BodyWriter {
public:
  BodyWriter(Infer &infer, StringRef type, int64_t version, ValueRange operands, unsigned results)
      : infer(infer), b(infer.op.getContext()) {
    b.setInsertionPoint(infer.op);
    SmallVector<Type> types(results, UnrankedTensorType::get(b.getNoneType()));
    SmallVector<NamedAttribute> attrs = {b.getNamedAttr("subgraphs", b.getArrayAttr({b.getStringAttr("body")}))};
    node = onnx::NodeOp::create(b, infer.op->getLoc(), types, b.getStringAttr(type), b.getStringAttr(""),
                                b.getI64IntegerAttr(version), b.getDictionaryAttr(attrs), DictionaryAttr(),
                                DenseI64ArrayAttr(), operands, 1);
  }
  Block &body() {
    Region &region = node->getRegion(0);
    if (region.empty())
      region.emplaceBlock();
    return region.front();
  }
  Value argument() { return body().addArgument(UnrankedTensorType::get(b.getNoneType()), infer.op->getLoc()); }

  Infer &infer;
  OpBuilder b;
  onnx::NodeOp node;
};
} // namespace

/// tensor[index] along an axis, made where `b` stands, with its type to be inferred.
static Value sliceAt(OpBuilder &b, Location loc, Value tensor, Value index, int64_t axis) {
  SmallVector<NamedAttribute> attrs = {b.getNamedAttr("axis", b.getI64IntegerAttr(axis))};
  auto node =
      onnx::NodeOp::create(b, loc, TypeRange{UnrankedTensorType::get(b.getNoneType())}, b.getStringAttr("Gather"),
                           b.getStringAttr(""), b.getI64IntegerAttr(13), b.getDictionaryAttr(attrs), DictionaryAttr(),
                           DenseI64ArrayAttr(), ValueRange{tensor, index}, 0);
  return node->getResult(0);
}

/// The tensor with one axis turned around.
static Value reversed(Infer &infer, Value tensor, int64_t axis) {
  Dimensions &d = infer.dim();
  SmallVector<Dim> dims = dimsOf(tensor.getType()), offset(dims.size(), d.constant(0)),
                   step(dims.size(), d.constant(1));
  offset[axis] = d.sub(dims[axis], d.constant(1)), step[axis] = d.constant(-1);
  return infer.view(tensor, dims, llvm::to_vector(llvm::seq<int64_t>(0, int64_t(dims.size()))), offset, step);
}

static LogicalResult inferNode(Infer &infer, onnx::NodeOp node) {
  Infer made = infer.of(node);
  return OperatorRegistry::get().find(node)->infer(made);
}

/// The numbers of a list attribute, one for each of `count` operands or results.
static FailureOr<SmallVector<int64_t>> listAttr(Infer &infer, StringRef name, unsigned count) {
  SmallVector<int64_t> list = infer.intsAttr(name).value_or(SmallVector<int64_t>(count, 0));
  if (list.size() != count)
    return infer.error("has " + Twine(list.size()) + " numbers in '" + name + "' for " + Twine(count));
  return list;
}

static LogicalResult inferSequenceScan(Infer &infer) {
  Dimensions &d = infer.dim();
  Location loc = infer.op->getLoc();
  Region *body = subgraphOf(infer, "body");
  int64_t scanned = infer.intAttr("num_scan_inputs", 0), states = int64_t(infer.inputs()) - scanned,
          collected = int64_t(infer.outputs()) - states;
  if (!body || scanned < 1 || states < 0 || collected < 0 ||
      int64_t(body->front().getNumArguments()) != states + scanned ||
      body->front().getTerminator()->getNumOperands() != infer.outputs())
    return infer.error("has a body that does not fit its operands and results");
  auto axes = listAttr(infer, "scan_input_axes", unsigned(scanned));
  auto directions =
      listAttr(infer, infer.hasAttr("directions") ? "directions" : "scan_input_directions", unsigned(scanned));
  auto outputAxes = listAttr(infer, "scan_output_axes", unsigned(collected));
  auto outputDirections = listAttr(infer, "scan_output_directions", unsigned(collected));
  if (failed(axes) || failed(directions) || failed(outputAxes) || failed(outputDirections))
    return failure();
  Dim length;
  SmallVector<Value> sources, operands(2);
  for (int64_t i = 0; i < scanned; ++i) {
    unsigned operand = unsigned(states + i);
    auto axis = infer.axis((*axes)[i], infer.rank(operand));
    if (failed(axis))
      return failure();
    (*axes)[i] = *axis;
    Dim own = infer.dims(operand)[*axis];
    if (length)
      infer.requireEqual(length, own);
    length = length ? length : own;
    sources.push_back((*directions)[i] ? reversed(infer, infer.input(operand), *axis) : infer.input(operand));
  }
  sources[0] = infer.checked(sources[0]);
  Builder types(infer.op.getContext());
  operands[0] = infer.integers({}, length, types.getI64Type());
  operands[1] = infer.integers({}, d.constant(1), types.getI1Type());
  for (int64_t i = 0; i < states; ++i)
    operands.push_back(infer.input(unsigned(i)));
  BodyWriter loop(infer, "Loop", 13, operands, infer.outputs());
  loop.node->getRegion(0).takeBody(*body);
  Block &block = loop.body();
  // The body's own arguments for slices become slices; the iteration and the condition come first.
  loop.b.setInsertionPointToStart(&block);
  Value iteration = block.insertArgument(0u, UnrankedTensorType::get(types.getNoneType()), loc),
        condition = block.insertArgument(1u, UnrankedTensorType::get(types.getNoneType()), loc);
  for (int64_t i = 0; i < scanned; ++i)
    block.getArgument(unsigned(2 + states + i))
        .replaceAllUsesWith(sliceAt(loop.b, loc, sources[i], iteration, (*axes)[i]));
  block.eraseArguments(unsigned(2 + states), unsigned(scanned));
  block.getTerminator()->insertOperands(0, condition);
  if (failed(inferNode(infer, loop.node)))
    return failure();
  for (unsigned i = 0; i < infer.outputs(); ++i) {
    Value result = loop.node->getResult(i);
    if (i >= states) {
      auto axis = infer.axis((*outputAxes)[i - states], cast<RankedTensorType>(result.getType()).getRank());
      if (failed(axis))
        return failure();
      if ((*outputDirections)[i - states])
        result = reversed(infer, result, 0);
      if (*axis != 0) {
        SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(1, dimsOf(result.getType()).size()));
        perm.insert(perm.begin() + *axis, 0);
        auto moved = infer.make("Transpose", 13, result, infer.attribute("perm", perm));
        if (failed(moved))
          return failure();
        result = *moved;
      }
    }
    infer.replace(i, result);
  }
  return success();
}

static LogicalResult inferBatchedScan(Infer &infer) {
  Location loc = infer.op->getLoc();
  Region *body = subgraphOf(infer, "body");
  if (infer.has(0))
    return infer.unsupported("it has lengths for the sequences of a batch; export it with operator set 9 or later");
  if (!body || infer.inputs() < 2)
    return infer.error("lacks a body or operands");
  Builder types(infer.op.getContext());
  for (unsigned i = 1; i < infer.inputs(); ++i) {
    if (infer.rank(i) == 0)
      return infer.error("has an operand without a batch");
    infer.requireEqual(infer.dims(1)[0], infer.dims(i)[0]);
  }
  SmallVector<Value> operands = {infer.integers({}, infer.dims(1)[0], types.getI64Type()),
                                 infer.integers({}, infer.dim().constant(1), types.getI1Type())};
  SmallVector<Value> sources(infer.op->getOperands().drop_front());
  sources[0] = infer.checked(sources[0]); // in front of the loop that reads it
  BodyWriter loop(infer, "Loop", 13, operands, infer.outputs());
  Value iteration = loop.argument(), condition = loop.argument();
  loop.b.setInsertionPointToStart(&loop.body());
  SmallVector<Value> slices;
  for (Value source : sources)
    slices.push_back(sliceAt(loop.b, loc, source, iteration, 0));
  SmallVector<Type> results(infer.outputs(), UnrankedTensorType::get(types.getNoneType()));
  auto scan = onnx::NodeOp::create(loop.b, loc, results, loop.b.getStringAttr("Scan"), loop.b.getStringAttr(""),
                                   loop.b.getI64IntegerAttr(9), infer.op.getAttrs(), DictionaryAttr(),
                                   DenseI64ArrayAttr(), slices, 1);
  scan->getRegion(0).takeBody(*body);
  SmallVector<Value> yields = {condition};
  llvm::append_range(yields, scan.getResults());
  onnx::YieldOp::create(loop.b, loc, yields);
  if (failed(inferNode(infer, loop.node)))
    return failure();
  for (unsigned i = 0; i < infer.outputs(); ++i)
    infer.replace(i, loop.node->getResult(i));
  return success();
}

static LogicalResult inferScan(Infer &infer) {
  return infer.version() < 9 ? inferBatchedScan(infer) : inferSequenceScan(infer);
}

void qcc::registerScanLoop(OperatorRegistry &registry) { registry.add("", "Scan", inferScan, nullptr); }
