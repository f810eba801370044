#include "Match.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Canonicalize/Raise.h"
#include "llvm/ADT/Hashing.h"

using namespace mlir;
using namespace qcc;

static constexpr size_t comparedBytes = 1 << 12; // constants up to this size are equal when their bytes are

/// Whether two runs of the node give the same, and nothing else hangs on its being run.
static bool isPure(onnx::NodeOp node) {
  if (node->getNumRegions() || node.getDefines() || isRandom(node))
    return false;
  std::optional<DictionaryAttr> resolved = node.getResolved();
  return !resolved || !resolved->contains("counts"); // lengths that its run tells are its own
}

namespace {
/// What an operation computes. Operands that are left out are null.
struct Computation {
  SmallVector<Attribute> attributes;
  SmallVector<Value> operands;
  SmallVector<Type> results;
  ArrayRef<char> bytes; // of a small constant, instead of its data's attribute

  bool operator==(const Computation &other) const {
    return attributes == other.attributes && operands == other.operands && results == other.results &&
           bytes == other.bytes;
  }
  size_t hash() const {
    return llvm::hash_combine(llvm::hash_combine_range(attributes), llvm::hash_combine_range(operands),
                              llvm::hash_combine_range(results), llvm::hash_combine_range(bytes));
  }
};
} // namespace

static std::optional<Computation> computationOf(Operation &op) {
  Computation c;
  c.results = llvm::to_vector(op.getResultTypes());
  if (auto weight = dyn_cast<onnx::WeightOp>(op)) {
    auto tensor = constantOf(weight.getResult());
    if (tensor && !tensor->owner && tensor->bytes.size() <= comparedBytes)
      c.bytes = tensor->bytes;
    else
      c.attributes = {weight.getData()};
    return c;
  }
  auto node = dyn_cast<onnx::NodeOp>(op);
  if (!node || !isPure(node))
    return std::nullopt;
  c.attributes = {node.getDomainAttr(), node.getOpTypeAttr(), node.getVersionAttr(), node.getAttrs(),
                  node.getResolved().value_or(DictionaryAttr())};
  for (Value operand : op.getOperands())
    c.operands.push_back(isa<NoneType>(operand.getType()) ? Value() : operand);
  return c;
}

static void mergeIn(Block &block) {
  std::unordered_multimap<size_t, std::pair<Computation, Operation *>> seen;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto computation = computationOf(op);
    if (!computation)
      continue;
    size_t key = computation->hash();
    auto [begin, end] = seen.equal_range(key);
    auto found = std::find_if(begin, end, [&](const auto &entry) { return entry.second.first == *computation; });
    if (found == end) {
      seen.emplace(key, std::pair(*computation, &op));
      continue;
    }
    op.replaceAllUsesWith(found->second.second->getResults());
    op.erase();
  }
}

void qcc::mergeEqual(ModuleOp module) {
  module.walk([](Block *block) {
    if (!isa<ModuleOp>(block->getParentOp()))
      mergeIn(*block);
  });
}
