#include "qcc/Pipeline/Plan.h"
#include "MemoryNeed.h"
#include "dialects/qnt/Qnt.h"
#include "qcc/Calibration/Methods.h"
#include "qcc/Pack/PackedLayout.h"
#include "qcc/Target/Linear.h"
#include "llvm/Support/Format.h"
#include <cmath>

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
    int64_t bytes = PackedLayout::of(*format, type.getDimSize(0), type.getDimSize(1)).bytes();
    bool integer = linear.getAct().starts_with("int8");
    llvm::json::Object instructions;
    for (const TargetCode &code : c.code)
      instructions[code.facts.name] = multiplyInstruction(code.facts, integer);
    linears.push_back(llvm::json::Object{
        {"node", nodeName(linear.getLoc())},
        {"outputs", type.getDimSize(0)},
        {"inputs", type.getDimSize(1)},
        {"format", format->name},
        {"bits_per_weight", std::round(8000.0 * double(bytes) / double(type.getNumElements())) / 1000},
        {"bytes", bytes},
        {"act", linear.getAct()},
        {"method", methodName(linear, *format)},
        {"instructions", std::move(instructions)}});
  });
  return llvm::json::Object{
      {"targets", std::move(targets)}, {"weights_bytes", c.weights.totalBytes()}, {"linears", std::move(linears)}};
}

FailureOr<llvm::json::Object> qcc::wholePlan(Compilation &c) {
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

void qcc::printPlan(llvm::raw_ostream &os, const llvm::json::Object &all) {
  os << "node                                        outputs   inputs  format          bits   act   method        MB   "
        "     "
        "instruction\n";
  for (const llvm::json::Value &entry : *all.getArray("linears")) {
    const llvm::json::Object &row = *entry.getAsObject();
    StringRef node = *row.getString("node");
    os << llvm::left_justify(node.size() > 42 ? "..." + node.take_back(39).str() : node.str(), 43)
       << llvm::format("%8lld %8lld  ", (long long)*row.getInteger("outputs"), (long long)*row.getInteger("inputs"))
       << llvm::left_justify(*row.getString("format"), 15) << llvm::format("%6.3f  ", *row.getNumber("bits_per_weight"))
       << llvm::left_justify(*row.getString("act"), 6) << llvm::left_justify(*row.getString("method"), 12)
       << llvm::format("%9.3f  ", double(*row.getInteger("bytes")) / 1e6);
    for (const auto &[target, instruction] : *row.getObject("instructions"))
      os << *instruction.getAsString() << " (" << target.str() << ") ";
    os << "\n";
  }
  os << "weights: " << *all.getInteger("weights_bytes") << " bytes\n";
  for (const llvm::json::Value &entry : *all.getArray("targets")) {
    const llvm::json::Object &row = *entry.getAsObject();
    os << "code for " << *row.getString("name");
    if (auto bytes = row.getInteger("code_bytes"))
      os << ": " << *bytes << " bytes";
    os << "\n";
  }
  os << "artifact: " << *all.getInteger("artifact_bytes") << " bytes\n";
  printMemory(os, *all.getObject("memory"));
}
