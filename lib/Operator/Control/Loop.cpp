#include "Register.h"
#include "Subgraph.h"

using namespace mlir;
using namespace qcc;

namespace {
/// The operands and results of a Loop: trip count, condition, then the carried values; carried values, then those that
/// are collected over the iterations.
struct Parts {
  Region *body;
  unsigned carried, collected;

  explicit Parts(const Node &node)
      : body(subgraphOf(node, "body")), carried(node.inputs() < 2 ? 0 : node.inputs() - 2),
        collected(node.outputs() < carried ? 0 : node.outputs() - carried) {}
  Block &block() const { return body->front(); }
  OperandRange yields() const { return body->front().getTerminator()->getOperands(); }
};
} // namespace

static LogicalResult checkParts(Infer &infer, const Parts &parts) {
  if (!parts.body || infer.inputs() < 2 || infer.outputs() < parts.carried)
    return infer.error("lacks a body, an operand or a result");
  if (parts.block().getNumArguments() != parts.carried + 2 || parts.yields().size() != infer.outputs() + 1)
    return infer.error("has a body with " + Twine(parts.block().getNumArguments()) + " inputs and " +
                       Twine(parts.yields().size()) + " outputs for " + Twine(parts.carried) + " carried values and " +
                       Twine(parts.collected) + " collected ones");
  for (unsigned i = 0; i < infer.inputs(); ++i)
    if (i >= 2 ? !infer.has(i) : infer.has(i) && !isa<IntegerType>(infer.element(i)))
      return infer.error("has an operand " + Twine(i) + " that is left out or no integer");
  return success();
}

/// The number of the iteration becomes a length of its own, so that what is read at it is a view; the condition is true
/// inside of the body; what the body hands on as it got it is the same all the time.
static void simplifyArguments(Infer &infer, const Parts &parts) {
  Block &block = parts.block();
  OpBuilder b = OpBuilder::atBlockBegin(&block);
  Builder types(b.getContext());
  Dim iteration = infer.dim().runtime("iteration");
  infer.resolve("iteration", iteration);
  block.getArgument(0).replaceAllUsesWith(infer.integers(b, {}, iteration, types.getI64Type()));
  Value condition = block.getArgument(1);
  if (parts.yields()[0] == condition || !condition.use_empty())
    condition.replaceAllUsesWith(infer.integers(b, {}, infer.dim().constant(1), types.getI1Type()));
  for (unsigned i = 0; i < parts.carried; ++i) {
    Value argument = block.getArgument(i + 2);
    if (parts.yields()[i + 1] == argument)
      argument.replaceAllUsesWith(infer.input(i + 2));
  }
}

/// Infers a copy of the body with the carried values' types, until those that come out are those that went in: a
/// dimension that differs is known only while the loop runs. The body is the inferred copy then.
static FailureOr<SmallVector<Value>> inferBody(Infer &infer, const Parts &parts, size_t first) {
  Dimensions &d = infer.dim();
  Builder b(infer.op.getContext());
  SmallVector<Type> types = {RankedTensorType::get({}, b.getI64Type()), RankedTensorType::get({}, b.getI1Type())};
  for (unsigned i = 0; i < parts.carried; ++i)
    types.push_back(infer.input(i + 2).getType());
  for (;;) {
    Region attempt;
    IRMapping mapping;
    parts.body->cloneInto(&attempt, mapping);
    // Nodes look for what is around them, so the copy stands in the node while it is inferred.
    Region original;
    original.takeBody(*parts.body);
    parts.body->takeBody(attempt);
    auto yields = infer.subgraph(*parts.body, types);
    if (failed(yields))
      return failure();
    bool stable = true;
    for (unsigned i = 0; i < parts.carried; ++i) {
      auto in = cast<RankedTensorType>(types[i + 2]), out = dyn_cast<RankedTensorType>((*yields)[i + 1].getType());
      if (!out || in.getElementType() != out.getElementType())
        return infer.error("carries value " + Twine(i) + " with another element type than it starts with");
      if (in.getRank() != out.getRank())
        return infer.unsupported("carried value " + Twine(i) + " changes its rank from one iteration to the next");
      SmallVector<Dim> dims = dimsOf(in), after = dimsOf(out);
      bool same = true;
      for (auto [before, length] : llvm::zip(dims, after)) {
        bool open = isInner(d, before, first);
        if (open || (before == length && !isInner(d, length, first)))
          continue;
        before = d.runtime("carried");
        same = false;
      }
      if (!same)
        types[i + 2] = d.tensor(dims, in.getElementType());
      stable &= same;
    }
    infer.forget(stable ? original : *parts.body);
    if (stable)
      return yields;
    parts.body->takeBody(original);
  }
}

