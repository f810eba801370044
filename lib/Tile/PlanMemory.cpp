#include "qcc/Tile/ToLlvm.h"

using namespace mlir;
using namespace qcc;

namespace {
/// Positions of operations in program order, and how long what a buffer holds is needed.
class Lives {
public:
  explicit Lives(func::FuncOp run) {
    run.walk<WalkOrder::PreOrder>([&](Operation *op) {
      order[op] = int64_t(order.size());
      for (Operation *holder = op; holder; holder = holder->getParentOp())
        end[holder] = order[op];
    });
  }

  int64_t start(Operation *op) const { return order.lookup(op); }
  /// The last position that may touch what the buffer holds.
  int64_t last(tile::BufferOp buffer) {
    result = start(buffer);
    seen.clear();
    follow(buffer.getData(), buffer->getBlock());
    return result;
  }

private:
  /// Goes through every value that the pointer flows into.
  void follow(Value pointer, Block *home) {
    if (!seen.insert(pointer).second)
      return;
    for (Operation *user : pointer.getUsers()) {
      // A loop that the buffer is not made in uses it until it ends.
      for (Operation *op = user; op; op = op->getParentOp())
        if (Region *region = op->getParentRegion(); region && region->isAncestor(home->getParent())) {
          result = std::max(result, end.lookup(op));
          break;
        }
      for (Value value : qcc::reachedThrough(user))
        follow(value, home);
    }
  }

  llvm::DenseMap<Operation *, int64_t> order, end;
  llvm::DenseSet<Value> seen;
  int64_t result = 0;
};
} // namespace

SmallVector<Value> qcc::reachedThrough(Operation *user) {
  // Control flow hands pointers on: to the results of the operation that a terminator ends, and to the arguments of
  // its regions.
  SmallVector<Value> all(user->getResults());
  if (user->hasTrait<OpTrait::IsTerminator>() && user->getParentOp())
    all.append(user->getParentOp()->result_begin(), user->getParentOp()->result_end());
  for (Operation *holder : {user, user->getParentOp()})
    if (holder && !isa<func::FuncOp>(holder))
      for (Region &region : holder->getRegions())
        for (Block &inner : region)
          all.append(inner.args_begin(), inner.args_end());
  llvm::erase_if(all, [](Value value) { return !isa<LLVM::LLVMPointerType>(value.getType()); });
  return all;
}

bool qcc::outlivesIteration(tile::BufferOp buffer) {
  llvm::DenseSet<Value> seen;
  std::function<bool(Value)> escapes = [&](Value pointer) {
    if (!seen.insert(pointer).second)
      return false;
    for (Operation *user : pointer.getUsers()) {
      if (user->hasTrait<OpTrait::IsTerminator>() && isa<scf::ForOp, scf::WhileOp>(user->getParentOp()) &&
          user->getParentOp()->isAncestor(buffer))
        return true;
      if (llvm::any_of(reachedThrough(user), escapes))
        return true;
    }
    return false;
  };
  return escapes(buffer.getData());
}

bool qcc::isRepeated(Operation *op) {
  for (Operation *holder = op->getParentOp(); holder; holder = holder->getParentOp())
    if (isa<scf::ForOp, scf::WhileOp>(holder))
      return true;
  return false;
}

SmallVector<SmallVector<Dim>> qcc::planMemory(func::FuncOp run) {
  Lives lives(run);
  struct Slot {
    SmallVector<Dim> sizes;
    int64_t freeAfter;
  };
  SmallVector<Slot> slots;
  SmallVector<tile::BufferOp> buffers;
  run.walk<WalkOrder::PreOrder>([&](tile::BufferOp buffer) {
    if (buffer.getSize() && !(isRepeated(buffer) && outlivesIteration(buffer)))
      buffers.push_back(buffer);
  });
  for (tile::BufferOp buffer : buffers) {
    Dim size = buffer.getSizeAttr().getValue().getResult(0);
    int64_t from = lives.start(buffer), last = lives.last(buffer);
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
