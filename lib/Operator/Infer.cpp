#include "qcc/Operator/Infer.h"
#include "mlir/IR/Builders.h"
#include "qcc/Operator/Registry.h"

using namespace mlir;
using namespace qcc;

static constexpr size_t maxContents =
    256; // elements of an integer tensor that are followed; shapes and index lists are far shorter

std::optional<SmallVector<Dim>> Infer::contentsOf(Value value) {
  if (auto it = state.contents.find(value); it != state.contents.end())
    return it->second;
  auto tensor = constantOf(value);
  auto values = tensor ? tensor->integers(maxContents) : std::nullopt;
  if (!values)
    return std::nullopt;
  return llvm::map_to_vector(*values, [&](int64_t v) { return state.dims.constant(v); });
}

void Infer::resolve(StringRef name, ArrayRef<Dim> values) {
  NamedAttrList list(op.getResolved().value_or(DictionaryAttr::get(op.getContext())));
  list.set(name, AffineMapAttr::get(state.dims.map(values)));
  op.setResolvedAttr(list.getDictionary(op.getContext()));
}

FailureOr<SmallVector<Dim>> Infer::shapeOperand(unsigned i, StringRef name) {
  std::optional<SmallVector<Dim>> known = contents(i);
  if (!known) {
    auto type = cast<RankedTensorType>(input(i).getType());
    if (!type.hasStaticShape() || type.getNumElements() > int64_t(maxContents) ||
        !isa<IntegerType>(type.getElementType()))
      return unsupported("the number of elements of its operand '" + name + "' is not known before the model runs");
    known.emplace();
    SmallVector<int64_t> defines(op.getDefines().value_or(ArrayRef<int64_t>()));
    for (int64_t element = 0; element < type.getNumElements(); ++element) {
      Dim symbol = state.dims.runtime(name);
      defines.append({int64_t(cast<AffineSymbolExpr>(symbol).getPosition()), int64_t(i), element});
      known->push_back(symbol);
    }
    op.setDefines(defines);
  } else {
    // What the operand says is kept here, so what computed it is no longer needed.
    OpBuilder b(op);
    op->setOperand(i, onnx::AbsentOp::create(b, op->getLoc(), b.getNoneType()));
  }
  resolve(name, *known);
  return *known;
}

FailureOr<SmallVector<int64_t>> Infer::constantOperand(unsigned i, StringRef name) {
  SmallVector<int64_t> result;
  std::optional<SmallVector<Dim>> known = contents(i);
  for (Dim value : known.value_or(SmallVector<Dim>())) {
    auto number = constantOf(value);
    if (!number)
      known.reset();
    else
      result.push_back(*number);
    if (!known)
      break;
  }
  if (!known)
    return unsupported("its operand '" + name + "' must be a constant");
  resolve(name, *known);
  OpBuilder b(op);
  op->setOperand(i, onnx::AbsentOp::create(b, op->getLoc(), b.getNoneType()));
  return result;
}

void Infer::result(unsigned i, ArrayRef<Dim> dims, Type element) {
  if (hasOutput(i))
    op->getResult(i).setType(state.dims.tensor(dims, element));
}

void Infer::resultContents(unsigned i, ArrayRef<Dim> values) {
  if (values.size() <= maxContents)
    state.contents[op->getResult(i)] = llvm::to_vector(values);
}

SmallVector<Dim> Infer::broadcast(ArrayRef<SmallVector<Dim>> shapes) {
  size_t rank = 0;
  for (const auto &shape : shapes)
    rank = std::max(rank, shape.size());
  SmallVector<Dim> result(rank, state.dims.constant(1));
  for (const auto &shape : shapes)
    for (size_t i = 0; i < shape.size(); ++i) {
      Dim &to = result[rank - shape.size() + i];
      to = state.dims.broadcast(to, shape[i]);
    }
  return result;
}

FailureOr<SmallVector<Value>> Infer::subgraph(Region &region, ArrayRef<Type> arguments) {
  Block &block = region.front();
  if (block.getNumArguments() != arguments.size())
    return error("has a subgraph with " + Twine(block.getNumArguments()) + " inputs where " + Twine(arguments.size()) +
                 " are given");
  for (auto [argument, type] : llvm::zip(block.getArguments(), arguments))
    argument.setType(type);
  if (failed(inferBlock(block, state)))
    return failure();
  return llvm::to_vector(block.getTerminator()->getOperands());
}

/// A value whose contents are all expressions is made from them, so that the computation behind it can vanish.
static void materializeContents(onnx::NodeOp node, InferState &state) {
  for (Value result : node.getOutputs()) {
    auto it = state.contents.find(result);
    if (it == state.contents.end() || result.use_empty() ||
        (node.getDomain() == "qcc" && node.getOpType() == "Dimensions"))
      continue;
    auto type = cast<RankedTensorType>(result.getType());
    auto element = dyn_cast<IntegerType>(type.getElementType());
    if (!element || element.getWidth() < 8 || !type.hasStaticShape() ||
        type.getNumElements() != int64_t(it->second.size()))
      continue;
    SmallVector<Dim> values = it->second;
    OpBuilder b(node->getContext());
    b.setInsertionPointAfter(node);
    Value replacement;
    if (llvm::all_of(values, [](Dim value) { return bool(constantOf(value)); })) {
      SmallVector<char> bytes;
      for (Dim value : values) {
        int64_t number = *constantOf(value);
        bytes.append(reinterpret_cast<char *>(&number), reinterpret_cast<char *>(&number) + element.getWidth() / 8);
      }
      auto bytesType = RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type());
      auto data = bytes.empty() ? DenseElementsAttr::get(bytesType, ArrayRef<int8_t>())
                                : DenseElementsAttr::getFromRawBuffer(bytesType, bytes);
      auto loc = dyn_cast<NameLoc>(node->getLoc());
      StringRef name = loc ? loc.getName().getValue() : node.getOpType();
      replacement = onnx::WeightOp::create(b, node->getLoc(), type, name, data);
    } else {
      auto made = onnx::NodeOp::create(b, node->getLoc(), TypeRange{type}, b.getStringAttr("Dimensions"),
                                       b.getStringAttr("qcc"), b.getI64IntegerAttr(1), b.getDictionaryAttr({}),
                                       DictionaryAttr(), DenseI64ArrayAttr(), ValueRange(), 0);
      Infer(made, state).resolve("values", values);
      replacement = made->getResult(0);
    }
    state.contents[replacement] = values;
    result.replaceAllUsesWith(replacement);
  }
}

LogicalResult qcc::inferBlock(Block &block, InferState &state) {
  const OperatorRegistry &registry = OperatorRegistry::get();
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto node = dyn_cast<onnx::NodeOp>(op);
    if (!node)
      continue;
    const Operator *definition = registry.find(node);
    if (!definition)
      return emitError(node->getLoc()) << node.getOpType() << " has no lowering";
    Infer infer(node, state);
    for (unsigned i = 0; i < infer.inputs(); ++i)
      if (infer.has(i) && !isa<RankedTensorType>(infer.input(i).getType()))
        return infer.error("reads an operand whose rank is not known");
    if (failed(definition->infer(infer)))
      return failure();
    for (Value result : node.getOutputs())
      if (isa<UnrankedTensorType>(result.getType()))
        return infer.error("has a result without a shape rule");
    materializeContents(node, state);
  }
  // Backwards, so that a whole chain that computed a shape goes at once.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isa<onnx::NodeOp, onnx::WeightOp, onnx::AbsentOp>(op) && op.use_empty()) {
      for (Value result : op.getResults())
        state.contents.erase(result);
      op.erase();
    }
  return success();
}
