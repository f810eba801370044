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

/// What is wrong with a value's type; empty when nothing is.
static std::string typeError(Type type, size_t symbols) {
  if (isa<NoneType>(type))
    return "";
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return "is of unknown rank after shape inference";
  auto map = dyn_cast_if_present<AffineMapAttr>(tensor.getEncoding());
  if (!map)
    return tensor.hasStaticShape() && !tensor.getEncoding() ? "" : "has dimensions without an expression";
  AffineMap dims = map.getValue();
  if (dims.getNumDims() != 0 || int64_t(dims.getNumResults()) != tensor.getRank())
    return "has a map of " + std::to_string(dims.getNumResults()) + " dimensions, but the rank " +
           std::to_string(tensor.getRank());
  if (dims.getNumSymbols() > symbols)
    return "has dimensions of " + std::to_string(dims.getNumSymbols()) + " symbols, but the program has " +
           std::to_string(symbols);
  return "";
}

LogicalResult qcc::checkTypes(ModuleOp module) {
  auto dims = Dimensions::load(module);
  if (failed(dims))
    return failure();
  size_t symbols = dims->symbols().size();
  auto main = module.lookupSymbol<func::FuncOp>("main");
  for (BlockArgument argument : main.getArguments())
    if (std::string error = typeError(argument.getType(), symbols); !error.empty())
      return emitError(argument.getLoc()) << "input " << argument.getArgNumber() << " " << error;
  WalkResult result = main.walk([&](onnx::NodeOp node) {
    for (Value value : node->getResults())
      if (std::string error = typeError(value.getType(), symbols); !error.empty()) {
        emitError(node->getLoc()) << "the result of " << node.getOpType() << " " << error;
        return WalkResult::interrupt();
      }
    return WalkResult::advance();
  });
  return success(!result.wasInterrupted());
}
