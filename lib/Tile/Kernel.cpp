#include "qcc/Tile/Kernel.h"
#include "qcc/Tile/Lowering.h"

using namespace mlir;
using namespace qcc;

// ---- Index
// ---------------------------------------------------------------------------------------------------------------------------

SmallVector<Value> Index::coords(Kernel &kernel) const {
  if (!coordinates.empty() || dims.empty())
    return coordinates;
  return kernel.delinearize(number, dims);
}

Value Index::linear(Kernel &kernel) const { return number ? number : kernel.linearize(coordinates, dims); }

// ---- Kernel
// --------------------------------------------------------------------------------------------------------------------------

Kernel::Kernel(Lowering &lowering, StringRef name, Location loc) : b(loc, loc.getContext()), lowering(lowering) {
  Type i64 = b.getI64Type();
  // Not in any module yet: whether it gets a place there is known when its body is.
  function = LLVM::LLVMFuncOp::create(b, name,
                                      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {i64, i64}),
                                      LLVM::Linkage::Internal);
  b.setInsertionPointToStart(function.addEntryBlock(b));
}

Kernel::~Kernel() {
  if (!launched)
    function.erase();
}

Value Kernel::lo() const { return LLVM::LLVMFuncOp(function).getArgument(0); }
Value Kernel::hi() const { return LLVM::LLVMFuncOp(function).getArgument(1); }

Value Kernel::constant(int64_t value) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(value)); }
Value Kernel::constantF32(float value) { return arith::ConstantOp::create(b, b.getF32FloatAttr(value)); }

Value Kernel::opaque(Value value) {
  StringRef constraints = lowering.facts.device ? "=l,0" : "=r,0"; // a register of 64 bits
  return LLVM::InlineAsmOp::create(b, value.getType(), value, /*asm_string=*/"", constraints,
                                   /*has_side_effects=*/false, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                   LLVM::AsmDialectAttr(), ArrayAttr())
      .getRes();
}

Value Kernel::argument(Value host) {
  Value &known = byHostValue[host];
  if (!known) {
    known = function.getBody().front().addArgument(host.getType(), b.getLoc());
    hostArguments.push_back(host);
  }
  return known;
}

Value Kernel::dim(Dim dim) {
  if (auto value = constantOf(dim))
    return constant(*value);
  Value &known = byDim[dim];
  if (!known)
    known = argument(lowering.size(dim));
  return known;
}

Value Kernel::add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
Value Kernel::sub(Value x, Value y) { return b.createOrFold<arith::SubIOp>(x, y); }
Value Kernel::mul(Value x, Value y) { return b.createOrFold<arith::MulIOp>(x, y); }
Value Kernel::div(Value x, Value y) { return b.createOrFold<arith::DivUIOp>(x, y); }
Value Kernel::rem(Value x, Value y) { return b.createOrFold<arith::RemUIOp>(x, y); }
Value Kernel::min(Value x, Value y) { return b.createOrFold<arith::MinSIOp>(x, y); }
Value Kernel::max(Value x, Value y) { return b.createOrFold<arith::MaxSIOp>(x, y); }
Value Kernel::less(Value x, Value y) { return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, x, y); }
Value Kernel::equal(Value x, Value y) { return b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, x, y); }
Value Kernel::both(Value x, Value y) { return b.createOrFold<arith::AndIOp>(x, y); }
Value Kernel::select(Value condition, Value then, Value otherwise) {
  return b.createOrFold<arith::SelectOp>(condition, then, otherwise);
}

