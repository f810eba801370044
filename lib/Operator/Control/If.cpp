#include "Register.h"
#include "Subgraph.h"

using namespace mlir;
using namespace qcc;

static LogicalResult checkYields(Infer &infer, ArrayRef<Value> yields) {
  if (yields.size() != infer.outputs())
    return infer.error("has a branch with " + Twine(yields.size()) + " results for " + Twine(infer.outputs()) +
                       " outputs");
  return success();
}

/// The branch, which gives `yields`, takes the node's place.
static LogicalResult becomeBranch(Infer &infer, Region &region, ArrayRef<Value> yields) {
  if (failed(checkYields(infer, yields)))
    return failure();
  auto &from = region.front().getOperations();
  infer.op->getBlock()->getOperations().splice(infer.op->getIterator(), from, from.begin(), std::prev(from.end()));
  for (auto [i, value] : llvm::enumerate(yields))
    infer.replace(unsigned(i), infer.checked(value));
  return success();
}

/// Requires what makes the condition true when the program runs, where that is that a length is a certain number.
static bool requireCondition(Infer &infer, Dim condition) {
  auto symbol = dyn_cast_if_present<AffineSymbolExpr>(condition);
  if (!symbol)
    return false;
  Dimensions::Symbol entry = infer.dim().symbols()[symbol.getPosition()];
  if (entry.kind != Dimensions::Kind::IfEqual || constantOf(entry.operands[2]) != 1 ||
      constantOf(entry.operands[3]) != 0 || !(constantOf(entry.operands[0]) || constantOf(entry.operands[1])))
    return false;
  infer.requireEqual(entry.operands[0], entry.operands[1]);
  return true;
}

/// The contents that both branches give, or that the condition chooses from.
static void inferContents(Infer &infer, unsigned i, Value then, Value otherwise, Dim condition, size_t first) {
  Dimensions &d = infer.dim();
  auto a = infer.contentsOf(then), b = infer.contentsOf(otherwise);
  if (!a || !b || a->size() != b->size())
    return;
  SmallVector<Dim> result;
  for (auto [x, y] : llvm::zip(*a, *b)) {
    if (isInner(d, x, first) || isInner(d, y, first) || (x != y && !condition))
      return;
    result.push_back(x == y ? x : d.ifEqual(condition, d.constant(0), y, x));
  }
  infer.resultContents(i, result);
}

static LogicalResult inferIf(Infer &infer) {
  Dimensions &d = infer.dim();
  Region *then = subgraphOf(infer, "then_branch"), *otherwise = subgraphOf(infer, "else_branch");
  if (!then || !otherwise || infer.inputs() != 1 || !infer.element(0).isInteger(1))
    return infer.error("lacks a branch or a condition");
  Dim condition;
  if (auto known = infer.contents(0); known && known->size() == 1) {
    condition = known->front();
    if (auto value = constantOf(condition)) {
      Region &region = *value ? *then : *otherwise;
      auto yields = infer.subgraph(region, {});
      return failed(yields) ? failure() : becomeBranch(infer, region, *yields);
    }
    infer.resolve("condition", condition);
  }
  size_t first = d.symbols().size();
  auto a = infer.subgraph(*then, {}), b = infer.subgraph(*otherwise, {});
  if (failed(a) || failed(b) || failed(checkYields(infer, *a)) || failed(checkYields(infer, *b)))
    return failure();
  for (unsigned i = 0; i < infer.outputs(); ++i) {
    if (!infer.hasOutput(i))
      continue;
    auto x = dyn_cast<RankedTensorType>((*a)[i].getType()), y = dyn_cast<RankedTensorType>((*b)[i].getType());
    if (!x || !y)
      return infer.unsupported("output " + Twine(i) + " is no tensor of known rank");
    if (x.getElementType() != y.getElementType())
      return infer.error("gives output " + Twine(i) + " another element type in one branch than in the other");
    // How exporters write that a dimension vanishes if it is 1, where they do not know its length: the program is made
    // for that length.
    if (x.getRank() != y.getRank() && requireCondition(infer, condition)) {
      infer.forget(*otherwise);
      return becomeBranch(infer, *then, *a);
    }
    if (x.getRank() != y.getRank())
      return infer.unsupported("output " + Twine(i) +
                               " has another rank in one branch than in the other; make the "
                               "condition a constant, or the ranks the same");
    SmallVector<Dim> dims;
    for (auto [p, q] : llvm::zip(dimsOf(x), dimsOf(y))) {
      bool inner = isInner(d, p, first) || isInner(d, q, first);
      dims.push_back(p == q && !inner      ? p
                     : condition && !inner ? d.ifEqual(condition, d.constant(0), q, p)
                                           : infer.counted("branch"));
    }
    infer.result(i, dims, x.getElementType());
    inferContents(infer, i, (*a)[i], (*b)[i], condition, first);
  }
  hoist(infer, *then, first, /*all=*/false);
  hoist(infer, *otherwise, first, /*all=*/false);
  return success();
}

