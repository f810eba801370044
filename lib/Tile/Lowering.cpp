#include "qcc/Tile/Lowering.h"
#include "SameKernel.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Target/Linear.h"
#include "qcc/Tile/StateStorage.h"

using namespace mlir;
using namespace qcc;

static constexpr int maxFusedDepth = 16;

Lowering::Lowering(ModuleOp source, ModuleOp target, Dimensions &dims, const TargetFacts &facts)
    : host(source.getContext()), dims(dims), facts(facts), target(target), loc(source.getLoc()), source(source) {}

void Lowering::chooseFusion(Block &block) {
  const OperatorRegistry &registry = OperatorRegistry::get();
  llvm::DenseMap<Value, int> depth;
  for (Operation &op : block) {
    auto node = dyn_cast<onnx::NodeOp>(op);
    const Operator *definition = node ? registry.find(node) : nullptr;
    if (!definition || !definition->element || node->getNumResults() != 1)
      continue;
    int below = 0;
    for (Value operand : node->getOperands())
      if (auto it = depth.find(operand); it != depth.end() && fused.contains(operand))
        below = std::max(below, it->second);
    Value result = node->getResult(0);
    depth[result] = below + 1;
    if (!result.hasOneUse() || below + 1 > maxFusedDepth || (definition->inPlace && !definition->inPlace(Node(node))))
      continue;
    OpOperand &use = *result.use_begin();
    auto user = dyn_cast<onnx::NodeOp>(use.getOwner());
    if (!user || user->getBlock() != &block)
      continue;
    const Operator *consumer = registry.find(user);
    if (consumer && consumer->readsOnce && consumer->readsOnce(Node(user), use.getOperandNumber()))
      fused.insert(result);
  }
}

/// Whether everything that computing `value` reads is there when `at` is reached.
static bool isAvailable(Value value, Operation *at, const llvm::DenseSet<Value> &fused) {
  Operation *definition = value.getDefiningOp();
  if (!definition || isa<onnx::WeightOp, onnx::AbsentOp>(definition) || definition->getBlock() != at->getBlock())
    return true;
  if (fused.contains(value))
    return llvm::all_of(definition->getOperands(), [&](Value operand) { return isAvailable(operand, at, fused); });
  return definition->isBeforeInBlock(at);
}

void Lowering::chooseEpilogues(Block &block) {
  const OperatorRegistry &registry = OperatorRegistry::get();
  for (Operation &op : block) {
    auto node = dyn_cast<onnx::NodeOp>(op);
    const Operator *definition = node ? registry.find(node) : nullptr;
    if (!isa<qnt::LinearOp>(op) && (!definition || !definition->acceptsEpilogue))
      continue;
    Value result = op.getResult(0);
    if (llvm::any_of(op.getResults().drop_front(), [](Value other) { return !isa<NoneType>(other.getType()); }))
      continue;
    // A chain of pointwise operators that each read the one before at the same index, and otherwise what is there
    // already.
    while (result.hasOneUse()) {
      OpOperand &use = *result.use_begin();
      auto user = dyn_cast<onnx::NodeOp>(use.getOwner());
      const Operator *consumer = user && user->getBlock() == &block ? registry.find(user) : nullptr;
      if (!consumer || !consumer->pointwise || !consumer->element || user->getNumResults() != 1)
        break;
      Value next = user->getResult(0);
      bool ready = dimsOf(next.getType()) == dimsOf(result.getType()) && !absorbed.contains(next);
      for (OpOperand &operand : user->getOpOperands())
        ready &= operand.getOperandNumber() == use.getOperandNumber() || isAvailable(operand.get(), &op, fused);
      if (!ready)
        break;
      epilogues[result] = next;
      absorbed.insert(next);
      fused.erase(next);
      result = next;
    }
  }
}

Value Lowering::stored(Value tensor) const {
  while (Value next = epilogue(tensor))
    tensor = next;
  return tensor;
}