/// How often the loop runs, when its condition is always true and its trip count is known.
static std::optional<Dim> tripCount(Infer &infer, Value condition) {
  auto isTrue = [&](Value value) {
    auto contents = infer.contentsOf(value);
    return contents && contents->size() == 1 && constantOf(contents->front()) == 1;
  };
  auto most = infer.has(0) ? infer.contents(0) : std::nullopt;
  if (!most || most->size() != 1 || (infer.has(1) && !isTrue(infer.input(1))) || !isTrue(condition))
    return std::nullopt;
  return infer.dim().max(infer.dim().constant(0), most->front());
}

static LogicalResult inferLoop(Infer &infer) {
  Dimensions &d = infer.dim();
  Parts parts(infer);
  if (failed(checkParts(infer, parts)))
    return failure();
  size_t first = d.symbols().size();
  simplifyArguments(infer, parts);
  auto yields = inferBody(infer, parts, first);
  if (failed(yields))
    return failure();
  auto trips = tripCount(infer, (*yields)[0]);
  if (trips)
    infer.resolve("trips", *trips);
  else if (infer.has(0))
    if (auto most = infer.contents(0); most && most->size() == 1)
      infer.resolve("most", *most);
  for (unsigned i = 0; i < infer.outputs(); ++i) {
    if (!infer.hasOutput(i))
      continue;
    auto type = dyn_cast<RankedTensorType>((*yields)[i + 1].getType());
    if (!type)
      return infer.unsupported("it collects something that is no tensor of known rank");
    SmallVector<Dim> dims;
    bool isCarried = i < parts.carried;
    if (!isCarried)
      dims.push_back(trips ? *trips : infer.counted("trips"));
    for (Dim length : dimsOf(isCarried ? parts.block().getArgument(i + 2).getType() : Type(type)))
      dims.push_back(isInner(d, length, first) ? infer.counted("looped") : length);
    infer.result(i, dims, type.getElementType());
  }
  hoist(infer, *parts.body, first, /*all=*/true);
  return success();
}

// ---- Lowering

namespace {
/// The host's loop under construction. Its carried values are i64 and pointers: the iteration, whether to go on, and
/// those of each carried and collected tensor.
class LoopWriter {
public:
  LoopWriter(const Node &node, Lowering &lowering)
      : node(node), lowering(lowering), host(lowering.host), d(lowering.dims), parts(node),
        counts(node.resolved("counts").value_or(SmallVector<Dim>())) {}
  LogicalResult write();

private:
  struct Carried {
    RankedTensorType type;                               // inside of the body
    SmallVector<Dim> open;                               // the symbols among its dimensions that change
    unsigned lengths, now, next, spare, room, spareRoom; // numbers of the loop's values
    bool changes = false;                                // false: the same value all the time
  };
  struct Collected {
    RankedTensorType type;
    bool isFixed;               // its storage is there before the loop
    Value target;               // then
    SmallVector<unsigned> axes; // of the result whose length the iterations tell
    unsigned data, room, lengths;
  };

  Value constant(int64_t value) { return arith::ConstantOp::create(host, lowering.loc, host.getI64IntegerAttr(value)); }
  template <typename Op> Value binary(Value x, Value y) { return Op::create(host, lowering.loc, x, y); }
  Value is(arith::CmpIPredicate p, Value x, Value y) { return arith::CmpIOp::create(host, lowering.loc, p, x, y); }
  Value isTrue(Value number) { return is(arith::CmpIPredicate::ne, number, constant(0)); }
  unsigned carry(Value init) {
    inits.push_back(init);
    return unsigned(inits.size() - 1);
  }
  Value bytes(Value count, Type element) { return binary<arith::MulIOp>(count, constant(storageBytes(element))); }
  Value address(Value base, Value element, Type type) {
    return LLVM::GEPOp::create(host, lowering.loc, base.getType(), storageType(type), base,
                               ArrayRef<LLVM::GEPArg>{element});
  }
  bool isCount(Dim dim) { return llvm::is_contained(counts, dim); }

  void startCarried();
  void startCollected();
  std::pair<Value, Value> roomFor(Value data, Value room, Value need, Type element, Value kept);
  LogicalResult writeBody(ValueRange values);
  void collect(const Collected &collected, Value value, ValueRange values, SmallVectorImpl<Value> &next);
  void finish(ValueRange results);

  const Node &node;
  Lowering &lowering;
  OpBuilder &host;
  Dimensions &d;
  Parts parts;
  SmallVector<Dim> counts;
  SmallVector<Value> inits;
  SmallVector<Carried> carried;
  SmallVector<Collected> collected;
};
} // namespace