void Kernel::loop(Value from, Value to, llvm::function_ref<void(Value)> body, int64_t step) {
  auto op = scf::ForOp::create(b, from, to, constant(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  body(op.getInductionVar());
}

SmallVector<Value> Kernel::loop(Value from, Value to, ValueRange init,
                                llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body, int64_t step) {
  auto op = scf::ForOp::create(b, from, to, constant(step), init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  if (!init.empty()) // without carried values the terminator is there already
    scf::YieldOp::create(b, next);
  return llvm::to_vector(ValueRange(op.getResults()));
}

void Kernel::nest(ArrayRef<Dim> dims, llvm::function_ref<void(ArrayRef<Value>)> body) {
  SmallVector<Value> coordinates;
  std::function<void(size_t)> level = [&](size_t i) {
    if (i == dims.size())
      return body(coordinates);
    loop(constant(0), dim(dims[i]), [&](Value iv) {
      coordinates.push_back(iv);
      level(i + 1);
      coordinates.pop_back();
    });
  };
  level(0);
}

Value Kernel::branch(Value condition, llvm::function_ref<Value()> then, llvm::function_ref<Value()> otherwise) {
  Block *thenBlock = new Block, *elseBlock = new Block;
  auto build = [&](Block *block, llvm::function_ref<Value()> body) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(block);
    Value result = body();
    scf::YieldOp::create(b, result);
    return result.getType();
  };
  // The result's type is known only after the first branch is built, so the op is made around finished blocks. They
  // need a parent meanwhile: builders look for one.
  Region regions[2];
  regions[0].push_back(thenBlock);
  regions[1].push_back(elseBlock);
  Type type = build(thenBlock, then);
  build(elseBlock, otherwise);
  auto op = scf::IfOp::create(b, TypeRange{type}, condition, /*addThenBlock=*/false, /*addElseBlock=*/false);
  op.getThenRegion().takeBody(regions[0]);
  op.getElseRegion().takeBody(regions[1]);
  return op.getResult(0);
}

void Kernel::when(Value condition, llvm::function_ref<void()> then) {
  auto op = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
}

void Kernel::check(Value condition) {
  OpBuilder &host = lowering.host;
  auto ptr = LLVM::LLVMPointerType::get(b.getContext());
  Value address = argument(tile::ErrorOp::create(host, lowering.loc, ptr));
  Value number = argument(
      arith::ConstantOp::create(host, lowering.loc, host.getI64IntegerAttr(lowering.nodeNumber(lowering.loc))));
  Value failed = arith::XOrIOp::create(b, condition, arith::ConstantOp::create(b, b.getBoolAttr(true)));
  when(failed, [&] { LLVM::StoreOp::create(b, number, address, 8); });
}

Value Kernel::pointer(Value tensor) { return argument(lowering.storage(tensor)); }

Value Kernel::loadAt(Value base, Value index, Type element) {
  Type type = storageType(element);
  Value address =
      LLVM::GEPOp::create(b, base.getType(), type, base, ArrayRef<LLVM::GEPArg>{index}, LLVM::GEPNoWrapFlags::inbounds);
  return fromStorage(b, LLVM::LoadOp::create(b, type, address, storageBytes(element)), element);
}

void Kernel::storeAt(Value base, Value index, Type element, Value value) {
  Type type = storageType(element);
  Value address =
      LLVM::GEPOp::create(b, base.getType(), type, base, ArrayRef<LLVM::GEPArg>{index}, LLVM::GEPNoWrapFlags::inbounds);
  LLVM::StoreOp::create(b, toStorage(b, value, element), address, storageBytes(element));
}

Value Kernel::load(Value tensor, const Index &index) {
  for (auto [known, value] : held)
    if (known == tensor)
      return value;
  Type element = cast<ShapedType>(tensor.getType()).getElementType();
  if (lowering.isFused(tensor)) {
    Node node(tensor.getDefiningOp<onnx::NodeOp>());
    return OperatorRegistry::get().find(node.op)->element(node, *this, index);
  }
  if (isPackedConstant(tensor)) {
    unsigned bits = element.getIntOrFloatBitWidth(), perByte = 8 / bits;
    Value number = index.linear(*this);
    Value byte = loadAt(pointer(tensor), div(number, constant(perByte)), IntegerType::get(b.getContext(), 8));
    Value shift = arith::TruncIOp::create(b, b.getI8Type(), mul(rem(number, constant(perByte)), constant(bits)));
    return fromStorage(b,
                       arith::AndIOp::create(b, arith::ShRUIOp::create(b, byte, shift),
                                             arith::ConstantOp::create(b, b.getI8IntegerAttr((1 << bits) - 1))),
                       element);
  }
  return loadAt(pointer(tensor), index.linear(*this), element);
}

Value Kernel::load(Value tensor, ArrayRef<Value> coordinates) {
  return load(tensor, Index(dimsOf(tensor.getType()), coordinates));
}

void Kernel::store(Value tensor, const Index &index, Value value) {
  if (Value next = lowering.epilogue(tensor)) {
    held.push_back({tensor, value});
    Node node(next.getDefiningOp<onnx::NodeOp>());
    Value result = OperatorRegistry::get().find(node.op)->element(node, *this, index);
    store(next, index, result);
    held.pop_back();
    return;
  }
  storeAt(pointer(tensor), index.linear(*this), cast<ShapedType>(tensor.getType()).getElementType(), value);
}

void Kernel::store(Value tensor, ArrayRef<Value> coordinates, Value value) {
  store(tensor, Index(dimsOf(tensor.getType()), coordinates), value);
}

void Kernel::move(Value tensor, const Index &from, Value storage, Value to) {
  Type element = cast<ShapedType>(tensor.getType()).getElementType();
  if (lowering.isFused(tensor) || isPackedConstant(tensor))
    return storeAt(storage, to, element, load(tensor, from));
  Type raw = storageType(element);
  storeAt(storage, to, raw, loadAt(pointer(tensor), from.linear(*this), raw));
}

Value Kernel::threadScratch(int64_t bytes) {
  auto ptr = LLVM::LLVMPointerType::get(b.getContext());
  if (lowering.facts.device) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&function.getBody().front());
    return LLVM::AllocaOp::create(b, ptr, b.getI8Type(), constant(bytes), 16);
  }
  int64_t offset = scratchBytes;
  scratchBytes += llvm::alignTo(bytes, 64);
  return argument(tile::ThreadScratchOp::create(lowering.host, lowering.loc, ptr, bytes, offset));
}

