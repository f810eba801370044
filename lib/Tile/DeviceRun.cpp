// Programs for a device: the host starts kernels, each thread (or block of threads) of which computes one unit.
#include "RunFunction.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "qcc/Runtime/Abi.h"
#include "llvm/ADT/StringSet.h"
#include <cstddef>

using namespace mlir;
using namespace qcc;

static constexpr int64_t threadsOfUnits = 128; // of a block whose threads compute a unit each

namespace {
/// The kernels of a program, which become entries of a module of their own.
class DeviceKernels : HostFunction {
public:
  explicit DeviceKernels(ModuleOp host);

  /// The kernel's number in the table.
  int64_t number(StringRef name) const { return numbers.lookup(name); }
  /// Threads of a block, where they compute a unit together; 0 where each computes its own.
  int64_t cooperating(StringRef name) const { return blocks.lookup(name); }
  /// Whether a block computes many units.
  bool isPersistent(StringRef name) const { return persistent.contains(name); }
  /// The table that the runtime reads.
  void writeTable(ModuleOp host, bool isCapturable);

private:
  void writeEntry(ModuleOp device, LLVM::LLVMFuncOp kernel);

  llvm::StringMap<int64_t> numbers, blocks;
  llvm::StringSet<> persistent;
  SmallVector<LLVM::LLVMFuncOp> entries;
  SmallVector<std::array<int64_t, 3>> facts; // threads, shared bytes, cluster
};

class DeviceRun : public RunFunction {
public:
  DeviceRun(ModuleOp module, const TableLayout &table, const DeviceKernels &kernels)
      : RunFunction(module, table), kernels(kernels) {}

private:
  void prologue(func::FuncOp source) override;
  void launch(tile::LaunchOp op) override;
  Value read(tile::ReadOp op) override;
  Value error() override { return field(offsetof(qcc_frame, device_error)); }
  Value scratch(tile::ThreadScratchOp) override { llvm_unreachable("a thread of a device keeps its own"); }
  void require(tile::RequireOp op) override;
  void makeOutput(tile::OutputOp op) override { callOutput(op); }
  Value allocate(Value bytes) override {
    return callThrough(frame, offsetof(qcc_frame, allocate), ptr, {frame, bytes});
  }

  const DeviceKernels &kernels;
  Value slots, pointers, word; // arguments of a launch and their addresses; what a read gives
};
} // namespace

static int64_t integerAttr(Operation *op, StringRef name) {
  auto attr = op->getAttrOfType<IntegerAttr>(name);
  return attr ? attr.getInt() : 0;
}

DeviceKernels::DeviceKernels(ModuleOp host) : HostFunction(host.getLoc()) {
  SmallVector<Operation *> moved;
  for (Operation &op : *host.getBody())
    if (isa<LLVM::LLVMFuncOp, LLVM::GlobalOp>(op))
      moved.push_back(&op);
  b.setInsertionPointToStart(host.getBody());
  auto device = ModuleOp::create(b, b.getLoc(), deviceModuleName);
  for (Operation *op : moved)
    op->moveBefore(device.getBody(), device.getBody()->end());
  for (Operation *op : moved)
    if (auto kernel = dyn_cast<LLVM::LLVMFuncOp>(op); kernel && !kernel.isExternal())
      writeEntry(device, kernel);
}

/// void kernel_x(i64 units, arguments...): units [0, units), of which `kernel` computes one.
void DeviceKernels::writeEntry(ModuleOp device, LLVM::LLVMFuncOp kernel) {
  std::string name = kernel.getSymName().str();
  kernel.setSymName("unit_" + name);
  int64_t together = integerAttr(kernel, blockThreadsAttr), threads = together ? together : threadsOfUnits;
  auto type = kernel.getFunctionType();
  SmallVector<Type> types(type.getParams().drop_front(1));
  auto entry = begin(device, name, LLVM::LLVMVoidType::get(b.getContext()), types);
  entry.setLinkage(LLVM::Linkage::External);
  for (unsigned i = 1; i < types.size(); ++i)
    if (DictionaryAttr attributes = kernel.getArgAttrDict(i + 1))
      entry.setArgAttrs(i, attributes);
  entry->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), b.getUnitAttr());
  entry->setAttr(NVVM::NVVMDialect::getReqntidAttrName(), b.getDenseI32ArrayAttr({int32_t(threads)}));
  if (kernel->hasAttr(persistentAttr)) { // one on a multiprocessor: each may have all of its registers
    persistent.insert(name);
    entry->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), b.getI32IntegerAttr(1));
  }
  auto sreg = [&](auto op) -> Value { return arith::ExtUIOp::create(b, i64, op); };
  Value unit = sreg(NVVM::BlockIdXOp::create(b, b.getI32Type()));
  if (!together) {
    Value thread = sreg(NVVM::ThreadIdXOp::create(b, b.getI32Type()));
    unit = arith::AddIOp::create(b, arith::MulIOp::create(b, unit, c(threads)), thread);
  }
  auto call = [&] {
    Value end = isPersistent(name) ? Value(entry.getArgument(0)) : arith::AddIOp::create(b, unit, c(1));
    SmallVector<Value> arguments = {unit, end};
    for (unsigned i = 1; i < types.size(); ++i)
      arguments.push_back(entry.getArgument(i));
    LLVM::CallOp::create(b, TypeRange{}, FlatSymbolRefAttr::get(kernel.getSymNameAttr()), arguments);
  };
  if (together) // a block is started for each unit
    call();
  else
    when(is(arith::CmpIPredicate::slt, unit, entry.getArgument(0)), call);
  LLVM::ReturnOp::create(b, ValueRange{});
  kernel.setAlwaysInline(true);
  numbers[name] = int64_t(entries.size());
  blocks[name] = together;
  entries.push_back(entry);
  facts.push_back({threads, integerAttr(kernel, sharedBytesAttr), 1});
}

