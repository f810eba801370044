#include "qcc/Pipeline/Plan.h"
#include "MemoryNeed.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Calibration/Methods.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Target/Linear.h"
#include "qcc/Tile/Numbers.h"
#include "qcc/Tile/StateStorage.h"
#include "llvm/Support/Format.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace qcc;

static std::string nodeName(Location loc) {
  auto name = dyn_cast<NameLoc>(loc);
  return name ? name.getName().str() : "unnamed node";
}

/// How the numbers were chosen; empty where there was nothing to choose.
static StringRef methodName(qnt::LinearOp linear, const Format &format) {
  if (auto method = linear->getAttrOfType<StringAttr>(methodAttr))
    return method.getValue();
  return format.element->bits() < 32 ? "rtn" : "";
}

/// The constant that a convolution's weights are made of, and whether they and the input are codes.
static std::pair<RankedTensorType, bool> weightsOf(onnx::NodeOp conv) {
  Value weights = conv->getOperand(1);
  auto isDequantized = [](Value value) {
    auto node = value.getDefiningOp<onnx::NodeOp>();
    return node && node.getOpType() == "DequantizeLinear";
  };
  bool codes = conv.getOpType() == "CodeConv" || isDequantized(conv->getOperand(0));
  if (isDequantized(weights))
    weights = weights.getDefiningOp()->getOperand(0);
  return {cast<RankedTensorType>(weights.getType()), codes};
}

/// A row for each convolution: those that multiply codes, and those that are left in float.
static llvm::json::Array convolutionsOf(const Compilation &c) {
  llvm::json::Array rows;
  ModuleOp module = *c.module;
  module.walk([&](onnx::NodeOp op) {
    bool isOwn = op.getDomain() == "qcc" && (op.getOpType() == "CodeConv" || op.getOpType() == "Winograd");
    if (!isOwn && !(op.getDomain().empty() && (op.getOpType() == "Conv" || op.getOpType() == "ConvTranspose")))
      return;
    auto [weights, codes] = weightsOf(op);
    bool products = op.getOpType() == "CodeConv";
    llvm::json::Object instructions;
    for (const TargetCode &code : c.code)
      instructions[code.facts.name] = multiplyInstruction(code.facts, products ? "int8" : "f32");
    int64_t bits = weights.getElementTypeBitWidth();
    rows.push_back(llvm::json::Object{{"node", nodeName(op.getLoc())},
                                      {"operator", op.getOpType()},
                                      {"format", codes ? "int8" : "float" + std::to_string(bits)},
                                      {"bytes", weights.hasStaticShape() ? weights.getNumElements() * bits / 8 : 0},
                                      {"act", codes ? "int8-static" : "f" + std::to_string(bits)},
                                      {"instructions", std::move(instructions)}});
  });
  return rows;
}

/// A row for each state that the session keeps.
static llvm::json::Array cachesOf(const Compilation &c) {
  llvm::json::Array rows;
  auto main = c.module.get().lookupSymbol<func::FuncOp>("main");
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    if (!main.getArgAttr(i, stateAttr))
      continue;
    auto storage = stateStorage(main, i);
    if (failed(storage))
      continue;
    SmallVector<Dim> dims = dimsOf(main.getArgumentTypes()[i]);
    int64_t axis = main.getArgAttrOfType<IntegerAttr>(i, stateAxisAttr).getInt();
    int64_t size = constantOf(dims.back()).value_or(1);
    int64_t bytes = storage->layout ? storage->layout->bytes() : size * storageBytes(storage->element);
    double bits = 8.0 * double(bytes) / double(size);
    for (auto [at, dim] : llvm::enumerate(ArrayRef(dims).drop_back())) // of one entry of a batch
      bytes *= int64_t(at) == axis ? 1 : constantOf(dim).value_or(1);
    std::string format = storage->format;
    if (format.empty())
      llvm::raw_string_ostream(format) << storage->element;
    auto name = main.getArgAttrOfType<StringAttr>(i, "onnx.name");
    rows.push_back(llvm::json::Object{{"input", name ? name.getValue() : ""},
                                      {"format", format},
                                      {"bytes_per_token", bytes},
                                      {"bits_per_value", std::round(1000 * bits) / 1000}});
  }
  return rows;
}