static LogicalResult lowerIf(const Node &node, Lowering &lowering) {
  OpBuilder &host = lowering.host;
  Location loc = lowering.loc;
  Region *branches[] = {subgraphOf(node, "then_branch"), subgraphOf(node, "else_branch")};
  auto resolved = node.resolved("condition");
  Value number = resolved ? lowering.size(resolved->front())
                          : lowering.read(node.input(0), lowering.size(lowering.dims.constant(0)));
  Value zero = lowering.size(lowering.dims.constant(0));
  Value condition = arith::CmpIOp::create(host, loc, arith::CmpIPredicate::ne, number, zero);
  SmallVector<Dim> counts = node.resolved("counts").value_or(SmallVector<Dim>());
  // A result of a known size has its storage now; another one comes out of the branches with the lengths that they
  // tell.
  SmallVector<Value> targets(node.outputs());
  SmallVector<Type> types;
  for (unsigned i = 0; i < node.outputs(); ++i) {
    if (!node.hasOutput(i))
      continue;
    size_t open = llvm::count_if(node.outputDims(i), [&](Dim dim) { return llvm::is_contained(counts, dim); });
    if (open == 0) {
      targets[i] = lowering.storage(node.output(i));
      continue;
    }
    types.push_back(LLVM::LLVMPointerType::get(host.getContext()));
    types.append(open, host.getI64Type());
  }
  auto op = scf::IfOp::create(host, loc, types, condition, /*addThenBlock=*/true, /*addElseBlock=*/true);
  for (auto [branch, region] : llvm::zip(branches, op->getRegions())) {
    OpBuilder::InsertionGuard guard(host);
    Block &body = branch->front();
    host.setInsertionPointToStart(&region.front());
    Yields yields(lowering);
    OperandRange values = body.getTerminator()->getOperands();
    for (unsigned i = 0; i < node.outputs(); ++i)
      if (targets[i])
        yields.want(values[i], targets[i], body);
    if (failed(lowering.block(body)))
      return failure();
    yields.settle();
    SmallVector<Value> results;
    for (unsigned i = 0; i < node.outputs(); ++i) {
      if (!node.hasOutput(i) || targets[i])
        continue;
      results.push_back(lowering.storage(values[i]));
      for (auto [outer, inner] : llvm::zip(node.outputDims(i), dimsOf(values[i].getType())))
        if (llvm::is_contained(counts, outer))
          results.push_back(lowering.size(inner));
    }
    scf::YieldOp::create(host, loc, results);
  }
  unsigned next = 0;
  for (unsigned i = 0; i < node.outputs(); ++i) {
    if (!node.hasOutput(i) || targets[i])
      continue;
    Value pointer = op.getResult(next++);
    for (Dim outer : node.outputDims(i))
      if (llvm::is_contained(counts, outer))
        lowering.define(outer, op.getResult(next++));
    lowering.give(node.output(i), pointer);
  }
  return success();
}

void qcc::registerIf(OperatorRegistry &registry) { registry.add("", "If", inferIf, lowerIf); }
