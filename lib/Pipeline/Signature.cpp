#include "Signature.h"
#include "Provenance.h"
#include "StateFiles.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Pipeline/Plan.h"
#include "qcc/Tile/StateStorage.h"

using namespace mlir;
using namespace qcc;

DataType qcc::dataType(Type element) {
  if (auto integer = dyn_cast<IntegerType>(element)) {
    if (integer.getWidth() == 1)
      return DataType::Bool;
    std::string name = (integer.isUnsigned() ? "u" : "i") + std::to_string(integer.getWidth());
    return *parseDataType(name);
  }
  std::string name;
  llvm::raw_string_ostream(name) << element;
  return *parseDataType(name);
}

/// A dimension as people read it: a number, or an expression of the symbols' names.
static std::string text(Dim dim, const Dimensions &dims) {
  if (auto value = constantOf(dim))
    return std::to_string(*value);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(dim)) {
    const Dimensions::Symbol &entry = dims.symbols()[symbol.getPosition()];
    return entry.name.empty() || entry.kind != Dimensions::Kind::Input ? "s" + std::to_string(symbol.getPosition())
                                                                       : entry.name;
  }
  auto binary = cast<AffineBinaryOpExpr>(dim);
  const char *operation = "";
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return text(binary.getLHS(), dims) + " + " + text(binary.getRHS(), dims);
  case AffineExprKind::Mul:
    operation = " * ";
    break;
  case AffineExprKind::FloorDiv:
    operation = " / ";
    break;
  case AffineExprKind::CeilDiv:
    operation = " ceildiv ";
    break;
  default:
    operation = " mod ";
    break;
  }
  auto inner = [&](Dim part) {
    return isa<AffineBinaryOpExpr>(part) ? "(" + text(part, dims) + ")" : text(part, dims);
  };
  return inner(binary.getLHS()) + operation + inner(binary.getRHS());
}

static Manifest::Value valueOf(StringAttr name, Type type, const Dimensions &dims) {
  Manifest::Value value{name ? name.str() : "", dataType(cast<RankedTensorType>(type).getElementType()), {}};
  for (Dim dim : dimsOf(type)) {
    if (auto constant = constantOf(dim))
      value.dims.emplace_back(*constant);
    else
      value.dims.emplace_back(text(dim, dims));
  }
  return value;
}

/// The result of `main` that extends the state which argument `i` is.
static unsigned stateResult(func::FuncOp main, unsigned i) {
  unsigned result = 0;
  while (main.getResultAttr(result, stateAttr) != main.getArgAttr(i, stateAttr))
    ++result;
  return result;
}

ProgramSignature qcc::signatureOf(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  ProgramSignature signature;
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes())) {
    if (!main.getArgAttr(i, stateAttr)) {
      signature.inputs.push_back(dimsOf(type));
      continue;
    }
    Type after = main.getResultTypes()[stateResult(main, i)];
    auto capacity = main.getArgAttrOfType<AffineMapAttr>(i, capacityAttr);
    int64_t axis = main.getArgAttrOfType<IntegerAttr>(i, stateAxisAttr).getInt();
    signature.states.push_back({dimsOf(type)[axis], dimsOf(after)[axis], capacity.getValue().getResult(0)});
  }
  signature.outputs = main.getNumResults() - signature.states.size();
  return signature;
}

LogicalResult qcc::describeBorder(ModuleOp module, Manifest &manifest) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto dims = Dimensions::load(module);
  if (failed(dims))
    return failure();
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes())) {
    Manifest::Value value = valueOf(main.getArgAttrOfType<StringAttr>(i, "onnx.name"), type, *dims);
    if (main.getArgAttr(i, stateAttr)) {
      auto output = main.getResultAttrOfType<StringAttr>(stateResult(main, i), "onnx.name");
      int64_t axis = main.getArgAttrOfType<IntegerAttr>(i, stateAxisAttr).getInt();
      auto storage = stateStorage(main, i);
      if (failed(storage))
        return failure();
      value.type = dataType(storage->element);
      if (storage->layout)
        value.dims.back() = Manifest::Dim(storage->layout->bytes());
      manifest.states.push_back({value.name, output.str(), value.type, value.dims, axis, storage->format});
    } else {
      manifest.inputs.push_back(value);
    }
  }
  for (auto [i, type] : llvm::enumerate(main.getResultTypes()))
    if (!main.getResultAttr(i, stateAttr))
      manifest.outputs.push_back(valueOf(main.getResultAttrOfType<StringAttr>(i, "onnx.name"), type, *dims));
  return success();
}

LogicalResult qcc::fillManifest(Compilation &c) {
  Manifest &manifest = c.manifest;
  if (failed(describeBorder(*c.module, manifest)))
    return failure();
  manifest.qccVersion = QCC_VERSION;
  if (auto name = c.module.get()->getAttrOfType<StringAttr>(modelNameAttr))
    manifest.modelName = name.str();
  describeProvenance(*c.module, manifest);
  // The most demanding target first: the runtime takes the first one that the machine can run.
  auto demands = [](const TargetFacts &facts) {
    return std::tuple(facts.features.size(), facts.device ? facts.device->capability : 0,
                      facts.device && facts.device->isSpecific());
  };
  llvm::stable_sort(c.code,
                    [&](const TargetCode &a, const TargetCode &b) { return demands(a.facts) > demands(b.facts); });
  for (TargetCode &code : c.code) {
    Manifest::Target target{code.facts.name, code.facts.features, "code/" + code.facts.name + ".so"};
    if (code.facts.device)
      target.device = {"cuda", {{code.facts.device->architecture, "ptx", "code/" + code.facts.name + ".ptx"}}};
    manifest.targets.push_back(std::move(target));
    if (code.nodes.size() > manifest.nodes.size())
      manifest.nodes = code.nodes;
  }
  llvm::raw_string_ostream(manifest.plan) << llvm::json::Value(planOf(c));
  return success();
}