Value Kernel::linearize(ArrayRef<Value> coordinates, ArrayRef<Dim> dims) {
  Value result = constant(0);
  Dim stride = lowering.dims.constant(1);
  for (int i = int(dims.size()) - 1; i >= 0;
       --i) { // one multiplication per dimension with a stride that the host computes
    result = add(result, mul(coordinates[i], dim(stride)));
    stride = lowering.dims.mul(stride, dims[i]);
  }
  return result;
}

SmallVector<Value> Kernel::delinearize(Value linear, ArrayRef<Dim> dims) {
  SmallVector<Value> result(dims.size());
  for (int i = int(dims.size()) - 1; i >= 0; --i) {
    if (i == 0) {
      result[i] = linear;
      break;
    }
    result[i] = rem(linear, dim(dims[i]));
    linear = div(linear, dim(dims[i]));
  }
  return result;
}

Index Kernel::broadcastIndex(const Index &index, ArrayRef<Dim> shape) {
  if (index.shape() == shape)
    return index;
  if (llvm::all_of(shape, [](Dim d) { return constantOf(d) == 1; }))
    return Index(shape, SmallVector<Value>(shape.size(), constant(0)), constant(0));
  SmallVector<Value> all = index.coords(*this), result;
  size_t skipped = all.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (constantOf(shape[i]) == 1)
      result.push_back(constant(0));
    else if (shape[i] == index.shape()[skipped + i] ||
             constantOf(shape[i])) // a constant that is not 1 is not stretched
      result.push_back(all[skipped + i]);
    else // whether this dimension is stretched is known when the program runs
      result.push_back(select(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, dim(shape[i]), constant(1)),
                              constant(0), all[skipped + i]));
  }
  return Index(shape, result);
}

void Kernel::cooperate(int64_t threads, int64_t sharedBytes) {
  function->setAttr(blockThreadsAttr, b.getI64IntegerAttr(threads));
  function->setAttr(sharedBytesAttr, b.getI64IntegerAttr(sharedBytes));
}

void Kernel::persist() { function->setAttr(persistentAttr, b.getUnitAttr()); }

void Kernel::note(StringRef text) { function->setAttr(noteAttr, b.getStringAttr(text)); }

void Kernel::launch(Dim units, Dim work) { launch(lowering.size(units), lowering.size(work)); }

void Kernel::launch(Value units, Value work) {
  LLVM::ReturnOp::create(b, ValueRange{});
  SmallVector<Type> types(function.getBody().front().getArgumentTypes());
  function.setFunctionType(LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), types));
  // Buffers never overlap in a way that matters: two arguments are either the same value, which is one argument, or
  // different storage, or memory that nobody writes during the launch.
  for (auto [i, type] : llvm::enumerate(types))
    if (isa<LLVM::LLVMPointerType>(type))
      function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr());
  LLVM::LLVMFuncOp shared = lowering.intern(function, function.getSymName());
  launched = true;
  tile::LaunchOp::create(lowering.host, lowering.loc, FlatSymbolRefAttr::get(shared.getSymNameAttr()), units, work,
                         hostArguments);
}
