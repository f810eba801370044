#include "MemoryNeed.h"
#include "Signature.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qcc/Tile/Numbers.h"
#include "qcc/Tile/StateStorage.h"
#include "qcc/Tile/ToLlvm.h"

using namespace mlir;
using namespace qcc;

FailureOr<MemoryNeed> qcc::memoryNeed(const Compilation &c, const TargetCode &code) {
  auto dims = Dimensions::load(*code.module);
  if (failed(dims))
    return failure();
  MemoryNeed need;
  ModuleOp source = *c.module;
  // A state is counted as if it had room for what it holds.
  llvm::DenseMap<Dim, Dim> capacities;
  for (const ProgramSignature::State &state : signatureOf(source).states)
    capacities[state.capacity] = state.lengthAfter;
  auto lengthAfter = [&](unsigned symbol) {
    return capacities.lookup(getAffineSymbolExpr(symbol, code.module.get()->getContext()));
  };
  for (auto [i, symbol] : llvm::enumerate(dims->symbols()))
    if (symbol.kind == Dimensions::Kind::Input && !lengthAfter(i))
      need.lengths[symbol.name] = 1;
  for (const auto &[name, length] : c.options.lengths) {
    if (!need.lengths.count(name)) {
      std::string known;
      for (const auto &[other, one] : need.lengths)
        known += (known.empty() ? "" : ", ") + other;
      return emitError(source.getLoc()) << "no dimension is named '" << name << "'; the model's are: " << known;
    }
    need.lengths[name] = length;
  }
  std::function<std::optional<int64_t>(unsigned)> bound = [&](unsigned symbol) -> std::optional<int64_t> {
    if (Dim after = lengthAfter(symbol))
      return dims->evaluate(after, bound);
    return need.lengths.at(dims->symbols()[symbol].name);
  };
  auto add = [](int64_t &sum, std::optional<int64_t> bytes) {
    sum = sum < 0 || !bytes || *bytes < 0 ? -1 : sum + *bytes;
  };
  auto elementOf = [](Type type) { return cast<RankedTensorType>(type).getElementType(); };
  auto bytesOf = [&](Type type, int64_t each) -> std::optional<int64_t> {
    auto count = dims->evaluate(dims->product(dimsOf(type)), bound);
    return count ? std::optional(*count * each) : std::nullopt;
  };
  if (auto slots = code.module.get()->getAttrOfType<ArrayAttr>(slotsAttr))
    for (auto slot : slots.getAsRange<AffineMapAttr>()) {
      std::optional<int64_t> largest = 0;
      for (Dim size : slot.getValue().getResults())
        if (auto bytes = dims->evaluate(size, bound); bytes && largest)
          largest = std::max(*largest, *bytes);
        else
          largest = std::nullopt;
      add(need.arena, largest ? std::optional(int64_t(llvm::alignTo(*largest, 64))) : std::nullopt);
    }
  auto main = source.lookupSymbol<func::FuncOp>("main");
  llvm::DenseMap<Attribute, StateStorage> storages;
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes()))
    if (Attribute state = main.getArgAttr(i, stateAttr)) {
      auto storage = stateStorage(main, i);
      if (failed(storage))
        return failure();
      storages[state] = *storage;
    } else {
      add(need.inputs, bytesOf(type, storageBytes(elementOf(type))));
    }
  for (auto [i, type] : llvm::enumerate(main.getResultTypes())) {
    Attribute state = main.getResultAttr(i, stateAttr);
    if (!state) {
      add(need.outputs, bytesOf(type, storageBytes(elementOf(type))));
      continue;
    }
    const StateStorage &storage = storages.find(state)->second;
    SmallVector<Dim> shape = dimsOf(type);
    if (storage.layout)
      shape.back() = dims->constant(storage.layout->bytes());
    add(need.states, bytesOf(dims->tensor(shape, storage.element), storageBytes(storage.element)));
  }
  return need;
}