void LoopWriter::startCarried() {
  for (unsigned i = 0; i < parts.carried; ++i) {
    Carried c;
    Value initial = node.input(i + 2), argument = parts.block().getArgument(i + 2);
    c.type = cast<RankedTensorType>(argument.getType());
    c.changes = parts.yields()[i + 1] != argument && parts.yields()[i + 1] != initial;
    if (c.changes) {
      SmallVector<Dim> start = dimsOf(initial.getType()), result = dimsOf(c.type);
      if (isPackedConstant(initial)) { // bodies read unpacked values
        Value unpacked = lowering.allocate(d.mul(d.product(start), d.constant(storageBytes(c.type.getElementType()))));
        lowering.copy(initial, unpacked);
        c.now = carry(unpacked);
      } else {
        c.now = carry(lowering.storage(initial));
      }
      c.lengths = unsigned(inits.size());
      for (auto [inside, before] : llvm::zip(result, start))
        if (inside != before) {
          c.open.push_back(inside);
          carry(lowering.size(before));
        }
      // An iteration reads what the one before has made and makes the next value elsewhere.
      Dim size = d.mul(d.product(start), d.constant(storageBytes(c.type.getElementType())));
      c.next = carry(lowering.allocate(size));
      c.spare = carry(lowering.allocate(size));
      if (!c.open.empty()) {
        Value elements = lowering.size(d.product(start));
        c.room = carry(elements), c.spareRoom = carry(elements);
      }
    }
    carried.push_back(c);
  }
}

void LoopWriter::startCollected() {
  for (unsigned i = 0; i < parts.collected; ++i) {
    Collected c;
    unsigned output = parts.carried + i;
    c.type = cast<RankedTensorType>(parts.yields()[output + 1].getType());
    SmallVector<Dim> dims = node.hasOutput(output) ? node.outputDims(output) : SmallVector<Dim>();
    for (auto [axis, length] : llvm::enumerate(dims))
      if (axis > 0 && isCount(length))
        c.axes.push_back(unsigned(axis));
    c.isFixed = c.axes.empty() && (dims.empty() || !isCount(dims[0]));
    if (c.isFixed) {
      if (!dims.empty())
        c.target = lowering.storage(node.output(output));
    } else {
      c.data = carry(lowering.allocate(constant(0)));
      c.room = carry(constant(0));
      c.lengths = unsigned(inits.size());
      for (size_t axis = 0; axis < c.axes.size(); ++axis)
        carry(constant(0));
    }
    collected.push_back(c);
  }
}