llvm::json::Object qcc::planOf(const Compilation &c) {
  llvm::json::Array targets, linears;
  for (const TargetCode &code : c.code) {
    llvm::json::Object row{{"name", code.facts.name}};
    if (!code.object.empty())
      row["code_bytes"] = int64_t(code.object.size());
    targets.push_back(std::move(row));
  }
  ModuleOp module = *c.module;
  module.walk([&](qnt::LinearOp linear) {
    auto weight = linear.getWeight().getDefiningOp<qnt::WeightOp>();
    auto format = findFormat(weight.getFormat());
    if (!format)
      return llvm::consumeError(format.takeError());
    auto type = cast<RankedTensorType>(weight.getResult().getType());
    PackedLayout layout = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1));
    int64_t bytes = layout.bytes();
    llvm::json::Object instructions;
    for (const TargetCode &code : c.code)
      instructions[code.facts.name] = multiplyInstruction(code.facts, linear.getAct(), &layout);
    llvm::json::Object row{
        {"node", nodeName(linear.getLoc())},
        {"outputs", type.getDimSize(0)},
        {"inputs", type.getDimSize(1)},
        {"format", format->name},
        {"bits_per_weight", std::round(8000.0 * double(bytes) / double(type.getNumElements())) / 1000},
        {"bytes", bytes},
        {"act", linear.getAct()},
        {"method", methodName(linear, *format)},
        {"instructions", std::move(instructions)}};
    if (auto harm = linear->getAttrOfType<FloatAttr>(harmAttr))
      row["harm"] = harm.getValueAsDouble();
    for (auto [attr, key] :
         {std::pair(measuredTimeAttr, "measured_nanoseconds"), std::pair(estimatedTimeAttr, "estimated_nanoseconds")})
      if (auto time = linear->getAttrOfType<IntegerAttr>(attr))
        row[key] = time.getInt();
    linears.push_back(std::move(row));
  });
  return llvm::json::Object{{"targets", std::move(targets)},
                            {"weights_bytes", c.weights.totalBytes()},
                            {"linears", std::move(linears)},
                            {"convolutions", convolutionsOf(c)},
                            {"caches", cachesOf(c)}};
}

FailureOr<llvm::json::Object> qcc::wholePlan(Compilation &c) {
  if (c.code.empty() || c.code.front().object.empty())
    return planOf(c);
  FailureOr<int64_t> bytes = c.artifactBytes();
  FailureOr<MemoryNeed> need = memoryNeed(c, c.code.front());
  if (failed(bytes) || failed(need))
    return failure();
  llvm::json::Object plan = planOf(c), lengths;
  plan["artifact_bytes"] = *bytes;
  for (const auto &[name, length] : need->lengths)
    lengths[name] = length;
  int64_t parts[] = {c.weights.totalBytes(), need->arena, need->states, need->inputs, need->outputs}, sum = 0;
  StringRef names[] = {"weights_bytes", "arena_bytes", "states_bytes", "inputs_bytes", "outputs_bytes"};
  llvm::json::Object memory;
  for (auto [name, part] : llvm::zip(names, parts)) {
    memory[name] = part < 0 ? llvm::json::Value(nullptr) : llvm::json::Value(part);
    sum = sum < 0 || part < 0 ? -1 : sum + part;
  }
  memory["peak_bytes"] = sum < 0 ? llvm::json::Value(nullptr) : llvm::json::Value(sum);
  memory["lengths"] = std::move(lengths);
  plan["memory"] = std::move(memory);
  return plan;
}

static void printMemory(llvm::raw_ostream &os, const llvm::json::Object &memory) {
  std::string at;
  for (const auto &[name, length] : *memory.getObject("lengths"))
    at += (at.empty() ? " with " : ", ") + name.str() + "=" + std::to_string(*length.getAsInteger());
  os << "memory of a run" << at << ": ";
  if (auto peak = memory.getInteger("peak_bytes"))
    os << *peak << " bytes (";
  else
    os << "known while it runs (";
  StringRef separator = "";
  for (StringRef part : {"weights", "arena", "states", "inputs", "outputs"}) {
    os << separator << part << " ";
    if (auto bytes = memory.getInteger((part + "_bytes").str()))
      os << *bytes;
    else
      os << "unknown";
    separator = ", ";
  }
  os << ")\n";
}

