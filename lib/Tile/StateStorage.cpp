#include "qcc/Tile/StateStorage.h"
#include "qcc/Operator/Registry.h"
#include "qcc/Tile/Numbers.h"

using namespace mlir;
using namespace qcc;

/// What a format makes of the rows of a tensor.
static FailureOr<StateStorage> storageIn(RankedTensorType type, StringRef name, Location loc) {
  auto format = findFormat(name);
  if (!format)
    return emitError(loc) << llvm::toString(format.takeError());
  StateStorage storage;
  storage.format = format->name;
  if (format->isPlain()) {
    storage.element = plainType(format->element->name(), type.getContext());
    return storage;
  }
  auto size = constantOf(dimsOf(type).back());
  if (!size || *size < 1)
    return emitError(loc) << "a cache in '" << name << "' needs heads of a known size";
  auto layout = RowLayout::of(*format, *size);
  if (!layout)
    return emitError(loc) << llvm::toString(layout.takeError());
  storage.element = IntegerType::get(type.getContext(), 8, IntegerType::Unsigned);
  storage.layout = std::make_shared<RowLayout>(std::move(*layout));
  return storage;
}

FailureOr<StateStorage> qcc::stateStorage(func::FuncOp main, unsigned argument) {
  auto type = cast<RankedTensorType>(main.getArgumentTypes()[argument]);
  if (auto name = main.getArgAttrOfType<StringAttr>(argument, stateFormatAttr))
    return storageIn(type, name.getValue(), main.getLoc());
  StateStorage storage;
  storage.element = type.getElementType();
  return storage;
}

namespace {
/// What a state holds, by who reads it.
enum class Role { Keys, Values, Both, Unknown };
} // namespace

static const Operator *definitionOf(onnx::NodeOp node) { return OperatorRegistry::get().find(node); }

/// What attention takes a result of the operator that extends a state as.
static Role roleOfReads(Value result) {
  std::optional<Role> role;
  for (OpOperand &use : result.getUses()) {
    if (isa<func::ReturnOp>(use.getOwner()))
      continue;
    auto node = dyn_cast<onnx::NodeOp>(use.getOwner());
    if (node && node.getOpType() == "Reshape") { // the same rows, with heads and elements in one axis
      Role beyond = roleOfReads(node->getResult(0));
      if (role && *role != beyond)
        return Role::Unknown;
      role = beyond;
      continue;
    }
    Node attention(node);
    unsigned operand = use.getOperandNumber();
    // With a past or a present of its own, attention would copy what it reads.
    bool reads = node && node.getDomain().empty() && node.getOpType() == "Attention" &&
                 (operand == 1 || operand == 2) && !attention.has(operand + 3) && !attention.hasOutput(operand);
    Role here = operand == 1 ? Role::Keys : Role::Values;
    if (!reads || (role && *role != here))
      return Role::Unknown;
    role = here;
  }
  return role.value_or(Role::Unknown);
}

static Role roleOf(BlockArgument state) {
  if (!state.hasOneUse())
    return Role::Unknown;
  OpOperand &use = *state.use_begin();
  auto node = dyn_cast<onnx::NodeOp>(use.getOwner());
  const Operator *definition = node ? definitionOf(node) : nullptr;
  if (!definition || !definition->extends)
    return Role::Unknown;
  bool isPair = dimsOf(state.getType()).size() == 5;
  if (node.getDomain() == "qcc") { // Append, whose results attention reads
    if (!isPair)
      return roleOfReads(node->getResult(0));
    bool isKeysThenValues =
        roleOfReads(node->getResult(1)) == Role::Keys && roleOfReads(node->getResult(2)) == Role::Values;
    return isKeysThenValues ? Role::Both : Role::Unknown;
  }
  SmallVector<Extended> extended = definition->extends(Node(node));
  for (auto [i, one] : llvm::enumerate(extended))
    if (one.past == use.getOperandNumber())
      return isPair ? Role::Both : i == 0 ? Role::Keys : Role::Values;
  return Role::Unknown;
}

/// The blocks that suit a cache: a scale for 32 channels costs as much as a float32 for a head of 64, and outliers,
/// which keys have in few channels, then harm their own block alone; 4-bit codes need a zero, since channels are off
/// centre.
static StringRef forCache(StringRef format) {
  return llvm::StringSwitch<StringRef>(format).Case("int8", "int8-g32").Case("int4", "int4-g32-asym").Default(format);
}

LogicalResult qcc::storeCaches(ModuleOp module, StringRef formats, Location loc) {
  auto [keys, values] = formats.split(',');
  keys = forCache(keys.trim()), values = forCache(values.trim());
  if (values.empty())
    values = keys;
  if (values.contains(','))
    return emitError(loc) << "--kv=" << formats << " is one format, or one of keys and one of values";
  auto main = module.lookupSymbol<func::FuncOp>("main");
  unsigned stored = 0;
  for (BlockArgument argument : main.getArguments()) {
    unsigned index = argument.getArgNumber();
    if (!main.getArgAttr(index, stateAttr))
      continue;
    auto type = cast<RankedTensorType>(argument.getType());
    Role role = roleOf(argument);
    if (role == Role::Unknown || !isa<FloatType>(type.getElementType()) || type.getElementTypeBitWidth() > 32)
      continue;
    if (role == Role::Both && keys != values)
      return emitError(loc) << "keys and values are one tensor in this model, and cannot have the formats '" << keys
                            << "' and '" << values << "'; choose one";
    StringRef format = role == Role::Values ? values : keys;
    if (failed(storageIn(type, format, loc)))
      return failure();
    main.setArgAttr(index, stateFormatAttr, StringAttr::get(module.getContext(), format));
    ++stored;
  }
  if (!stored)
    return emitError(loc) << "the program has no KV cache that a session keeps, which could be stored in '" << formats
                          << "'; export the model with a past that attention alone reads, and compile without "
                             "--keep-signature";
  return success();
}
