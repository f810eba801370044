#include "qcc/Operator/Infer.h"
#include "Schema.h"
#include "mlir/IR/Builders.h"
#include "qcc/Operator/Registry.h"

using namespace mlir;
using namespace qcc;

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

FailureOr<SmallVector<Dim>> Infer::shapeOperand(unsigned i, StringRef name, std::optional<int64_t> length) {
  std::optional<SmallVector<Dim>> known = contents(i);
  OpBuilder b(op);
  if (!known) {
    auto type = cast<RankedTensorType>(input(i).getType());
    if (!isa<IntegerType>(type.getElementType()))
      return error("has an operand '" + name + "' that is no tensor of integers");
    if (length && type.getRank() == 1 && !type.hasStaticShape())
      requireEqual(dims(i).front(), state.dims.constant(*length));
    else if (type.hasStaticShape())
      length = type.getNumElements();
    else
      length.reset();
    if (!length || *length > maxContents)
      return unsupported("the number of elements of its operand '" + name + "' is not known before the model runs");
    // A node of its own reads the operand: this one may become others.
    onnx::NodeOp read = onnx::NodeOp::create(b, op->getLoc(), TypeRange{}, b.getStringAttr("Read"),
                                             b.getStringAttr("qcc"), b.getI64IntegerAttr(1), b.getDictionaryAttr({}),
                                             DictionaryAttr(), DenseI64ArrayAttr(), ValueRange{checked(input(i))}, 0);
    known.emplace();
    SmallVector<int64_t> defines;
    for (int64_t element = 0; element < *length; ++element) {
      Dim symbol = state.dims.runtime(name);
      defines.append({int64_t(cast<AffineSymbolExpr>(symbol).getPosition()), 0, element});
      known->push_back(symbol);
    }
    read.setDefines(defines);
  }
  // What the operand says is kept here, so what computed it is no longer needed.
  op->setOperand(i, onnx::AbsentOp::create(b, op->getLoc(), b.getNoneType()));
  resolve(name, *known);
  return *known;
}

