#include "Recurrence.h"
#include "../Quantization/Quantize.h"
#include "qcc/Tile/Contraction.h"

using namespace mlir;
using namespace qcc;

// Operands that all of them have; LSTM has the first cell states and peepholes behind.
static constexpr unsigned inputOperand = 0, weights = 1, recurrent = 2, biases = 3, lengths = 4, firstState = 5,
                          firstCell = 6, peepholes = 7;

static int64_t directionsOf(const Node &node) {
  return node.stringAttr("direction", "forward") == "bidirectional" ? 2 : 1;
}
static bool batchFirst(const Node &node) { return node.intAttr("layout", 0) != 0; }
static int64_t paddedHidden(int64_t hidden) { return llvm::alignTo(hidden, Recurrence::lanes); }

/// The number of hidden units; shape inference has put R in another order when it is asked again.
static std::optional<int64_t> hiddenOf(const Node &node) {
  if (auto packed = node.resolved("hidden"))
    return constantOf((*packed)[0]);
  if (node.hasAttr("hidden_size"))
    return node.intAttr("hidden_size", 0);
  return constantOf(node.dims(recurrent).back());
}

namespace {
/// Puts operands in the order that the kernels read.
struct Packing {
  Infer &infer;
  int64_t directions, gates, hidden;

  Dim c(int64_t value) { return infer.dim().constant(value); }

  /// In the type in which the kernels compute.
  FailureOr<Value> widened(Value value) {
    Type element = cast<ShapedType>(value.getType()).getElementType();
    if (accumulatorOf(element) == element)
      return value;
    constexpr int64_t float32 = 1; // in ONNX's enumeration of types
    return infer.make("Cast", 13, {value}, {infer.attribute("to", float32)});
  }

  /// Appends zeros to an axis of `hidden` elements.
  FailureOr<Value> padded(Value value, int64_t axis) {
    int64_t missing = paddedHidden(hidden) - hidden, rank = cast<RankedTensorType>(value.getType()).getRank();
    if (!missing)
      return value;
    SmallVector<Dim> pads(2 * rank, c(0));
    pads[rank + axis] = c(missing);
    Value amounts = infer.integers({c(2 * rank)}, pads, IntegerType::get(infer.op.getContext(), 64));
    return infer.make("Pad", 13, {value, amounts});
  }

  /// A vector of `lines` rows of hidden units for each direction, padded.
  FailureOr<Value> rows(Value value, ArrayRef<Dim> lines) {
    FailureOr<Value> wide = widened(value);
    SmallVector<Dim> dims = {c(directions)};
    llvm::append_range(dims, lines);
    dims.push_back(c(hidden));
    return succeeded(wide) ? padded(infer.reshape(*wide, dims), int64_t(dims.size()) - 1) : wide;
  }

  FailureOr<Value> recurrentBlocks(Value value) {
    FailureOr<Value> wide = widened(value);
    if (failed(wide))
      return failure();
    auto full = padded(infer.reshape(*wide, {c(directions), c(gates), c(hidden), c(hidden)}), 2);
    if (failed(full))
      return failure();
    Dim blocks = c(paddedHidden(hidden) / Recurrence::lanes);
    Value blocked = infer.reshape(*full, {c(directions), c(gates), blocks, c(Recurrence::lanes), c(hidden)});
    return infer.make("Transpose", 13, {blocked}, {infer.attribute("perm", ArrayRef<int64_t>{0, 2, 4, 1, 3})});
  }

  LogicalResult run() {
    auto set = [&](unsigned i, FailureOr<Value> value) {
      if (succeeded(value))
        infer.op->setOperand(i, *value);
      return LogicalResult(value);
    };
    auto columns =
        infer.make("Transpose", 13, {infer.input(weights)}, {infer.attribute("perm", ArrayRef<int64_t>{0, 2, 1})});
    if (failed(set(weights, columns)) || failed(set(recurrent, recurrentBlocks(infer.input(recurrent)))))
      return failure();
    if (infer.has(biases) && failed(set(biases, rows(infer.input(biases), {c(2), c(gates)}))))
      return failure();
    if (infer.has(peepholes) && failed(set(peepholes, rows(infer.input(peepholes), {c(3)}))))
      return failure();
    infer.resolve("hidden", {c(hidden)});
    return success();
  }
};
} // namespace