/// Storage with room for `need` elements, of which the first `kept` are those of `data`: `data` itself while it is
/// large enough. Returns it and its room.
std::pair<Value, Value> LoopWriter::roomFor(Value data, Value room, Value need, Type element, Value kept) {
  Location loc = lowering.loc;
  SmallVector<Type> types = {data.getType(), host.getI64Type()};
  Value grows = is(arith::CmpIPredicate::slt, room, need);
  auto op = scf::IfOp::create(host, loc, types, grows, /*addThenBlock=*/true, /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(host);
  host.setInsertionPointToStart(op.thenBlock());
  Value more = binary<arith::MaxSIOp>(need, binary<arith::AddIOp>(room, room));
  Value larger = lowering.allocate(bytes(more, element));
  if (kept)
    lowering.copy(element, data, larger, kept);
  scf::YieldOp::create(host, loc, ValueRange{larger, more});
  host.setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(host, loc, ValueRange{data, room});
  return {op.getResult(0), op.getResult(1)};
}

void LoopWriter::collect(const Collected &c, Value value, ValueRange values, SmallVectorImpl<Value> &next) {
  Type element = c.type.getElementType();
  Value iteration = values[0], count = lowering.size(d.product(dimsOf(c.type)));
  Value first = binary<arith::MulIOp>(iteration, count);
  for (auto [i, axis] : llvm::enumerate(c.axes)) { // every iteration gives the same lengths
    Value length = lowering.size(dimsOf(c.type)[axis - 1]);
    Value same = is(arith::CmpIPredicate::eq, length, values[c.lengths + i]);
    lowering.require(binary<arith::OrIOp>(same, is(arith::CmpIPredicate::eq, iteration, constant(0))));
    next[c.lengths + i] = length;
  }
  auto [data, room] = roomFor(values[c.data], values[c.room], binary<arith::AddIOp>(first, count), element, first);
  lowering.copy(value, address(data, first, element));
  next[c.data] = data, next[c.room] = room;
}

LogicalResult LoopWriter::writeBody(ValueRange values) {
  Block &block = parts.block();
  lowering.define(node.resolved("iteration")->front(), values[0]);
  for (auto [i, c] : llvm::enumerate(carried)) {
    Value argument = block.getArgument(unsigned(i) + 2);
    if (!c.changes) {
      if (!argument.use_empty())
        lowering.bind(argument, lowering.storage(node.input(unsigned(i) + 2)));
      continue;
    }
    lowering.bind(argument, values[c.now]);
    for (auto [j, symbol] : llvm::enumerate(c.open))
      lowering.define(symbol, values[c.lengths + j]);
  }
  Yields yields(lowering);
  OperandRange results = parts.yields();
  for (auto [i, c] : llvm::enumerate(carried))
    if (c.changes && c.open.empty())
      yields.want(results[i + 1], values[c.next], block);
  for (auto [i, c] : llvm::enumerate(collected))
    if (c.target) {
      Value first = binary<arith::MulIOp>(values[0], lowering.size(d.product(dimsOf(c.type))));
      yields.want(results[parts.carried + i + 1], address(c.target, first, c.type.getElementType()), block);
    }
  if (failed(lowering.block(block)))
    return failure();
  yields.settle();
  SmallVector<Value> next(values);
  for (auto [i, c] : llvm::enumerate(carried)) {
    if (!c.changes)
      continue;
    if (!c.open.empty()) {
      Value result = results[i + 1], count = lowering.size(d.product(dimsOf(result.getType())));
      auto [data, room] = roomFor(values[c.next], values[c.room], count, c.type.getElementType(), {});
      lowering.copy(result, data);
      SmallVector<Dim> inside = dimsOf(c.type), after = dimsOf(result.getType());
      for (auto [j, symbol] : llvm::enumerate(c.open))
        next[c.lengths + j] = lowering.size(after[llvm::find(inside, symbol) - inside.begin()]);
      next[c.now] = data, next[c.next] = values[c.spare], next[c.spare] = data;
      next[c.room] = values[c.spareRoom], next[c.spareRoom] = room;
      continue;
    }
    next[c.now] = values[c.next], next[c.next] = values[c.spare], next[c.spare] = values[c.next];
  }
  for (auto [i, c] : llvm::enumerate(collected))
    if (!c.isFixed)
      collect(c, results[parts.carried + i + 1], values, next);
  next[0] = binary<arith::AddIOp>(values[0], constant(1));
  if (!node.resolved("trips"))
    next[1] = lowering.read(results[0], constant(0));
  scf::YieldOp::create(host, lowering.loc, next);
  return success();
}

void LoopWriter::finish(ValueRange results) {
  for (auto [i, c] : llvm::enumerate(carried)) {
    if (!node.hasOutput(unsigned(i)))
      continue;
    Value output = node.output(unsigned(i));
    if (!c.changes) {
      lowering.alias(output, node.input(unsigned(i) + 2));
      continue;
    }
    SmallVector<Dim> inside = dimsOf(c.type);
    for (auto [axis, length] : llvm::enumerate(node.outputDims(unsigned(i))))
      if (isCount(length))
        lowering.define(length, results[c.lengths + size_t(llvm::find(c.open, inside[axis]) - c.open.begin())]);
    lowering.give(output, results[c.now]);
  }
  for (auto [i, c] : llvm::enumerate(collected)) {
    unsigned output = parts.carried + unsigned(i);
    if (c.isFixed || !node.hasOutput(output))
      continue;
    SmallVector<Dim> dims = node.outputDims(output);
    if (isCount(dims[0]))
      lowering.define(dims[0], results[0]);
    for (auto [j, axis] : llvm::enumerate(c.axes))
      lowering.define(dims[axis], results[c.lengths + j]);
    lowering.give(node.output(output), results[c.data]);
  }
}

LogicalResult LoopWriter::write() {
  Location loc = lowering.loc;
  Value most = constant(INT64_MAX);
  if (auto trips = node.resolved("trips"))
    most = lowering.size(trips->front());
  else if (auto known = node.resolved("most"))
    most = lowering.size(known->front());
  else if (node.has(0))
    most = lowering.read(node.input(0), constant(0));
  carry(constant(0));
  carry(node.resolved("trips") || !node.has(1) ? constant(1) : lowering.read(node.input(1), constant(0)));
  startCarried();
  startCollected();
  SmallVector<Type> types(ValueRange(inits).getTypes());
  SmallVector<Location> locations(types.size(), loc);
  auto loop = scf::WhileOp::create(host, loc, types, inits);
  {
    OpBuilder::InsertionGuard guard(host);
    Block *before = host.createBlock(&loop.getBefore(), {}, types, locations);
    Value goes = is(arith::CmpIPredicate::slt, before->getArgument(0), most);
    goes = binary<arith::AndIOp>(goes, isTrue(before->getArgument(1)));
    scf::ConditionOp::create(host, loc, goes, before->getArguments());
    Block *after = host.createBlock(&loop.getAfter(), {}, types, locations);
    if (failed(writeBody(after->getArguments())))
      return failure();
  }
  finish(loop.getResults());
  return success();
}

static LogicalResult lowerLoop(const Node &node, Lowering &lowering) { return LoopWriter(node, lowering).write(); }

void qcc::registerLoop(OperatorRegistry &registry) { registry.add("", "Loop", inferLoop, lowerLoop); }