Value Lowering::expand(Dim dim) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(host, loc, host.getI64IntegerAttr(value));
  };
  if (auto value = constantOf(dim))
    return constant(*value);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(dim)) {
    unsigned position = symbol.getPosition();
    if (auto it = symbols.find(position); it != symbols.end())
      return it->second;
    if (!dims.isRuntime(dim))
      return tile::SymbolOp::create(host, loc, host.getI64Type(), position);
    const Dimensions::Symbol &entry = dims.symbols()[position];
    SmallVector<Value> v;
    for (Dim operand : entry.operands)
      v.push_back(expand(operand));
    switch (entry.kind) {
    case Dimensions::Kind::Max:
      return arith::MaxSIOp::create(host, loc, v[0], v[1]);
    case Dimensions::Kind::Min:
      return arith::MinSIOp::create(host, loc, v[0], v[1]);
    case Dimensions::Kind::IfEqual:
      return arith::SelectOp::create(host, loc, arith::CmpIOp::create(host, loc, arith::CmpIPredicate::eq, v[0], v[1]),
                                     v[2], v[3]);
    case Dimensions::Kind::IfNegative:
      return arith::SelectOp::create(
          host, loc, arith::CmpIOp::create(host, loc, arith::CmpIPredicate::slt, v[0], constant(0)), v[1], v[2]);
    case Dimensions::Kind::FloorDiv: {
      Value isZero = arith::CmpIOp::create(host, loc, arith::CmpIPredicate::eq, v[1], constant(0));
      Value divisor = arith::SelectOp::create(host, loc, isZero, constant(1), v[1]);
      return arith::SelectOp::create(host, loc, isZero, constant(0),
                                     arith::FloorDivSIOp::create(host, loc, v[0], divisor));
    }
    case Dimensions::Kind::Input:
    case Dimensions::Kind::Runtime:
      break; // an operator family used a runtime symbol before its lowering defined it
    }
    llvm::report_fatal_error("runtime dimension used before it is defined");
  }
  auto binary = cast<AffineBinaryOpExpr>(dim);
  Value left = expand(binary.getLHS()), right = expand(binary.getRHS());
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return arith::AddIOp::create(host, loc, left, right);
  case AffineExprKind::Mul:
    return arith::MulIOp::create(host, loc, left, right);
  case AffineExprKind::FloorDiv:
    return arith::FloorDivSIOp::create(host, loc, left, right);
  case AffineExprKind::CeilDiv:
    return arith::CeilDivSIOp::create(host, loc, left, right);
  default: { // affine mod takes the sign of the divisor, which is positive
    Value remainder = arith::RemSIOp::create(host, loc, left, right);
    Value negative = arith::CmpIOp::create(host, loc, arith::CmpIPredicate::slt, remainder, constant(0));
    return arith::SelectOp::create(host, loc, negative, arith::AddIOp::create(host, loc, remainder, right), remainder);
  }
  }
}

Value Lowering::size(Dim dim) {
  if (dims.isRuntime(dim))
    return expand(dim);
  for (Block *block = host.getInsertionBlock(); block;
       block = block->getParentOp() ? block->getParentOp()->getBlock() : nullptr)
    if (Value known = sizes.lookup({block, dim}))
      return known;
  Value made = expand(dim);
  sizes[{host.getInsertionBlock(), dim}] = made;
  return made;
}

void Lowering::define(Dim symbol, Value value) { symbols[cast<AffineSymbolExpr>(symbol).getPosition()] = value; }

Value Lowering::read(Value tensor, Value element) {
  Type type = cast<ShapedType>(tensor.getType()).getElementType();
  return tile::ReadOp::create(host, loc, host.getI64Type(), storage(tensor), element, TypeAttr::get(type));
}

Value Lowering::read(Value storage, Type type, int64_t element) {
  Value index = arith::ConstantOp::create(host, loc, host.getI64IntegerAttr(element));
  return tile::ReadOp::create(host, loc, host.getI64Type(), storage, index, TypeAttr::get(type));
}

