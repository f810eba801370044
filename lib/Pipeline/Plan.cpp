#include "qcc/Pipeline/Plan.h"
#include "dialects/qnt/Qnt.h"
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

llvm::json::Value qcc::planOf(const Compilation &c) {
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
    bool integer = linear.getAct() == "int8";
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
        {"instructions", std::move(instructions)}});
  });
  return llvm::json::Object{
      {"targets", std::move(targets)}, {"weights_bytes", c.weights.totalBytes()}, {"linears", std::move(linears)}};
}

void qcc::printPlan(llvm::raw_ostream &os, const Compilation &c) {
  llvm::json::Value plan = planOf(c);
  const llvm::json::Object &all = *plan.getAsObject();
  os << "node                                        outputs   inputs  format        bits   act   MB        "
        "instruction\n";
  for (const llvm::json::Value &entry : *all.getArray("linears")) {
    const llvm::json::Object &row = *entry.getAsObject();
    StringRef node = *row.getString("node");
    os << llvm::left_justify(node.size() > 42 ? "..." + node.take_back(39).str() : node.str(), 43)
       << llvm::format("%8lld %8lld  ", (long long)*row.getInteger("outputs"), (long long)*row.getInteger("inputs"))
       << llvm::left_justify(*row.getString("format"), 13) << llvm::format("%6.3f  ", *row.getNumber("bits_per_weight"))
       << llvm::left_justify(*row.getString("act"), 5)
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
}
