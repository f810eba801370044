#include "qcc/Tile/ToLlvm.h"

using namespace mlir;
using namespace qcc;

/// The last operation of `block` that may touch what `pointer` points to, through every value that the pointer flows
/// into.
static void lastUse(Value pointer, Block &block, llvm::DenseMap<Operation *, int64_t> &order, int64_t &last,
                    llvm::DenseSet<Value> &seen) {
  if (!seen.insert(pointer).second)
    return;
  for (Operation *user : pointer.getUsers()) {
    for (Operation *op = user; op; op = op->getParentOp()) {
      if (op->getBlock() == &block) {
        last = std::max(last, order.lookup(op));
        break;
      }
    }
    // Control flow hands pointers on: to the results of the operation that a terminator ends, and to the arguments of
    // its regions.
    SmallVector<Value> onward(user->getResults());
    if (user->hasTrait<OpTrait::IsTerminator>() && user->getParentOp())
      onward.append(user->getParentOp()->result_begin(), user->getParentOp()->result_end());
    for (Operation *holder : {user, user->getParentOp()})
      if (holder && !isa<func::FuncOp>(holder))
        for (Region &region : holder->getRegions())
          for (Block &inner : region)
            onward.append(inner.args_begin(), inner.args_end());
    for (Value value : onward)
      if (isa<LLVM::LLVMPointerType>(value.getType()))
        lastUse(value, block, order, last, seen);
  }
}

SmallVector<SmallVector<Dim>> qcc::planMemory(func::FuncOp run) {
  Block &block = run.getBody().front();
  llvm::DenseMap<Operation *, int64_t> order;
  for (auto [i, op] : llvm::enumerate(block))
    order[&op] = i;
  struct Slot {
    SmallVector<Dim> sizes;
    int64_t freeAfter;
  };
  SmallVector<Slot> slots;
  for (Operation &op : block) {
    auto buffer = dyn_cast<tile::BufferOp>(op);
    if (!buffer || !buffer.getSize())
      continue;
    Dim size = buffer.getSizeAttr().getValue().getResult(0);
    int64_t from = order[&op], last = from;
    llvm::DenseSet<Value> seen;
    lastUse(buffer.getData(), block, order, last, seen);
    // A slot of the same size costs nothing; among constant sizes the closest one costs least.
    int best = -1;
    int64_t bestCost = INT64_MAX;
    auto constant = constantOf(size);
    for (auto [i, slot] : llvm::enumerate(slots)) {
      if (slot.freeAfter >= from)
        continue;
      int64_t cost = INT64_MAX - 1;
      if (llvm::is_contained(slot.sizes, size))
        cost = 0;
      else if (auto has = slot.sizes.size() == 1 ? constantOf(slot.sizes[0]) : std::nullopt; has && constant)
        cost = std::abs(*has - *constant);
      else if (has.has_value() != constant.has_value())
        continue; // a constant size and one that depends on the inputs do not help each other
      if (cost < bestCost)
        best = i, bestCost = cost;
    }
    if (best < 0) {
      best = slots.size();
      slots.push_back({{size}, last});
    }
    Slot &slot = slots[best];
    slot.freeAfter = last;
    if (auto has = constantOf(slot.sizes[0]); has && constant)
      slot.sizes[0] = *has > *constant ? slot.sizes[0] : size;
    else if (!llvm::is_contained(slot.sizes, size))
      slot.sizes.push_back(size);
    buffer.setSlot(best);
  }
  SmallVector<SmallVector<Dim>> sizes;
  for (Slot &slot : slots)
    sizes.push_back(std::move(slot.sizes));
  return sizes;
}