void Lowering::branch(Value condition, llvm::function_ref<void()> body, llvm::function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(host, loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(host);
  host.setInsertionPointToStart(op.thenBlock());
  body();
  host.setInsertionPointToStart(op.elseBlock());
  otherwise();
}

void Lowering::require(Value condition) { tile::RequireOp::create(host, loc, condition, nodeNumber(loc)); }

void Lowering::requireEqual(Dim a, Dim b) {
  if (constantOf(dims.sub(a, b)) == 0)
    return;
  bool always = isa<func::FuncOp>(host.getInsertionBlock()->getParentOp());
  if (always ? required.insert({a, b}).second : !required.contains({a, b}))
    require(arith::CmpIOp::create(host, loc, arith::CmpIPredicate::eq, size(a), size(b)));
}

Value Lowering::allocate(Dim bytes) {
  Value count = size(bytes);
  AffineMapAttr known = dims.isRuntime(bytes) ? AffineMapAttr() : AffineMapAttr::get(dims.map({bytes}));
  return tile::BufferOp::create(host, loc, LLVM::LLVMPointerType::get(host.getContext()), count, known, IntegerAttr());
}

Value Lowering::allocate(Value bytes) {
  auto ptr = LLVM::LLVMPointerType::get(host.getContext());
  return tile::BufferOp::create(host, loc, ptr, bytes, AffineMapAttr(), IntegerAttr());
}

Value Lowering::storage(Value tensor) {
  Value &known = storages[tensor];
  if (known)
    return known;
  auto ptr = LLVM::LLVMPointerType::get(host.getContext());
  auto type = cast<RankedTensorType>(tensor.getType());
  if (isa_and_present<onnx::WeightOp, qnt::WeightOp>(tensor.getDefiningOp())) {
    auto offset = tensor.getDefiningOp()->getAttrOfType<IntegerAttr>("offset");
    OpBuilder::InsertionGuard guard(host); // at the start of the program: control flow may read it in several branches
    host.setInsertionPointToStart(&target.lookupSymbol<func::FuncOp>("run").getBody().front());
    return storages[tensor] = tile::WeightOp::create(host, loc, ptr, offset.getInt());
  }
  if (fused.contains(tensor)) { // somebody needs its address after all
    fused.erase(tensor);
    bool stored = succeeded(store(Node(tensor.getDefiningOp<onnx::NodeOp>())));
    assert(stored && "an operator that is computed in place can always be stored");
    (void)stored;
    return storages[tensor];
  }
  SmallVector<Dim> shape = dimsOf(type);
  if (auto it = outputs.find(tensor); it != outputs.end()) {
    SmallVector<Value> sizes;
    for (Dim dim : shape)
      sizes.push_back(size(dim));
    return storages[tensor] = tile::OutputOp::create(host, loc, ptr, it->second, sizes);
  }
  Value made = allocate(dims.mul(dims.product(shape), dims.constant(storageBytes(type.getElementType()))));
  return storages[tensor] = made;
}

const SmallVector<Value> *Lowering::shared(Value tensor, StringRef name) const {
  auto byName = sharedValues.find(tensor);
  if (byName == sharedValues.end())
    return nullptr;
  auto it = byName->second.find(name);
  return it != byName->second.end() && it->second.first == host.getInsertionBlock() ? &it->second.second : nullptr;
}

void Lowering::share(Value tensor, StringRef name, ArrayRef<Value> values) {
  sharedValues[tensor][name] = {host.getInsertionBlock(), llvm::to_vector(values)};
}

void Lowering::alias(Value tensor, Value of) {
  if (outputs.contains(tensor) || isPackedConstant(of)) // an output has storage of its own, and is not packed
    copy(of, storage(tensor));
  else {
    Value shared = storage(of);
    storages[tensor] = shared;
    if (auto it = capacities.find(of); it != capacities.end())
      capacities[tensor] = Capacity(it->second);
  }
}

bool Lowering::mayAlias(Value tensor, Value of) const {
  return !outputs.contains(tensor) && !isPackedConstant(of) && !capacities.contains(of) && !fused.contains(of);
}

void Lowering::alias(Value tensor, Value of, Dim first) {
  Type element = rowLayout(of) ? host.getI8Type() : storageType(storedElement(of));
  Value base = storage(of);
  if (constantOf(first) != 0)
    base = LLVM::GEPOp::create(host, loc, base.getType(), element, base, ArrayRef<LLVM::GEPArg>{size(first)});
  storages[tensor] = base;
  if (auto it = capacities.find(of); it != capacities.end()) { // the same axis, where leading ones may be gone
    unsigned gone = dimsOf(of.getType()).size() - dimsOf(tensor.getType()).size();
    Capacity capacity = it->second;
    capacity.axis -= gone;
    capacities[tensor] = capacity;
  }
}

Type Lowering::storedElement(Value tensor) const {
  auto it = capacities.find(tensor);
  return it != capacities.end() && it->second.element ? it->second.element
                                                      : cast<ShapedType>(tensor.getType()).getElementType();
}

const RowLayout *Lowering::rowLayout(Value tensor) const {
  auto it = capacities.find(tensor);
  return it != capacities.end() ? it->second.layout.get() : nullptr;
}

Dim Lowering::storedLength(Value tensor, unsigned axis) const {
  if (auto it = capacities.find(tensor); it != capacities.end() && axis == it->second.axis)
    return it->second.length;
  return dimsOf(tensor.getType())[axis];
}

void Lowering::copy(Value tensor, Value to) {
  SmallVector<Dim> shape = dimsOf(tensor.getType());
  Dim total = dims.product(shape);
  Kernel k(*this, "copy", loc);
  Value base = k.argument(to), count = k.dim(total);
  Value from = k.mul(k.lo(), k.constant(elementsPerUnit())),
        end = k.min(k.mul(k.hi(), k.constant(elementsPerUnit())), count);
  k.loop(from, end, [&](Value i) { k.move(tensor, Index(shape, i), base, i); });
  k.launch(dims.ceilDiv(total, elementsPerUnit()), total);
}

void Lowering::copy(Type element, Value from, Value to, Value count) {
  Kernel k(*this, "copy", loc);
  Type raw = storageType(element);
  Value source = k.argument(from), target = k.argument(to), end = k.argument(count);
  Value first = k.mul(k.lo(), k.constant(elementsPerUnit())),
        last = k.min(k.mul(k.hi(), k.constant(elementsPerUnit())), end);
  k.loop(first, last, [&](Value i) { k.storeAt(target, i, raw, k.loadAt(source, i, raw)); });
  Value unit = arith::ConstantOp::create(host, loc, host.getI64IntegerAttr(elementsPerUnit()));
  k.launch(arith::CeilDivSIOp::create(host, loc, count, unit), count);
}

void Lowering::give(Value tensor, Value finished) {
  if (!outputs.contains(tensor)) {
    storages[tensor] = finished;
    return;
  }
  auto type = cast<RankedTensorType>(tensor.getType());
  copy(type.getElementType(), finished, storage(tensor), size(dims.product(dimsOf(type))));
}

bool Lowering::isLinear(Value tensor, ArrayRef<Dim> shape) const {
  auto node = tensor.getDefiningOp<onnx::NodeOp>();
  const Operator *definition = node ? OperatorRegistry::get().find(node) : nullptr;
  if (!definition || !definition->pointwise)
    return false;
  return llvm::all_of(node->getOperands(), [&](Value operand) {
    if (isa<NoneType>(operand.getType()))
      return true;
    SmallVector<Dim> dims = dimsOf(operand.getType());
    bool single = llvm::all_of(dims, [](Dim d) { return constantOf(d) == 1; });
    if (!single && ArrayRef<Dim>(dims) != shape)
      return false;
    return !fused.contains(operand) || isLinear(operand, dims);
  });
}

unsigned Lowering::uniformAxes(Value tensor, ArrayRef<Dim> shape) const {
  auto node = tensor.getDefiningOp<onnx::NodeOp>();
  const Operator *definition = node ? OperatorRegistry::get().find(node) : nullptr;
  if (!definition || !definition->pointwise || shape.empty())
    return 1;
  unsigned result = shape.size();
  for (Value operand : node->getOperands()) {
    if (isa<NoneType>(operand.getType()))
      continue;
    SmallVector<Dim> dims = dimsOf(operand.getType());
    unsigned full = 0, stretched = 0;
    while (full < dims.size() && full < shape.size() && dims[dims.size() - 1 - full] == shape[shape.size() - 1 - full])
      ++full;
    while (stretched < shape.size() && (stretched >= dims.size() || constantOf(dims[dims.size() - 1 - stretched]) == 1))
      ++stretched;
    result = std::min(result, std::max(full, stretched));
    if (fused.contains(operand))
      result = std::min(result, uniformAxes(operand, dims));
  }
  return std::max(result, 1u);
}

void Lowering::forEachElement(Value tensor, StringRef name, bool linear, int64_t cost,
                              llvm::function_ref<Value(Kernel &, const Index &)> value, unsigned innerAxes) {
  SmallVector<Dim> shape = dimsOf(tensor.getType());
  Dim total = dims.product(shape);
  Kernel k(*this, name, loc);
  if (linear || shape.size() < 2) {
    Value count = k.dim(total);
    Value from = k.mul(k.lo(), k.constant(elementsPerUnit())),
          end = k.min(k.mul(k.hi(), k.constant(elementsPerUnit())), count);
    k.loop(from, end, [&](Value i) {
      Index index = shape.size() == 1 ? Index(shape, ValueRange(i), i) : Index(shape, i);
      k.store(tensor, index, value(k, index));
    });
    k.launch(dims.ceilDiv(total, elementsPerUnit()), dims.mul(total, dims.constant(cost)));
    return;
  }
  if (facts.device) { // neighbours in a row are computed by neighbouring threads
    Index index(shape, k.delinearize(k.lo(), shape), k.lo());
    k.store(tensor, index, value(k, index));
    k.launch(total, dims.mul(total, dims.constant(cost)));
    return;
  }
  ArrayRef<Dim> outer = ArrayRef<Dim>(shape).drop_back(innerAxes);
  Dim rows = dims.product(outer);
  k.loop(k.lo(), k.hi(), [&](Value row) {
    SmallVector<Value> coordinates = k.delinearize(row, outer);
    Value inner = k.dim(dims.product(ArrayRef<Dim>(shape).take_back(innerAxes))), start = k.mul(row, inner);
    // One coordinate counts through all of the inner axes: in an element's number it is right where they are full, and
    // where they are stretched it is not used. Its axis is the last one with more than one position.
    coordinates.resize(shape.size(), k.constant(0));
    size_t counter = shape.size() - 1;
    while (counter > shape.size() - innerAxes && constantOf(shape[counter]) == 1)
      --counter;
    k.loop(k.constant(0), inner, [&](Value i) {
      coordinates[counter] = i;
      Index index(shape, coordinates, k.add(start, i));
      k.store(tensor, index, value(k, index));
    });
  });
  k.launch(rows, dims.mul(total, dims.constant(cost)));
}

void Lowering::forEach(ArrayRef<Dim> space, StringRef name, Dim cost,
                       llvm::function_ref<void(Kernel &, ArrayRef<Value>)> body) {
  Dim units = dims.product(space);
  Kernel k(*this, name, loc);
  k.loop(k.lo(), k.hi(), [&](Value unit) { body(k, k.delinearize(unit, space)); });
  k.launch(units, dims.mul(units, cost));
}

int64_t Lowering::nodeNumber(Location where) {
  auto name = dyn_cast<NameLoc>(where);
  std::string text = name ? name.getName().str() : "unnamed node";
  auto it = llvm::find(nodes, text);
  if (it == nodes.end()) {
    nodes.push_back(text);
    return nodes.size();
  }
  return it - nodes.begin() + 1;
}

LLVM::LLVMFuncOp Lowering::intern(LLVM::LLVMFuncOp kernel, StringRef name) {
  auto &candidates = kernels[hashOf(kernel)];
  for (LLVM::LLVMFuncOp known : candidates)
    if (isSameKernel(known, kernel)) {
      kernel.erase();
      return known;
    }
  std::string symbol = ("kernel_" + name).str(); // of letters that the symbols of every target may have
  std::replace_if(symbol.begin(), symbol.end(), [](char c) { return !llvm::isAlnum(c); }, '_');
  unsigned count = kernelNames[symbol]++;
  kernel.setSymName(count ? symbol + "_" + std::to_string(count) : symbol);
  target.push_back(kernel);
  candidates.push_back(kernel);
  return kernel;
}

LogicalResult Lowering::lowerNode(onnx::NodeOp op) {
  loc = op->getLoc();
  Node node(op);
  const Operator *definition = OperatorRegistry::get().find(op);
  if (!definition)
    return node.error("has no lowering");
  if (auto defines = op.getDefines())
    for (size_t i = 0; i < defines->size(); i += 3) {
      Value element = arith::ConstantOp::create(host, loc, host.getI64IntegerAttr((*defines)[i + 2]));
      Value operand = op->getOperand((*defines)[i + 1]);
      symbols[(*defines)[i]] = read(operand, element);
    }
  if (auto equal = node.resolved("equal"))
    for (size_t i = 0; i + 1 < equal->size(); i += 2)
      requireEqual((*equal)[i], (*equal)[i + 1]);
  if (op->getNumResults() == 1 && (fused.contains(op->getResult(0)) || absorbed.contains(op->getResult(0))))
    return success();
  return store(node);
}

LogicalResult Lowering::store(const Node &node) {
  const Operator *definition = OperatorRegistry::get().find(node.op);
  if (definition->lower)
    return definition->lower(node, *this);
  Value result = node.output();
  SmallVector<Dim> shape = node.outputDims();
  forEachElement(
      result, node.type().lower(), isLinear(result, shape), definition->cost,
      [&](Kernel &k, const Index &index) { return definition->element(node, k, index); }, uniformAxes(result, shape));
  return success();
}

LogicalResult Lowering::block(Block &block) {
  Location outer = loc;
  chooseFusion(block);
  chooseEpilogues(block);
  for (Operation &op : block)
    if (auto node = dyn_cast<onnx::NodeOp>(op); node && failed(lowerNode(node)))
      return failure();
    else if (auto linear = dyn_cast<qnt::LinearOp>(op)) {
      loc = op.getLoc();
      if (failed(lowerLinear(linear, *this)))
        return failure();
    } else if (auto lookup = dyn_cast<qnt::LookupOp>(op)) {
      loc = op.getLoc();
      if (failed(lowerLookup(lookup, *this)))
        return failure();
    }
  loc = outer;
  return success();
}

LogicalResult Lowering::run() {
  auto main = source.lookupSymbol<func::FuncOp>("main");
  auto ptr = LLVM::LLVMPointerType::get(host.getContext());
  // The host function: every thread of a run executes it. The conversion to LLVM gives it its frame and thread
  // arguments.
  host.setInsertionPointToEnd(target.getBody());
  auto function = func::FuncOp::create(host, main.getLoc(), "run", host.getFunctionType({}, {}));
  host.setInsertionPointToStart(function.addEntryBlock());
  Block &body = main.getBody().front();
  unsigned inputs = 0;
  for (auto [i, argument] : llvm::enumerate(body.getArguments())) {
    if (auto state = main.getArgAttrOfType<IntegerAttr>(i, stateAttr)) {
      storages[argument] = tile::StateOp::create(host, loc, ptr, state.getInt());
      auto capacity = main.getArgAttrOfType<AffineMapAttr>(i, capacityAttr);
      auto axis = main.getArgAttrOfType<IntegerAttr>(i, stateAxisAttr);
      Capacity &stored = capacities[argument];
      stored.axis = unsigned(axis.getInt()), stored.length = capacity.getValue().getResult(0);
      auto storage = stateStorage(main, i);
      if (failed(storage))
        return failure();
      stored.element = storage->element, stored.layout = storage->layout;
    } else {
      storages[argument] = tile::InputOp::create(host, loc, ptr, inputs++);
    }
  }
  Operation *terminator = body.getTerminator();
  SmallVector<Value> results; // without those that are states
  for (auto [i, result] : llvm::enumerate(terminator->getOperands()))
    if (!main.getResultAttr(i, stateAttr))
      results.push_back(result);
  for (auto [i, result] : llvm::enumerate(results))
    if (result.getDefiningOp())
      if (!result.getDefiningOp<onnx::WeightOp>())
        outputs.try_emplace(result, i);
  // Outputs whose sizes are known now get their storage now: together they need one barrier.
  for (auto [i, result] : llvm::enumerate(results))
    if (auto it = outputs.find(result); it != outputs.end() && it->second == i)
      if (llvm::none_of(dimsOf(result.getType()), [&](Dim dim) { return dims.isRuntime(dim); }))
        storage(result);
  if (failed(block(body)))
    return failure();
  loc = main.getLoc();
  for (auto [i, result] : llvm::enumerate(results)) {
    auto it = outputs.find(result);
    if (it != outputs.end() && it->second == i)
      continue; // computed in place
    SmallVector<Value> sizes;
    for (Dim dim : dimsOf(result.getType()))
      sizes.push_back(size(dim));
    copy(result, tile::OutputOp::create(host, loc, ptr, i, sizes));
  }
  func::ReturnOp::create(host, loc);
  return success();
}
