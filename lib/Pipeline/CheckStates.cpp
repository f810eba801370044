#include "qcc/Pipeline/CheckStates.h"
#include "HostedProgram.h"
#include "QuantizeWeights.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Operator/Node.h"
#include "qcc/Program/Compare.h"
#include "qcc/Program/Samples.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace qcc;

static constexpr StringLiteral nodePrefix = "node '";

namespace {
/// The values of one state on the data, by the names of the nodes that they are results of.
struct StateValues {
  StringRef state;
  std::vector<NpzArray> values; // in program order
  bool multipliesIntegers = false;
};
} // namespace

static StringRef nodeName(Operation *op) {
  auto name = dyn_cast<NameLoc>(op->getLoc());
  return name ? name.getName().getValue() : "";
}

/// Makes the values of `main` that have float32 elements outputs of the program, under the names of their nodes. Where
/// several operations stand for a node, the last one gives the node's value.
static void exposeValues(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  Operation *end = main.getBody().front().getTerminator();
  llvm::StringMap<Operation *> lasts;
  SmallVector<Operation *> order;
  for (Operation &op : main.getBody().front()) {
    if (!isa<onnx::NodeOp, qnt::LinearOp, qnt::LookupOp>(op) || nodeName(&op).empty())
      continue;
    lasts[nodeName(&op)] = &op;
    order.push_back(&op);
  }
  SmallVector<Value> results(end->getOperands());
  SmallVector<Type> types(main.getResultTypes());
  Builder b(module.getContext());
  for (Operation *op : order)
    for (auto [i, value] : llvm::enumerate(op->getResults())) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (lasts[nodeName(op)] != op || !type || !type.getElementType().isF32())
        continue;
      results.push_back(value);
      types.push_back(type);
    }
  size_t before = main.getNumResults();
  end->setOperands(results);
  main.setType(b.getFunctionType(main.getArgumentTypes(), types));
  for (size_t i = before; i < results.size(); ++i) {
    auto result = cast<OpResult>(results[i]);
    std::string name = (nodePrefix + nodeName(result.getOwner()) + "'").str();
    if (unsigned number = result.getResultNumber())
      name += " result " + std::to_string(number);
    main.setResultAttr(unsigned(i), "onnx.name", b.getStringAttr(name));
  }
}

/// What a weight decodes to, as a constant of the program: its rows, or its columns for a product to read.
static FailureOr<Value> decodedConstant(Compilation &c, OpBuilder &b, Operation *reader, qnt::WeightOp weight,
                                        bool isTransposed) {
  auto format = findFormat(weight.getFormat());
  if (!format)
    return reader->emitError(llvm::toString(format.takeError()));
  auto decoded = decodeWeight(c, weight, *format);
  if (!decoded)
    return reader->emitError(llvm::toString(decoded.takeError()));
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  std::vector<float> values = std::move(*decoded);
  if (isTransposed) {
    std::vector<float> transposed(values.size());
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column)
        transposed[column * rows + row] = values[row * columns + column];
    values = std::move(transposed);
    std::swap(rows, columns);
  }
  ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
  ElementsAttr data =
      DenseResourceElementsAttr::get(RankedTensorType::get({int64_t(bytes.size())}, b.getI8Type()), weight.getName(),
                                     HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
  return Value(onnx::WeightOp::create(b, reader->getLoc(), RankedTensorType::get({rows, columns}, b.getF32Type()),
                                      weight.getName(), data));
}