void DeviceKernels::writeTable(ModuleOp host, bool isCapturable) {
  auto text = [&](StringRef name) {
    std::string symbol = ("name_" + name).str();
    std::string bytes = (name + StringRef("\0", 1)).str();
    b.setInsertionPointToEnd(host.getBody());
    auto type = LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size());
    LLVM::GlobalOp::create(b, type, /*isConstant=*/true, LLVM::Linkage::Internal, symbol, b.getStringAttr(bytes));
    return symbol;
  };
  auto integer = [&](int64_t value) -> Value { return LLVM::ConstantOp::create(b, i64, b.getI64IntegerAttr(value)); };
  auto rowType = LLVM::LLVMStructType::getLiteral(b.getContext(), {ptr, i64, i64, i64});
  auto tableType = LLVM::LLVMArrayType::get(rowType, entries.size());
  SmallVector<std::string> names;
  for (LLVM::LLVMFuncOp entry : entries)
    names.push_back(text(entry.getSymName()));
  b.setInsertionPointToEnd(host.getBody());
  auto rows = LLVM::GlobalOp::create(b, tableType, /*isConstant=*/true, LLVM::Linkage::Internal, "device_kernels",
                                     Attribute(), 8);
  b.createBlock(&rows.getInitializerRegion());
  Value value = LLVM::UndefOp::create(b, tableType);
  for (auto [i, name] : llvm::enumerate(names)) {
    value = LLVM::InsertValueOp::create(b, value, LLVM::AddressOfOp::create(b, ptr, name),
                                        ArrayRef<int64_t>{int64_t(i), 0});
    for (int64_t k = 0; k < 3; ++k)
      value = LLVM::InsertValueOp::create(b, value, integer(facts[i][k]), ArrayRef<int64_t>{int64_t(i), k + 1});
  }
  LLVM::ReturnOp::create(b, value);
  b.setInsertionPointToEnd(host.getBody());
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), {i64, i64, ptr, i64});
  auto descriptor =
      LLVM::GlobalOp::create(b, type, /*isConstant=*/true, LLVM::Linkage::External, QCC_DEVICE_SYMBOL, Attribute(), 8);
  b.createBlock(&descriptor.getInitializerRegion());
  value = LLVM::UndefOp::create(b, type);
  Value parts[] = {integer(QCC_ABI_VERSION), integer(int64_t(entries.size())),
                   LLVM::AddressOfOp::create(b, ptr, "device_kernels"), integer(isCapturable)};
  for (auto [i, part] : llvm::enumerate(parts))
    value = LLVM::InsertValueOp::create(b, value, part, int64_t(i));
  LLVM::ReturnOp::create(b, value);
}

void DeviceRun::prologue(func::FuncOp source) {
  int64_t most = 0;
  source.walk([&](tile::LaunchOp op) { most = std::max<int64_t>(most, op.getArguments().size() + 1); });
  word = LLVM::AllocaOp::create(b, ptr, i64, c(1), 8);
  slots = LLVM::AllocaOp::create(b, ptr, i64, c(most), 8);
  pointers = LLVM::AllocaOp::create(b, ptr, ptr, c(most), 8);
  for (int64_t i = 0; i < most; ++i)
    store(at(slots, 8 * i), at(pointers, 8 * i));
}

void DeviceRun::launch(tile::LaunchOp op) {
  Value units = op.getUnits(), blocks = units;
  if (!kernels.cooperating(op.getKernel()))
    blocks = arith::CeilDivSIOp::create(b, units, c(threadsOfUnits));
  if (kernels.isPersistent(op.getKernel()))
    blocks = arith::MinSIOp::create(b, units, load(i64, at(frame, offsetof(qcc_frame, multiprocessors))));
  store(units, slots);
  for (auto [i, argument] : llvm::enumerate(op.getArguments()))
    store(argument, at(slots, int64_t(8 * (i + 1))));
  callThrough(frame, offsetof(qcc_frame, launch), LLVM::LLVMVoidType::get(b.getContext()),
              {frame, c(kernels.number(op.getKernel())), blocks, pointers});
}

Value DeviceRun::read(tile::ReadOp op) {
  Value address =
      LLVM::GEPOp::create(b, ptr, storageType(op.getType()), op.getData(), ArrayRef<LLVM::GEPArg>{op.getElement()});
  callThrough(frame, offsetof(qcc_frame, read), LLVM::LLVMVoidType::get(b.getContext()),
              {frame, address, word, c(storageBytes(op.getType()))});
  return loadInteger(word, op.getType());
}

void DeviceRun::require(tile::RequireOp op) {
  Value failed = arith::XOrIOp::create(b, op.getCondition(), arith::ConstantOp::create(b, b.getBoolAttr(true)));
  when(failed, [&] {
    store(c(op.getNode()), at(frame, offsetof(qcc_frame, error)));
    allocate(c(-1)); // ends the run
  });
}

void qcc::writeDeviceRun(ModuleOp module, const TableLayout &table, func::FuncOp source) {
  bool isCapturable = !source
                           .walk([](Operation *op) {
                             auto buffer = dyn_cast<tile::BufferOp>(op);
                             bool asks = isa<tile::ReadOp>(op) || (buffer && !buffer.getSlot());
                             return asks ? WalkResult::interrupt() : WalkResult::advance();
                           })
                           .wasInterrupted();
  DeviceKernels kernels(module);
  DeviceRun(module, table, kernels).write(source);
  kernels.writeTable(module, isCapturable);
}