/// A line for each format that caches have.
static void printCaches(llvm::raw_ostream &os, const llvm::json::Array &rows) {
  std::map<std::string, std::pair<int64_t, int64_t>> formats; // how many states, and their bytes
  for (const llvm::json::Value &entry : rows) {
    auto &[states, bytes] = formats[entry.getAsObject()->getString("format")->str()];
    ++states, bytes += *entry.getAsObject()->getInteger("bytes_per_token");
  }
  for (const auto &[format, sums] : formats)
    os << "caches: " << format << " in " << sums.first << " states, " << sums.second << " bytes a token\n";
}

static std::string left(StringRef node) {
  std::string text = node.size() > 42 ? "..." + node.take_back(39).str() : node.str();
  return text + std::string(43 - text.size(), ' ');
}

static void printInstructions(llvm::raw_ostream &os, const llvm::json::Object &row) {
  for (const auto &[target, instruction] : *row.getObject("instructions"))
    os << *instruction.getAsString() << " (" << target.str() << ") ";
  os << "\n";
}

/// What the formats were chosen by.
static void printChoice(llvm::raw_ostream &os, const llvm::json::Array &linears) {
  std::optional<double> harm;
  for (const llvm::json::Value &entry : linears)
    if (auto own = entry.getAsObject()->getNumber("harm"))
      harm = harm.value_or(0) + *own;
  if (harm)
    os << llvm::format("harm of the chosen formats, as estimated: %.4g\n", *harm);
  for (StringRef kind : {"measured", "estimated"}) {
    int64_t sum = 0;
    for (const llvm::json::Value &entry : linears)
      sum += entry.getAsObject()->getInteger((kind + "_nanoseconds").str()).value_or(0);
    if (sum > 0)
      os << "time of linear operations for a token, " << kind << llvm::format(": %.3f ms\n", double(sum) * 1e-6);
  }
}

void qcc::printPlan(llvm::raw_ostream &os, const llvm::json::Object &all) {
  os << "node                                        outputs   inputs  format          bits   act   method        MB   "
        "     "
        "instruction\n";
  for (const llvm::json::Value &entry : *all.getArray("linears")) {
    const llvm::json::Object &row = *entry.getAsObject();
    os << left(*row.getString("node"))
       << llvm::format("%8lld %8lld  ", (long long)*row.getInteger("outputs"), (long long)*row.getInteger("inputs"))
       << llvm::left_justify(*row.getString("format"), 15) << llvm::format("%6.3f  ", *row.getNumber("bits_per_weight"))
       << llvm::left_justify(*row.getString("act"), 6) << llvm::left_justify(*row.getString("method"), 12)
       << llvm::format("%9.3f  ", double(*row.getInteger("bytes")) / 1e6);
    printInstructions(os, row);
  }
  for (const llvm::json::Value &entry : *all.getArray("convolutions")) {
    const llvm::json::Object &row = *entry.getAsObject();
    os << left(*row.getString("node")) << llvm::left_justify(*row.getString("operator"), 19)
       << llvm::left_justify(*row.getString("format"), 23) << llvm::left_justify(*row.getString("act"), 18)
       << llvm::format("%9.3f  ", double(*row.getInteger("bytes")) / 1e6);
    printInstructions(os, row);
  }
  printChoice(os, *all.getArray("linears"));
  os << "weights: " << *all.getInteger("weights_bytes") << " bytes\n";
  printCaches(os, *all.getArray("caches"));
  for (const llvm::json::Value &entry : *all.getArray("targets")) {
    const llvm::json::Object &row = *entry.getAsObject();
    os << "code for " << *row.getString("name");
    if (auto bytes = row.getInteger("code_bytes"))
      os << ": " << *bytes << " bytes";
    os << "\n";
  }
  if (auto bytes = all.getInteger("artifact_bytes"))
    os << "artifact: " << *bytes << " bytes\n";
  if (const llvm::json::Object *memory = all.getObject("memory"))
    printMemory(os, *memory);
}