/// What a linear operation with a static scale reads, as its codes say it.
static Value roundedToCodes(OpBuilder &b, qnt::LinearOp linear) {
  Value x = linear.getX();
  auto type = cast<RankedTensorType>(x.getType());
  auto constant = [&](Type element, ArrayRef<char> data) -> Value {
    auto bytes = RankedTensorType::get({int64_t(data.size())}, b.getI8Type());
    return onnx::WeightOp::create(b, linear.getLoc(), RankedTensorType::get({}, element), "scale",
                                  DenseElementsAttr::getFromRawBuffer(bytes, data));
  };
  float number = linear.getScale()->convertToFloat();
  Value scale = constant(b.getF32Type(), ArrayRef<char>(reinterpret_cast<const char *>(&number), sizeof(number)));
  Value zero = constant(b.getI8Type(), ArrayRef<char>{0});
  auto node = [&](StringRef name, Value operand, Type element) {
    auto result = RankedTensorType::get(type.getShape(), element, type.getEncoding());
    return onnx::NodeOp::create(b, linear.getLoc(), TypeRange{result}, b.getStringAttr(name), b.getStringAttr(""),
                                b.getI64IntegerAttr(21), b.getDictionaryAttr({}), DictionaryAttr(), DenseI64ArrayAttr(),
                                mlir::ValueRange{operand, scale, zero}, 0)
        ->getResult(0);
  };
  return node("DequantizeLinear", node("QuantizeLinear", x, b.getI8Type()), b.getF32Type());
}

/// Replaces what reads quantized weights by nodes that read what the weights decode to: the quantized program's
/// reference semantics.
static LogicalResult expandWeights(Compilation &c) {
  OpBuilder b(&c.context);
  auto replace = [&](Operation *op, Value packed, bool isProduct, Value other) -> LogicalResult {
    auto weight = packed.getDefiningOp<qnt::WeightOp>();
    b.setInsertionPoint(op);
    auto matrix = decodedConstant(c, b, op, weight, isProduct);
    if (failed(matrix))
      return failure();
    if (auto linear = dyn_cast<qnt::LinearOp>(op); linear && linear.getScale())
      other = roundedToCodes(b, linear);
    SmallVector<Value> operands = {*matrix, other};
    if (isProduct)
      std::swap(operands[0], operands[1]);
    auto node = onnx::NodeOp::create(
        b, op->getLoc(), op->getResultTypes(), b.getStringAttr(isProduct ? "MatMul" : "Gather"), b.getStringAttr(""),
        b.getI64IntegerAttr(13), b.getDictionaryAttr({}), DictionaryAttr(), DenseI64ArrayAttr(), operands, 0);
    op->replaceAllUsesWith(node->getResults());
    op->erase();
    if (weight.use_empty())
      weight.erase();
    return success();
  };
  SmallVector<Operation *> readers;
  c.module->walk([&](Operation *op) {
    if (isa<qnt::LinearOp, qnt::LookupOp>(op))
      readers.push_back(op);
  });
  for (Operation *op : readers) {
    auto linear = dyn_cast<qnt::LinearOp>(op);
    auto lookup = dyn_cast<qnt::LookupOp>(op);
    if (failed(linear ? replace(op, linear.getWeight(), true, linear.getX())
                      : replace(op, lookup.getWeight(), false, lookup.getIndices())))
      return failure();
  }
  return success();
}

/// Compiles the program from `state` on, runs it and takes its values.
static FailureOr<StateValues> valuesOf(Compilation &c, StringRef state, StringRef from, StringRef data) {
  if (failed(runStages(c, from, "artifact")))
    return failure();
  auto report = [&](llvm::Error error) {
    return emitError(UnknownLoc::get(&c.context)) << state << ": " << llvm::toString(std::move(error));
  };
  auto program = openProgram(c);
  if (!program)
    return report(program.takeError());
  Samples samples;
  std::string error;
  if (!Samples::read({data.str()}, (*program)->manifest(), samples, error) || samples.size() == 0)
    return emitError(UnknownLoc::get(&c.context)) << (error.empty() ? "the data hold no sample" : error);
  std::vector<std::string> names, outputs;
  for (const Manifest::Value &output : (*program)->manifest().outputs)
    (StringRef(output.name).starts_with(nodePrefix) ? names : outputs).push_back(output.name);
  // The program's own outputs stand first in its signature and come last when it runs.
  llvm::append_range(names, outputs);
  auto values = runProgram(**program, samples[0], names);
  if (!values)
    return report(values.takeError());
  StateValues result{state, std::move(*values)};
  c.module->walk([&](qnt::LinearOp linear) { result.multipliesIntegers |= linear.getAct() != "f32"; });
  return result;
}

