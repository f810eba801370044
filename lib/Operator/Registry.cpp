#include "qcc/Operator/Registry.h"
#include "qcc/Operator/Families.h"

using namespace qcc;

const OperatorRegistry &OperatorRegistry::get() {
  static const OperatorRegistry registry = [] {
    OperatorRegistry result;
    registerAttention(result);
    registerContraction(result);
    registerControl(result);
    registerConvolution(result);
    registerElementwise(result);
    registerImage(result);
    registerMovement(result);
    registerNormalization(result);
    registerQuantization(result);
    registerRecurrent(result);
    registerReduction(result);
    return result;
  }();
  return registry;
}

static std::string key(llvm::StringRef domain, llvm::StringRef type) { return (domain + "/" + type).str(); }

const Operator *OperatorRegistry::find(llvm::StringRef domain, llvm::StringRef type) const {
  auto it = table.find(key(domain, type));
  return it == table.end() ? nullptr : &it->second;
}

void OperatorRegistry::add(Operator op) {
  std::string name = key(op.domain, op.type);
  bool fresh = table.try_emplace(name, std::move(op)).second;
  if (!fresh)
    llvm::report_fatal_error(llvm::Twine("operator registered twice: ") + name);
}

void OperatorRegistry::add(llvm::StringRef domain, llvm::StringRef type,
                           std::function<mlir::LogicalResult(Infer &)> infer,
                           std::function<mlir::LogicalResult(const Node &, Lowering &)> lower, bool acceptsEpilogue) {
  Operator op;
  op.domain = domain, op.type = type;
  op.infer = std::move(infer), op.lower = std::move(lower);
  op.acceptsEpilogue = acceptsEpilogue;
  add(std::move(op));
}

llvm::SmallVector<const Operator *> OperatorRegistry::all() const {
  llvm::SmallVector<const Operator *> result;
  for (const auto &entry : table)
    result.push_back(&entry.getValue());
  llvm::sort(result, [](const Operator *a, const Operator *b) {
    return std::tie(a->domain, a->type) < std::tie(b->domain, b->type);
  });
  return result;
}