LogicalResult qcc::inferRecurrence(Infer &infer, int64_t gates) {
  if (infer.inputs() < 3 || !infer.has(0) || !infer.has(1) || !infer.has(2) || infer.rank(0) != 3)
    return infer.error("takes an input of three dimensions and its weights");
  if (!isFloat(infer.element(0)))
    return infer.error("takes numbers of a float type");
  StringRef direction = infer.stringAttr("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return infer.error("has the unknown direction '" + direction + "'");
  auto hidden = hiddenOf(infer);
  if (!hidden)
    return infer.unsupported("the number of hidden units is not known before the model runs: set hidden_size");
  if (*hidden < 1)
    return infer.error("has " + Twine(*hidden) + " hidden units");
  Dimensions &d = infer.dim();
  SmallVector<Dim> x = infer.dims(0);
  Dim steps = x[batchFirst(infer)], batch = x[!batchFirst(infer)], units = d.constant(*hidden),
      directions = d.constant(directionsOf(infer));
  auto expect = [&](unsigned i, ArrayRef<Dim> dims) {
    if (!infer.has(i))
      return success();
    if (infer.rank(i) != int64_t(dims.size()))
      return infer.error("has operand " + Twine(i) + " of rank " + Twine(infer.rank(i)) + " where " +
                         Twine(dims.size()) + " is expected");
    for (auto [is, must] : llvm::zip(infer.dims(i), dims)) {
      if (constantOf(is).value_or(0) != constantOf(must).value_or(0) && constantOf(is) && constantOf(must))
        return infer.error("has operand " + Twine(i) + " with " + Twine(*constantOf(is)) +
                           " elements on an axis where " + Twine(*constantOf(must)) + " are expected");
      infer.requireEqual(is, must);
    }
    return success();
  };
  SmallVector<Dim> state =
      batchFirst(infer) ? SmallVector<Dim>{batch, directions, units} : SmallVector<Dim>{directions, batch, units};
  if (!infer.resolved("hidden")) {
    Dim all = d.constant(gates * *hidden);
    if (failed(expect(weights, {directions, all, x[2]})) || failed(expect(recurrent, {directions, all, units})) ||
        failed(expect(biases, {directions, d.constant(2 * gates * *hidden)})) ||
        (infer.type() == "LSTM" && failed(expect(peepholes, {directions, d.constant(3 * *hidden)}))) ||
        failed(Packing{infer, directionsOf(infer), gates, *hidden}.run()))
      return failure();
  }
  if (failed(expect(lengths, {batch})) || failed(expect(firstState, state)) || failed(expect(firstCell, state)))
    return failure();
  SmallVector<Dim> all = batchFirst(infer) ? SmallVector<Dim>{batch, steps, directions, units}
                                           : SmallVector<Dim>{steps, directions, batch, units};
  for (unsigned i = 0; i < infer.outputs(); ++i)
    infer.result(i, i == 0 ? ArrayRef<Dim>(all) : ArrayRef<Dim>(state), infer.element(0));
  return success();
}

Recurrence::Recurrence(const Node &node, Lowering &lowering, int64_t gates)
    : node(node), lowering(lowering), gates(gates), directions(directionsOf(node)), hidden(*hiddenOf(node)),
      blocks(paddedHidden(hidden) / lanes), steps(node.dims(0)[batchFirst(node)]),
      batch(node.dims(0)[!batchFirst(node)]), type(accumulatorOf(node.element(0))) {
  // What the loop over time uses must be there before it.
  for (unsigned i = 0; i < node.inputs(); ++i)
    if (node.has(i))
      lowering.storage(node.input(i));
  for (unsigned i = 0; i < node.outputs(); ++i)
    if (node.hasOutput(i))
      lowering.storage(node.output(i));
}

Value Recurrence::allocateRows(int64_t copies) {
  return lowering.allocate(
      lowering.dims.mul(batch, lowering.dims.constant(copies * directions * blocks * lanes * storageBytes(type))));
}

/// The number of the row of a direction and a sequence.
Value Recurrence::stateRow(Kernel &k, Value direction, Value sequence) {
  return k.add(k.mul(direction, k.dim(batch)), sequence);
}

void Recurrence::fillRows(Value rows, unsigned i) {
  Dim cost = lowering.dims.constant(hidden);
  lowering.forEach(
      {lowering.dims.constant(directions), batch}, "first_state", cost, [&](Kernel &k, ArrayRef<Value> at) {
        Value start = k.mul(stateRow(k, at[0], at[1]), k.constant(blocks * lanes)), base = k.argument(rows);
        k.loop(k.constant(0), k.constant(hidden), [&](Value j) {
          Value value = numberConstant(k.b, type, 0);
          if (node.has(i))
            value =
                batchFirst(node) ? k.load(node.input(i), {at[1], at[0], j}) : k.load(node.input(i), {at[0], at[1], j});
          k.storeAt(base, k.add(start, j), type, value);
        });
        k.loop(k.constant(hidden), k.constant(blocks * lanes),
               [&](Value j) { k.storeAt(base, k.add(start, j), type, numberConstant(k.b, type, 0)); });
      });
}

void Recurrence::storeRows(Value rows, Dim copy, unsigned i) {
  if (!node.hasOutput(i))
    return;
  Dim cost = lowering.dims.constant(hidden);
  lowering.forEach({lowering.dims.constant(directions), batch}, "last_state", cost, [&](Kernel &k, ArrayRef<Value> at) {
    Value row = k.add(k.mul(k.dim(copy), k.mul(k.constant(directions), k.dim(batch))), stateRow(k, at[0], at[1]));
    Value start = k.mul(row, k.constant(blocks * lanes)), base = k.argument(rows);
    k.loop(k.constant(0), k.constant(hidden), [&](Value j) {
      SmallVector<Value> to = {at[0], at[1], j};
      if (batchFirst(node))
        std::swap(to[0], to[1]);
      k.store(node.output(i), to, k.loadAt(base, k.add(start, j), type));
    });
  });
}

void Recurrence::begin() {
  Dimensions &dims = lowering.dims;
  SmallVector<Dim> x = node.dims(0);
  Dim rows = dims.mul(x[0], x[1]), columns = dims.constant(gates * hidden), bytes = dims.constant(storageBytes(type));
  // The last block of the last row is read to its end.
  Dim total = dims.add(dims.product({dims.constant(directions), rows, columns}), dims.constant(lanes));
  inputs = lowering.allocate(dims.mul(total, bytes));
  states = allocateRows(2);
  Contraction product;
  product.batches = {dims.constant(directions)};
  product.rows = rows, product.columns = columns, product.depth = x[2];
  product.accumulator = type;
  product.leftIsContiguous = product.rightIsContiguous = node.element(0) == type;
  product.left = [&](Kernel &k, ArrayRef<Value>, Value row, Value step) {
    return k.load(node.input(inputOperand), Index(x, k.add(k.mul(row, k.dim(x[2])), step)));
  };
  product.right = [&](Kernel &k, ArrayRef<Value> at, Value step, Value column) {
    return k.load(node.input(weights), {at[0], step, column});
  };
  product.store = [&](Kernel &k, ArrayRef<Value> at, Value row, Value column, Value sum) {
    Value line = k.add(k.mul(at[0], k.dim(rows)), row);
    k.storeAt(k.argument(inputs), k.add(k.mul(line, k.dim(columns)), column), type, sum);
  };
  emitContraction(lowering, node.type().lower() + "_input", product);
  fillRows(states, firstState);
}

void Recurrence::forEachStep(llvm::function_ref<void(Value)> body) {
  OpBuilder &host = lowering.host;
  auto constant = [&](int64_t value) {
    return arith::ConstantOp::create(host, lowering.loc, host.getI64IntegerAttr(value));
  };
  auto loop = scf::ForOp::create(host, lowering.loc, constant(0), lowering.size(steps), constant(1));
  OpBuilder::InsertionGuard guard(host);
  host.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void Recurrence::end() { storeRows(states, lowering.dims.mod(steps, 2), 1); }

void Recurrence::roundStates(Value time) {
  Kernel k(lowering, "round_states", lowering.loc);
  Dim rows = lowering.dims.mul(batch, lowering.dims.constant(directions));
  Type code = IntegerType::get(k.b.getContext(), 8, IntegerType::Unsigned);
  Value from = k.argument(states), to = k.argument(rounded), zero = k.constant(0), width = k.constant(blocks * lanes);
  Value copy = k.mul(k.rem(k.argument(time), k.constant(2)), k.dim(rows));
  auto forEachRow = [&](Value direction, ValueRange carried, auto body) {
    return k.loop(zero, k.dim(batch), carried, [&](Value sequence, ValueRange so) {
      Value row = stateRow(k, direction, sequence);
      return body(k.mul(k.add(copy, row), width), k.mul(row, width), so);
    });
  };
  k.loop(k.lo(), k.hi(), [&](Value direction) {
    Value nothing = numberConstant(k.b, type, 0);
    SmallVector<Value> range =
        forEachRow(direction, ValueRange{nothing, nothing}, [&](Value start, Value, ValueRange so) {
          return rangeOf(k, zero, k.constant(hidden), so, [&](Value i) {
            Value value = k.loadAt(from, k.add(start, i), type);
            return std::pair(value, value);
          });
        });
    auto [scale, center] = scaleOfRange(k, range);
    Real middle(k.b, castNumber(k.b, center, code, type));
    forEachRow(direction, ValueRange(), [&, scale = scale, center = center](Value start, Value target, ValueRange) {
      k.loop(zero, k.constant(hidden), [&](Value i) {
        Real value(k.b, k.loadAt(from, k.add(start, i), type));
        Real near(k.b, castNumber(k.b, integerCode(k.b, value / scale, center, code), code, type));
        k.storeAt(to, k.add(target, i), type, ((near - middle) * scale).value());
      });
      return SmallVector<Value>();
    });
  });
  k.launch(lowering.dims.constant(directions), lowering.dims.mul(rows, lowering.dims.constant(hidden * 4)));
}

RecurrentStep::RecurrentStep(Recurrence &recurrence, Kernel &kernel, Value time)
    : r(recurrence), k(kernel), vector(VectorType::get(width(), recurrence.type)), t(k.argument(time)) {
  if (width() > 1)
    scratch = k.threadScratch(Recurrence::lanes * storageBytes(r.type));
  Value copyRows = k.mul(k.constant(r.directions), k.dim(r.batch)), odd = k.rem(t, k.constant(2));
  copyBefore = k.mul(odd, copyRows);
  copyAfter = k.sub(copyRows, copyBefore);
}

Real RecurrentStep::zero() { return {k.b, arith::ConstantOp::create(k.b, k.b.getZeroAttr(vector))}; }

void RecurrentStep::forEachBlock(llvm::function_ref<void()> compute, llvm::function_ref<void()> keep) {
  k.loop(k.lo(), k.hi(), [&](Value unit) {
    if (width() == 1) { // neighbours read neighbouring columns of R
      lane = k.rem(unit, k.constant(Recurrence::lanes));
      unit = k.div(unit, k.constant(Recurrence::lanes));
    }
    // The sequences of a batch follow one another: they read the same part of R.
    sequence = k.rem(unit, k.dim(r.batch));
    Value rest = k.div(unit, k.dim(r.batch));
    block = k.rem(rest, k.constant(r.blocks));
    direction = k.div(rest, k.constant(r.blocks));
    const Node &node = r.node;
    Value length = k.dim(r.steps);
    if (node.has(lengths)) { // a length that the input does not have ends the run
      Value given = castNumber(k.b, k.load(node.input(lengths), ArrayRef<Value>(sequence)), node.element(lengths),
                               k.b.getI64Type());
      k.check(k.both(k.less(k.constant(-1), given), k.less(given, k.add(length, k.constant(1)))));
      length = k.max(k.constant(0), k.min(given, length));
    }
    Value isRunning = k.less(t, length), backwards = k.sub(k.sub(length, k.constant(1)), t);
    StringRef name = node.stringAttr("direction", "forward");
    position = name == "forward"   ? t
               : name == "reverse" ? k.select(isRunning, backwards, t)
                                   : k.select(k.both(isRunning, k.equal(direction, k.constant(1))), backwards, t);
    if (!node.has(lengths))
      return compute();
    k.when(isRunning, compute);
    k.when(k.less(k.sub(length, k.constant(1)), t), keep);
  });
}

void RecurrentStep::launch(int64_t products) {
  Dimensions &dims = r.lowering.dims;
  Dim units = dims.mul(r.batch, dims.constant(r.directions * r.blocks * Recurrence::lanes / width()));
  // A vector operation counts as one.
  k.launch(units, dims.mul(units, dims.constant(products * r.hidden + 100)));
}

Value RecurrentStep::at(Value base, Value index) {
  if (lane)
    index = k.add(index, lane);
  return LLVM::GEPOp::create(k.b, base.getType(), r.type, base, ArrayRef<LLVM::GEPArg>{index},
                             LLVM::GEPNoWrapFlags::inbounds);
}

Value RecurrentStep::place(Value copy) {
  Value row = k.add(k.mul(direction, k.dim(r.batch)), sequence);
  if (copy)
    row = k.add(row, copy);
  return k.mul(k.add(k.mul(row, k.constant(r.blocks)), block), k.constant(Recurrence::lanes));
}

Real RecurrentStep::load(Value rows, Value copy) {
  return {k.b, LLVM::LoadOp::create(k.b, vector, at(k.argument(rows), place(copy)), storageBytes(r.type))};
}

void RecurrentStep::store(const Real &value, Value rows, Value copy) {
  LLVM::StoreOp::create(k.b, value.value(), at(k.argument(rows), place(copy)), storageBytes(r.type));
}

Real RecurrentStep::input(int64_t gate) {
  Value line = batchFirst(r.node) ? k.add(k.mul(sequence, k.dim(r.steps)), position)
                                  : k.add(k.mul(position, k.dim(r.batch)), sequence);
  Value row = k.add(k.mul(k.mul(direction, k.dim(r.steps)), k.dim(r.batch)), line);
  Value column = k.add(k.constant(gate * r.hidden), k.mul(block, k.constant(Recurrence::lanes)));
  Value place = k.add(k.mul(row, k.constant(r.gates * r.hidden)), column);
  return {k.b, LLVM::LoadOp::create(k.b, vector, at(k.argument(r.inputs), place), storageBytes(r.type))};
}

Real RecurrentStep::parameter(unsigned operand, int64_t count, int64_t line) {
  Value row = k.add(k.mul(direction, k.constant(count)), k.constant(line));
  Value place = k.mul(k.add(k.mul(row, k.constant(r.blocks)), block), k.constant(Recurrence::lanes));
  return {k.b, LLVM::LoadOp::create(k.b, vector, at(k.pointer(r.node.input(operand)), place), storageBytes(r.type))};
}

Real RecurrentStep::bias(int64_t which, int64_t gate) {
  return r.node.has(biases) ? parameter(biases, 2 * r.gates, which * r.gates + gate) : zero();
}

SmallVector<Real> RecurrentStep::addProduct(ArrayRef<int64_t> gates, ArrayRef<Real> sums, Value rows, Value copy) {
  Value base = k.argument(rows), matrix = k.pointer(r.node.input(recurrent));
  Value row = k.add(k.mul(direction, k.dim(r.batch)), sequence);
  if (copy)
    row = k.add(row, copy);
  Value start = k.mul(row, k.constant(r.blocks * Recurrence::lanes));
  Value firstLine = k.mul(k.add(k.mul(direction, k.constant(r.blocks)), block), k.constant(r.hidden));
  SmallVector<Value> init;
  for (const Real &sum : sums)
    init.push_back(sum.value());
  SmallVector<Value> done = k.loop(k.constant(0), k.constant(r.hidden), init, [&](Value i, ValueRange carried) {
    Value state = k.loadAt(base, k.add(start, i), r.type);
    Real everywhere(k.b, vector::BroadcastOp::create(k.b, vector, state));
    Value line = k.mul(k.add(firstLine, i), k.constant(r.gates * Recurrence::lanes));
    SmallVector<Value> next;
    for (auto [gate, sum] : llvm::zip(gates, carried)) {
      Value address = at(matrix, k.add(line, k.constant(gate * Recurrence::lanes)));
      Real part(k.b, LLVM::LoadOp::create(k.b, vector, address, storageBytes(r.type)));
      next.push_back(fma(everywhere, part, Real(k.b, sum)).value());
    }
    return next;
  });
  return llvm::map_to_vector(done, [&](Value value) { return Real(k.b, value); });
}

void RecurrentStep::storeResult(std::optional<Real> value) {
  if (!r.node.hasOutput(0))
    return;
  Value first = k.mul(block, k.constant(Recurrence::lanes));
  auto put = [&](Value unit, Value number) {
    if (batchFirst(r.node))
      k.store(r.node.output(0), {sequence, position, direction, unit}, number);
    else
      k.store(r.node.output(0), {position, direction, sequence, unit}, number);
  };
  if (lane) {
    Value unit = k.add(first, lane);
    return k.when(k.less(unit, k.constant(r.hidden)), [&] {
      put(unit, value ? vector::ExtractOp::create(k.b, value->value(), 0) : numberConstant(k.b, r.type, 0));
    });
  }
  Value count = k.min(k.constant(Recurrence::lanes), k.sub(k.constant(r.hidden), first));
  LLVM::StoreOp::create(k.b, value ? value->value() : zero().value(), scratch, storageBytes(r.type));
  k.loop(k.constant(0), count, [&](Value i) { put(k.add(first, i), k.loadAt(scratch, i, r.type)); });
}

Real RecurrentStep::clipped(const Real &x) {
  double limit = r.node.floatAttr("clip", 0);
  return limit > 0 ? minimum(maximum(x, -limit), limit) : x;
}

Real RecurrentStep::activate(ArrayRef<RecurrentActivation> activations, int64_t perDirection, int64_t which,
                             const Real &x) {
  Real forward = activations[which](x);
  if (r.directions == 1)
    return forward;
  const RecurrentActivation &first = activations[which], &second = activations[perDirection + which];
  if (first.name == second.name && first.alpha == second.alpha && first.beta == second.beta)
    return forward;
  return select(k.equal(direction, k.constant(0)), forward, second(x));
}