/// Compares two states; reports the first value that is further off than `tolerance`.
static bool compareStates(const StateValues &state, const StateValues &before, std::optional<double> tolerance,
                          llvm::raw_ostream &os, Location loc) {
  llvm::StringMap<const NpzArray *> expected;
  for (const NpzArray &array : before.values)
    expected[array.name] = &array;
  const NpzArray *worst = nullptr;
  double largest = -1;
  size_t count = 0;
  bool good = true;
  for (const NpzArray &array : state.values) {
    const NpzArray *other = expected.lookup(array.name);
    // A node's result has another shape where an operator was replaced by a wider one: it is not the same value.
    if (!other || other->shape != array.shape)
      continue;
    Comparison comparison = compare(array, *other, tolerance.value_or(0));
    ++count;
    if (comparison.error > largest)
      largest = comparison.error, worst = &array;
    if (tolerance && !comparison.same && good) {
      good = false;
      auto report = emitError(loc) << state.state << ": " << array.name << " is off by "
                                   << llvm::formatv("{0:e2}", comparison.error).str() << " from what it is "
                                   << before.state << ", more than " << llvm::formatv("{0:e2}", *tolerance).str();
      if (!comparison.reason.empty())
        report << ": " << comparison.reason;
    }
  }
  os << state.state << " against " << before.state << ": " << count << " values";
  if (worst)
    os << ", largest relative error " << llvm::formatv("{0:e2}", largest) << " at " << worst->name;
  os << (tolerance ? "" : " (quantization, not judged)") << "\n";
  return good;
}

FailureOr<bool> qcc::checkStates(MLIRContext &context, const CompileOptions &given, StringRef data,
                                 const StateTolerances &tolerances, llvm::raw_ostream &os) {
  CompileOptions options = given;
  options.states = false;
  options.cacheFormat.clear(), options.dumpStatesTo.clear(), options.dumpKernelsTo.clear();
  CompileOptions asImported = options, asCanonical = options;
  asImported.raises = asImported.quantizes = asCanonical.quantizes = false;
  Location loc = UnknownLoc::get(&context);
  bool good = true;

  // Each compilation holds a model's weights: no more than two states are there at once.
  auto at = [&](CompileOptions use, StringRef state, StringRef stage, bool expands,
                bool exposes) -> FailureOr<StateValues> {
    Compilation c(context, std::move(use));
    if (failed(runStages(c, "", stage)) || (expands && failed(expandWeights(c))))
      return failure();
    if (exposes)
      exposeValues(*c.module);
    return valuesOf(c, state, stage, data);
  };
  FailureOr<StateValues> before = at(asImported, "imported", "canonical", false, true);
  if (failed(before))
    return failure();
  auto next = [&](FailureOr<StateValues> state, std::optional<double> tolerance) {
    if (failed(state))
      return failure();
    good &= compareStates(*state, *before, tolerance, os, loc);
    before = std::move(state);
    return success();
  };
  if (failed(next(at(asCanonical, "canonical", "canonical", false, true), tolerances.real)) ||
      failed(next(at(options, "quantized", "quantized", true, true), std::nullopt)))
    return failure();
  FailureOr<StateValues> lowered = at(options, "lowered", "quantized", false, true);
  double bound = succeeded(lowered) && lowered->multipliesIntegers ? tolerances.integer : tolerances.real;
  if (failed(next(std::move(lowered), bound)) ||
      failed(next(at(options, "artifact", "quantized", false, false), bound)))
    return failure();
  return good;
}
