#include "RunFunction.h"
#include "qcc/Runtime/Abi.h"
#include <cstddef>

using namespace mlir;
using namespace qcc;

/// Storage in a loop: that of the iteration before, while it is large enough. Every thread remembers its address and
/// size.
Value RunFunction::reuse(Value bytes) {
  Value memory, room;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(prologueEnd);
    memory = LLVM::AllocaOp::create(b, ptr, ptr, c(1), 8);
    room = LLVM::AllocaOp::create(b, ptr, i64, c(1), 8);
    store(c(-1), room);
  }
  Value has = load(i64, room);
  bytes = arith::MaxSIOp::create(b, bytes, c(0));
  when(is(arith::CmpIPredicate::slt, has, bytes), [&] {
    Value more = arith::MaxSIOp::create(b, bytes, arith::AddIOp::create(b, has, has)); // grows by doubling
    store(allocate(more), memory);
    store(more, room);
  });
  return load(ptr, memory);
}

void RunFunction::callOutput(tile::OutputOp op) {
  for (auto [i, dim] : llvm::enumerate(op.getDims()))
    store(dim, at(dimsArray, int64_t(8 * i)));
  callThrough(frame, offsetof(qcc_frame, output), ptr, {frame, c(op.getIndex()), dimsArray});
}

Value RunFunction::loadInteger(Value address, Type element) {
  Type storage = storageType(element);
  Value value = LLVM::LoadOp::create(b, storage, address, storageBytes(element));
  if (storage.getIntOrFloatBitWidth() < 64)
    value = isUnsigned(element) ? Value(arith::ExtUIOp::create(b, i64, value))
                                : Value(arith::ExtSIOp::create(b, i64, value));
  return value;
}

Value RunFunction::convert(Operation *op) {
  b.setInsertionPoint(op);
  b.setLoc(op->getLoc());
  auto entry = [&](size_t offset, int64_t i) { return load(ptr, at(field(offset), 8 * i)); };
  if (auto symbol = dyn_cast<tile::SymbolOp>(op))
    return load(i64, at(field(offsetof(qcc_frame, table)), 8 * (table.symbols + symbol.getIndex())));
  if (auto input = dyn_cast<tile::InputOp>(op))
    return entry(offsetof(qcc_frame, inputs), input.getIndex());
  if (auto state = dyn_cast<tile::StateOp>(op))
    return entry(offsetof(qcc_frame, states), state.getIndex());
  if (auto weight = dyn_cast<tile::WeightOp>(op))
    return at(field(offsetof(qcc_frame, weights)), c(weight.getOffset()));
  if (isa<tile::ErrorOp>(op))
    return error();
  if (auto part = dyn_cast<tile::ThreadScratchOp>(op))
    return scratch(part);
  if (auto buffer = dyn_cast<tile::BufferOp>(op)) {
    if (buffer.getSlot())
      return at(field(offsetof(qcc_frame, arena)),
                load(i64, at(field(offsetof(qcc_frame, table)), 8 * (table.slots + int64_t(*buffer.getSlot())))));
    if (!isRepeated(op) || outlivesIteration(buffer))
      return allocate(buffer.getBytes());
    return reuse(buffer.getBytes());
  }
  if (auto readOp = dyn_cast<tile::ReadOp>(op))
    return read(readOp);
  if (auto output = dyn_cast<tile::OutputOp>(op))
    makeOutput(output);
  else if (auto requireOp = dyn_cast<tile::RequireOp>(op))
    require(requireOp);
  else
    launch(cast<tile::LaunchOp>(op));
  return {};
}

void RunFunction::write(func::FuncOp source) {
  int64_t rank = 1;
  source.walk([&](tile::OutputOp output) { rank = std::max<int64_t>(rank, output.getDims().size()); });
  auto run = begin(module, "run_program", LLVM::LLVMVoidType::get(b.getContext()), {ptr, i64});
  frame = run.getArgument(0), thread = run.getArgument(1);
  dimsArray = LLVM::AllocaOp::create(b, ptr, i64, c(rank), 8);
  prologue(source);
  Block *body = &source.getBody().front();
  Operation *end = body->getTerminator();
  Block &entry = run.getBody().front();
  prologueEnd = &entry.back();
  entry.getOperations().splice(entry.end(), body->getOperations(), body->begin(), end->getIterator());
  source.erase();
  SmallVector<Operation *> operations;
  run.walk([&](Operation *op) {
    if (isa<tile::TileDialect>(op->getDialect()))
      operations.push_back(op);
  });
  for (Operation *op : operations) {
    Value result = convert(op);
    if (auto output = dyn_cast<tile::OutputOp>(op))
      for (OpOperand &use : llvm::make_early_inc_range(output.getData().getUses())) {
        b.setInsertionPoint(use.getOwner());
        Value outputs = field(offsetof(qcc_frame, outputs));
        use.set(load(ptr, at(outputs, 8 * int64_t(output.getIndex()))));
      }
    else if (result)
      op->getResult(0).replaceAllUsesWith(result);
    op->erase();
  }
  b.setInsertionPointToEnd(&entry);
  LLVM::ReturnOp::create(b, ValueRange{});
}
