#include "dialects/onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Canonicalize.h"
#include "qcc/Operator/Registry.h"
#include <map>

using namespace mlir;
using namespace qcc;

LogicalResult qcc::checkOperators(ModuleOp module) {
  std::map<std::string, SmallVector<std::string>> missing;
  std::optional<Location> first;
  module.walk([&](onnx::NodeOp node) {
    if (OperatorRegistry::get().find(node))
      return;
    std::string type = (node.getDomain().empty() ? "" : node.getDomain() + ".").str() + node.getOpType().str();
    auto name = dyn_cast<NameLoc>(node->getLoc());
    missing[type].push_back(name ? name.getName().str() : "unnamed");
    if (!first)
      first = node->getLoc();
  });
  if (missing.empty())
    return success();
  constexpr size_t shownNames = 4;
  InFlightDiagnostic error = emitError(*first);
  error << "the model has operators that qcc cannot compile:";
  for (const auto &[type, names] : missing) {
    error << "\n  " << type << ": " << names.size() << (names.size() == 1 ? " node (" : " nodes (");
    for (size_t i = 0; i < std::min(names.size(), shownNames); ++i)
      error << (i ? ", " : "") << "'" << names[i] << "'";
    error << (names.size() > shownNames ? ", ...)" : ")");
  }
  error << "\n  export the model without them, or with a newer operator set that expresses them by other operators";
  return failure();
}

LogicalResult qcc::inferShapes(ModuleOp module) {
  auto dims = Dimensions::load(module);
  if (failed(dims))
    return failure();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  InferState state(*dims);
  if (failed(inferBlock(main.getBody().front(), state)))
    return failure();
  auto results = main.getBody().front().getTerminator()->getOperandTypes();
  for (auto [i, type] : llvm::enumerate(results))
    if (!isa<RankedTensorType>(type))
      return main.emitError("output ") << main.getResultAttrOfType<StringAttr>(i, "onnx.name")
                                       << " is no tensor of known rank";
  main.setFunctionType(
      FunctionType::get(module.getContext(), main.getFunctionType().getInputs(), SmallVector<Type>(results)));
  dims->store(module);
  return success();
}