Dim Infer::counted(StringRef name) {
  SmallVector<Dim> counts = resolved("counts").value_or(SmallVector<Dim>());
  counts.push_back(state.dims.runtime(name));
  resolve("counts", counts);
  return counts.back();
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

void Infer::requireEqual(Dim a, Dim b) {
  if (constantOf(state.dims.sub(a, b)) == 0)
    return;
  SmallVector<Dim> pairs = resolved("equal").value_or(SmallVector<Dim>());
  pairs.append({a, b});
  resolve("equal", pairs);
}

void Infer::result(unsigned i, ArrayRef<Dim> dims, Type element) {
  if (hasOutput(i))
    op->getResult(i).setType(state.dims.tensor(dims, element));
}

void Infer::resultContents(unsigned i, ArrayRef<Dim> values) {
  if (int64_t(values.size()) <= maxContents)
    state.contents[op->getResult(i)] = llvm::to_vector(values);
}

SmallVector<Dim> Infer::broadcast(ArrayRef<SmallVector<Dim>> shapes) {
  size_t rank = 0;
  for (const auto &shape : shapes)
    rank = std::max(rank, shape.size());
  SmallVector<Dim> result(rank, state.dims.constant(1));
  for (const auto &shape : shapes)
    for (size_t i = 0; i < shape.size(); ++i) {
      Dim &to = result[rank - shape.size() + i], one = state.dims.constant(1), other = shape[i];
      // A table cut to the length it should have: the result has that length.
      bool done = false;
      for (auto [length, cut] : {std::pair(other, to), std::pair(to, other)})
        if (!done && state.dims.isCut(cut, length)) {
          requireEqual(state.dims.ifEqual(cut, one, length, cut), length);
          to = length;
          done = true;
        }
      if (done)
        continue;
      // Either is 1 or both are the same: what each makes of the other then is.
      if (to != shape[i] && to != one && shape[i] != one)
        requireEqual(state.dims.ifEqual(to, one, shape[i], to), state.dims.ifEqual(shape[i], one, to, shape[i]));
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

void Infer::forget(Region &region) {
  region.walk([&](Block *block) {
    for (Value argument : block->getArguments())
      state.contents.erase(argument);
    for (Operation &inner : *block)
      for (Value result : inner.getResults())
        state.contents.erase(result);
  });
}

/// The bytes of integers of `width` bits as the data of a weight.
static ElementsAttr bytesOf(ArrayRef<int64_t> numbers, unsigned width, MLIRContext *context) {
  SmallVector<char> bytes;
  for (const int64_t &number : numbers)
    bytes.append(reinterpret_cast<const char *>(&number), reinterpret_cast<const char *>(&number) + width / 8);
  auto type = RankedTensorType::get({int64_t(bytes.size())}, IntegerType::get(context, 8));
  return bytes.empty() ? DenseElementsAttr::get(type, ArrayRef<int8_t>())
                       : DenseElementsAttr::getFromRawBuffer(type, bytes);
}

Value Infer::integers(ArrayRef<Dim> dims, ArrayRef<Dim> contents, Type element) {
  OpBuilder b(op);
  return integers(b, dims, contents, element);
}

Value Infer::integers(OpBuilder &b, ArrayRef<Dim> dims, ArrayRef<Dim> contents, Type element) {
  RankedTensorType type = state.dims.tensor(dims, element);
  Value made;
  if (llvm::all_of(contents, [](Dim value) { return bool(constantOf(value)); })) {
    auto numbers = llvm::map_to_vector(contents, [](Dim value) { return *constantOf(value); });
    auto loc = dyn_cast<NameLoc>(op->getLoc());
    StringRef name = loc ? loc.getName().getValue() : op.getOpType();
    made = onnx::WeightOp::create(b, op->getLoc(), type, name,
                                  bytesOf(numbers, std::max(8u, element.getIntOrFloatBitWidth()), b.getContext()));
  } else {
    auto node = onnx::NodeOp::create(b, op->getLoc(), TypeRange{type}, b.getStringAttr("Dimensions"),
                                     b.getStringAttr("qcc"), b.getI64IntegerAttr(1), b.getDictionaryAttr({}),
                                     DictionaryAttr(), DenseI64ArrayAttr(), ValueRange(), 0);
    Infer(node, state).resolve("values", contents);
    made = node->getResult(0);
  }
  state.contents[made] = llvm::to_vector(contents);
  return made;
}

Value Infer::number(double value) {
  OpBuilder b(op);
  auto single = float(value);
  auto bytes = ArrayRef(reinterpret_cast<const char *>(&single), sizeof(single));
  auto data = DenseElementsAttr::getFromRawBuffer(RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type()), bytes);
  auto type = RankedTensorType::get({}, b.getF32Type());
  return onnx::WeightOp::create(b, op->getLoc(), type, op.getOpType(), data);
}

/// A value whose contents are all expressions is made from them, so that the computation behind it can vanish.
static void materializeContents(onnx::NodeOp node, InferState &state) {
  if (node.getDomain() == "qcc" && node.getOpType() == "Dimensions")
    return;
  for (Value result : node.getOutputs()) {
    auto it = state.contents.find(result);
    if (it == state.contents.end() || result.use_empty())
      continue;
    auto type = cast<RankedTensorType>(result.getType());
    auto element = dyn_cast<IntegerType>(type.getElementType());
    SmallVector<Dim> values = it->second;
    if (!element || element.getWidth() < 8 || !type.hasStaticShape() || type.getNumElements() != int64_t(values.size()))
      continue;
    OpBuilder b(node->getContext()); // behind the node: the values may be lengths that it defines
    b.setInsertionPointAfter(node);
    result.replaceAllUsesWith(Infer(node, state).integers(b, dimsOf(type), values, element));
  }
}

onnx::NodeOp Infer::create(StringRef domain, StringRef type, int64_t version, ValueRange inputs,
                           ArrayRef<NamedAttribute> attrs, TypeRange results) {
  OpBuilder b(op);
  return onnx::NodeOp::create(b, op->getLoc(), results, b.getStringAttr(type), b.getStringAttr(domain),
                              b.getI64IntegerAttr(version), b.getDictionaryAttr(attrs), DictionaryAttr(),
                              DenseI64ArrayAttr(), inputs, 0);
}

FailureOr<SmallVector<Value>> Infer::makeAll(StringRef type, int64_t version, unsigned results, ValueRange inputs,
                                             ArrayRef<NamedAttribute> attrs, StringRef domain) {
  OpBuilder b(op);
  SmallVector<Value> operands;
  for (Value input : inputs)
    operands.push_back(input ? input : Value(onnx::AbsentOp::create(b, op->getLoc(), b.getNoneType())));
  SmallVector<Type> types(results, UnrankedTensorType::get(b.getNoneType()));
  onnx::NodeOp node = create(domain, type, version, operands, attrs, types);
  Infer infer(node, state);
  const Operator *definition = OperatorRegistry::get().find(node);
  if (!definition)
    return error("needs the operator " + type);
  llvm::DenseMap<Value, Value> replacements;
  std::swap(replacements, state.replacements); // those of the node that makes this one
  LogicalResult inferred = definition->infer(infer);
  std::swap(replacements, state.replacements);
  if (failed(inferred))
    return failure();
  // A node that became other nodes has no lowering of its own.
  SmallVector<Value> made;
  for (Value result : node->getResults()) {
    auto it = replacements.find(result);
    made.push_back(it == replacements.end() ? result : it->second);
  }
  return made;
}

FailureOr<Value> Infer::make(StringRef type, int64_t version, ValueRange inputs, ArrayRef<NamedAttribute> attrs,
                             StringRef domain) {
  auto all = makeAll(type, version, 1, inputs, attrs, domain);
  if (failed(all))
    return failure();
  return all->front();
}

Value Infer::reshape(Value value, ArrayRef<Dim> dims) {
  Type element = cast<ShapedType>(value.getType()).getElementType();
  OpBuilder b(op);
  Value shape = onnx::AbsentOp::create(b, op->getLoc(), b.getNoneType());
  auto node = create("", "Reshape", 14, {value, shape}, {}, state.dims.tensor(dims, element));
  if (auto contents = contentsOf(value))
    state.contents[node->getResult(0)] = *contents;
  return node->getResult(0);
}

Value Infer::view(Value value, ArrayRef<Dim> dims, ArrayRef<int64_t> from, ArrayRef<Dim> offset, ArrayRef<Dim> step) {
  Type element = cast<ShapedType>(value.getType()).getElementType();
  onnx::NodeOp node = create("qcc", "View", 1, {value}, {}, state.dims.tensor(dims, element));
  Infer infer(node, state);
  infer.resolve("from", llvm::map_to_vector(from, [&](int64_t axis) { return state.dims.constant(axis); }));
  infer.resolve("offset", offset);
  infer.resolve("step", step);
  bool good = succeeded(OperatorRegistry::get().find(node)->infer(infer));
  assert(good && "a view keeps the type that it was made with");
  (void)good;
  return node->getResult(0);
}

Value Infer::slice(Value value, int64_t axis, Dim start, Dim length) {
  SmallVector<Dim> dims = dimsOf(value.getType()), steps(dims.size(), state.dims.constant(1)),
                   offsets(dims.size(), state.dims.constant(0));
  dims[axis] = length, offsets[axis] = start;
  return view(value, dims, llvm::to_vector(llvm::seq<int64_t>(0, int64_t(dims.size()))), offsets, steps);
}

NamedAttribute Infer::attribute(StringRef name, int64_t value) const {
  Builder b(op.getContext());
  return b.getNamedAttr(name, b.getI64IntegerAttr(value));
}
NamedAttribute Infer::attribute(StringRef name, ArrayRef<int64_t> values) const {
  Builder b(op.getContext());
  return b.getNamedAttr(name, b.getDenseI64ArrayAttr(values));
}
NamedAttribute Infer::attribute(StringRef name, StringRef value) const {
  Builder b(op.getContext());
  return b.getNamedAttr(name, b.getStringAttr(value));
}
NamedAttribute Infer::floatAttribute(StringRef name, double value) const {
  Builder b(op.getContext());
  return b.getNamedAttr(name, b.getF32FloatAttr(float(value)));
}

Value Infer::checked(Value value) {
  auto pairs = resolved("equal");
  if (!pairs)
    return value;
  onnx::NodeOp node = create("", "Identity", 14, {value}, {}, value.getType());
  Infer(node, state).resolve("equal", *pairs);
  if (auto contents = contentsOf(value))
    state.contents[node->getResult(0)] = *contents;
  return node->getResult(0);
}

void Infer::replace(unsigned i, Value value) {
  Value result = op->getResult(i);
  if (!hasOutput(i))
    return;
  result.setType(value.getType());
  state.replacements[result] = value;
  if (auto contents = contentsOf(value))
    state.contents[result] = *contents;
  result.replaceAllUsesWith(value);
  if (auto node = value.getDefiningOp<onnx::NodeOp>())
    materializeContents(node, state);
}

/// Whether the bytes of a tensor, as far as its dimensions are constants, can be counted and addressed.
static bool isAddressable(RankedTensorType type) {
  constexpr int64_t addressable = int64_t(1) << 47;
  int64_t bytes = 8; // of the largest element
  for (int64_t size : type.getShape())
    if (!ShapedType::isDynamic(size) &&
        (size < 0 || (size > 0 && llvm::MulOverflow(bytes, size, bytes)) || bytes > addressable))
      return false;
  return true;
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
    if (failed(checkSchema(infer)) || failed(definition->infer(infer)))
      return failure();
    for (Value result : node.getOutputs()) {
      if (isa<UnrankedTensorType>(result.getType()))
        return infer.error("has a result without a shape rule");
      if (auto type = dyn_cast<RankedTensorType>(result.getType()); type && !isAddressable(type))
        return infer.error("has a result that no memory can hold");
    }
    materializeContents(node, state);
  }
  // Backwards, so that a whole chain that computed a shape goes at once.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isa<onnx::NodeOp, onnx::WeightOp, onnx::AbsentOp>(op) && isUnused(&op)) {
      for (Value result : op.getResults())
        state.contents.erase(result);
      op.erase();
    }
  return success();
}
