#include "Decode/Decoder.h"

#include <algorithm>
#include <cstring>

namespace qcc::ptxemu {

Modifiers::Modifiers(std::string_view opcode) {
  size_t dot = std::min(opcode.find('.'), opcode.size());
  name = opcode.substr(0, dot);
  while (dot < opcode.size()) {
    size_t next = std::min(opcode.find('.', dot + 1), opcode.size());
    words.push_back({opcode.substr(dot + 1, next - dot - 1)});
    dot = next;
  }
}

bool Modifiers::has(std::string_view word) const {
  return std::any_of(words.begin(), words.end(), [&](const Word &each) { return each.text == word; });
}

bool Modifiers::take(std::string_view word) {
  for (Word &each : words)
    if (!each.taken && each.text == word)
      return each.taken = true;
  return false;
}

int Modifiers::takeOneOf(std::initializer_list<std::string_view> list) {
  int index = 0;
  for (std::string_view word : list) {
    if (take(word))
      return index;
    ++index;
  }
  return -1;
}

Type Modifiers::takeType() {
  for (Word &each : words)
    if (Type type = typeOf(each.text); !each.taken && type != Type::None) {
      each.taken = true;
      return type;
    }
  return Type::None;
}

std::optional<std::string_view> Modifiers::takePrefix(std::string_view prefix) {
  for (Word &each : words)
    if (!each.taken && each.text.substr(0, prefix.size()) == prefix) {
      each.taken = true;
      return each.text;
    }
  return std::nullopt;
}

std::optional<std::string_view> Modifiers::remaining() const {
  for (const Word &each : words)
    if (!each.taken)
      return each.text;
  return std::nullopt;
}

namespace {

bool isWide(Type type) { return bitsOf(type) > 32; }

uint32_t slotBytes(Type type) {
  if (type == Type::Pred)
    return 64; // a word, on a cache line of its own so that every slot is aligned
  unsigned bits = bitsOf(type);
  return bits <= 32 ? 128 : bits / 64 * 256;
}

} // namespace

Decoder::Decoder(Program &program, FunctionTree &tree, Function &function, const SharedOffsets &shared)
    : program(program), tree(tree), function(function), sharedOffsets(shared) {
  localBase = (function.localBytes + 15) / 16 * 16;
  callBase = (function.callParamBytes + 15) / 16 * 16;
  scratch = allocate(512);
  for (const RegisterName &name : tree.registers) {
    registers.push_back(
        {allocate(slotBytes(name.type)), static_cast<int>(function.registerCount++), isWide(name.type)});
    function.registerNames.push_back(name.name);
  }
}

void Decoder::fail(const std::string &what) const { throw SyntaxError(statement ? statement->line : tree.line, what); }

uint32_t Decoder::allocate(uint32_t bytes) {
  uint32_t at = function.fileBytes;
  function.fileBytes += bytes;
  return at;
}

void Decoder::run() {
  function.entry = static_cast<uint32_t>(program.code.size());
  for (const Label &label : tree.labels)
    labels[label.name].push_back(&label);
  for (const Statement &next : tree.statements) {
    statementStart.push_back(static_cast<uint32_t>(program.code.size()));
    decodeStatement(next);
  }
  statementStart.push_back(static_cast<uint32_t>(program.code.size()));
  // A body may end without one.
  Statement last;
  last.opcode = "ret";
  last.line = tree.statements.empty() ? tree.line : tree.statements.back().line;
  decodeStatement(last);
  statement = nullptr;
  resolveLabels();
  function.end = static_cast<uint32_t>(program.code.size());
  function.localBytes = static_cast<uint32_t>(localBase + tree.localBytes);
  if (!tree.isKernel)
    for (const auto &[list, into] :
         {std::pair(&tree.parameters, &function.parameters), std::pair(&tree.results, &function.results)})
      for (const Variable *each : *list)
        into->push_back({static_cast<uint32_t>(callBase + each->offset), static_cast<uint32_t>(each->size)});
  function.callParamBytes = static_cast<uint32_t>(callBase + tree.callParamBytes);
}

void Decoder::decodeStatement(const Statement &next) {
  statement = &next;
  modifiers.emplace(next.opcode);
  out = Instruction();
  readNumbers.clear();
  writeNumbers.clear();
  DecodeFunction decode = decodeFunctionOf(modifiers->opcode());
  if (!decode)
    fail("the instruction '" + std::string(modifiers->opcode()) + "' is not understood");
  decode(*this);
  if (auto word = modifiers->remaining())
    fail("'." + std::string(*word) + "' of '" + std::string(next.opcode) + "' is not understood");
}

const Operand &Decoder::operand(size_t index) {
  if (index >= statement->operands.size())
    fail("operands are missing");
  return statement->operands[index];
}

void Decoder::expectOperands(size_t atLeast, size_t atMost) {
  size_t count = operandCount();
  if (count < atLeast || count > std::max(atLeast, atMost))
    fail("'" + std::string(statement->opcode) + "' with " + std::to_string(count) + " operands is not understood");
}

Type Decoder::needType() {
  Type type = modifiers->takeType();
  if (type == Type::None)
    fail("'" + std::string(statement->opcode) + "' lacks a type");
  return type;
}

void Decoder::checkWidth(const Operand &operand, Type type, bool atLeast) const {
  Type declared = tree.registers[operand.reg].type;
  unsigned have = bitsOf(declared), want = bitsOf(type);
  bool isPredicate = declared == Type::Pred, wantsPredicate = type == Type::Pred;
  // Small floats sit in registers that are wider than they are.
  want = std::max(want, wantsPredicate ? 1u : want <= 16 ? std::min(have, 16u) : want);
  if (isPredicate != wantsPredicate || have < want || (!atLeast && have != want))
    fail("'" + std::string(operand.name) + "' has " + std::to_string(have) + " bits where " + std::to_string(want) +
         " are asked for");
}

Slot Decoder::slotOf(int reg) { return registers[static_cast<size_t>(reg)]; }

Slot Decoder::constant(uint64_t value, bool wide) {
  if (!wide)
    value &= 0xffffffffu;
  auto [found, isNew] = constants.try_emplace({value, wide});
  if (isNew) {
    found->second = {allocate(wide ? 256 : 128), -1, wide};
    Fill fill;
    fill.slot = found->second.at;
    fill.wide = wide;
    fill.value = value;
    function.fills.push_back(fill);
  }
  return found->second;
}

Slot Decoder::special(Special which) {
  auto [found, isNew] = specials.try_emplace(which);
  if (isNew) {
    found->second = {allocate(128), -1, false};
    Fill fill;
    fill.kind = Fill::SpecialRegister;
    fill.special = which;
    fill.slot = found->second.at;
    function.fills.push_back(fill);
  }
  return found->second;
}

Slot Decoder::temporary(unsigned bits) {
  return {allocate(bits == 1 ? 64 : bits <= 32 ? 128 : bits / 64 * 256), -1, bits > 32};
}

Slot Decoder::carry() {
  if (carrySlot.at == noSlot)
    carrySlot = temporary(1);
  return carrySlot;
}

Slot Decoder::immediateSlot(const Operand &operand, Type type) {
  uint64_t value = operand.value;
  Type element = elementOf(type);
  if (operand.isDouble && bitsOf(type) <= 32) {
    double wide;
    std::memcpy(&wide, &value, sizeof wide);
    float narrow = static_cast<float>(wide);
    uint32_t bits;
    std::memcpy(&bits, &narrow, sizeof bits);
    value = bits;
  } else if (operand.isSingle && element == Type::F64) {
    uint32_t bits = static_cast<uint32_t>(value);
    float narrow;
    std::memcpy(&narrow, &bits, sizeof narrow);
    double wide = narrow;
    std::memcpy(&value, &wide, sizeof value);
  }
  return constant(value, isWide(type));
}

uint32_t Decoder::sharedOffset(const Variable &variable) {
  auto [found, isNew] = sharedOffsets.try_emplace(&variable);
  if (isNew) {
    uint64_t at = (function.sharedBytes + variable.alignment - 1) / variable.alignment * variable.alignment;
    if (at + variable.size > 1u << 24)
      fail("too much shared memory");
    found->second = static_cast<uint32_t>(at);
    function.sharedBytes = static_cast<uint32_t>(at + variable.size);
  }
  return found->second;
}

Slot Decoder::symbolSlot(const Operand &operand, bool wide) {
  const Variable &variable = *operand.variable;
  if (variable.space == Space::Local)
    return constant(localBase + variable.offset + operand.value, wide);
  if (variable.space == Space::Param)
    return constant(variable.isCallParam ? (uint64_t(1) << 20) + callBase + variable.offset + operand.value
                                         : variable.offset + operand.value,
                    wide);
  auto [found, isNew] = symbols.try_emplace({&variable, {operand.value, wide}});
  if (!isNew)
    return found->second;
  found->second = {allocate(wide ? 256 : 128), -1, wide};
  Fill fill;
  fill.slot = found->second.at;
  fill.wide = wide;
  fill.value = operand.value;
  if (variable.space == Space::Shared && variable.isDynamic) {
    fill.kind = Fill::DynamicSharedAddress;
    function.dynamicSharedAlignment =
        std::max<uint32_t>(function.dynamicSharedAlignment, static_cast<uint32_t>(variable.alignment));
  } else if (variable.space == Space::Shared) {
    fill.kind = Fill::SharedAddress;
    fill.value += sharedOffset(variable);
  } else {
    if (!wide)
      fail("a global address needs 64 bits");
    fill.kind = Fill::GlobalAddress;
    fill.global = &variable;
  }
  function.fills.push_back(fill);
  return found->second;
}

Slot Decoder::specialSlot(const Operand &operand) {
  static const std::map<std::string_view, Special> names = {{"%tid.x", Special::TidX},
                                                            {"%tid.y", Special::TidY},
                                                            {"%tid.z", Special::TidZ},
                                                            {"%ntid.x", Special::NtidX},
                                                            {"%ntid.y", Special::NtidY},
                                                            {"%ntid.z", Special::NtidZ},
                                                            {"%ctaid.x", Special::CtaidX},
                                                            {"%ctaid.y", Special::CtaidY},
                                                            {"%ctaid.z", Special::CtaidZ},
                                                            {"%nctaid.x", Special::NctaidX},
                                                            {"%nctaid.y", Special::NctaidY},
                                                            {"%nctaid.z", Special::NctaidZ},
                                                            {"%clusterid.x", Special::ClusteridX},
                                                            {"%clusterid.y", Special::ClusteridY},
                                                            {"%clusterid.z", Special::ClusteridZ},
                                                            {"%nclusterid.x", Special::NclusteridX},
                                                            {"%nclusterid.y", Special::NclusteridY},
                                                            {"%nclusterid.z", Special::NclusteridZ},
                                                            {"%cluster_ctaid.x", Special::ClusterCtaidX},
                                                            {"%cluster_ctaid.y", Special::ClusterCtaidY},
                                                            {"%cluster_ctaid.z", Special::ClusterCtaidZ},
                                                            {"%cluster_nctaid.x", Special::ClusterNctaidX},
                                                            {"%cluster_nctaid.y", Special::ClusterNctaidY},
                                                            {"%cluster_nctaid.z", Special::ClusterNctaidZ},
                                                            {"%cluster_ctarank", Special::ClusterCtarank},
                                                            {"%cluster_nctarank", Special::ClusterNctarank},
                                                            {"%laneid", Special::Laneid},
                                                            {"%warpid", Special::Warpid},
                                                            {"%nwarpid", Special::Nwarpid},
                                                            {"%smid", Special::Smid},
                                                            {"%nsmid", Special::Nsmid},
                                                            {"%gridid", Special::Gridid},
                                                            {"%lanemask_eq", Special::LanemaskEq},
                                                            {"%lanemask_le", Special::LanemaskLe},
                                                            {"%lanemask_lt", Special::LanemaskLt},
                                                            {"%lanemask_ge", Special::LanemaskGe},
                                                            {"%lanemask_gt", Special::LanemaskGt},
                                                            {"%total_smem_size", Special::TotalSmemSize},
                                                            {"%dynamic_smem_size", Special::DynamicSmemSize}};
  auto found = names.find(operand.name);
  if (found == names.end())
    fail("the register '" + std::string(operand.name) + "' is not declared");
  return special(found->second);
}

Slot Decoder::source(const Operand &operand, Type type, bool atLeast) {
  switch (operand.kind) {
  case Operand::Register: {
    if (operand.negated)
      fail("'!' is not understood here");
    Slot slot = slotOf(operand.reg);
    checkWidth(operand, type, atLeast);
    reads(slot);
    return slot;
  }
  case Operand::Immediate:
    if (type == Type::Pred) {
      Slot slot = temporary(1);
      Fill fill;
      fill.slot = slot.at;
      fill.value = operand.value ? 0xffffffffu : 0;
      function.fills.push_back(fill);
      return slot;
    }
    return immediateSlot(operand, type);
  case Operand::Special:
    if (isWide(type))
      fail("'" + std::string(operand.name) + "' has 32 bits");
    return specialSlot(operand);
  case Operand::Symbol:
    if (!operand.variable)
      fail("'" + std::string(operand.name) + "' is not declared");
    return symbolSlot(operand, isWide(type));
  default:
    fail("an operand of this kind is not understood here");
  }
}

Slot Decoder::predicate(const Operand &operand) {
  Operand plain = operand;
  plain.negated = false;
  return source(plain, Type::Pred);
}

Slot Decoder::destination(const Operand &operand, Type type, bool atLeast) {
  if (operand.kind == Operand::Sink)
    return {scratch, -1, isWide(type)};
  if (operand.kind != Operand::Register)
    fail("the destination is no register");
  Slot slot = slotOf(operand.reg);
  checkWidth(operand, type, atLeast);
  writes(slot);
  return slot;
}

Slot Decoder::secondDestination(const Operand &operand, Type type) {
  if (!operand.hasSecond || operand.second < 0)
    return {scratch, -1, isWide(type)};
  Operand second = operand;
  second.kind = Operand::Register;
  second.reg = operand.second;
  return destination(second, type);
}

Slot Decoder::address(const Operand &operand) {
  if (operand.kind != Operand::Address)
    fail("an address in brackets expected");
  if (operand.variable) {
    Operand symbol = operand;
    symbol.value = 0;
    return symbolSlot(symbol, true);
  }
  if (operand.reg < 0)
    return constant(0, true);
  Slot slot = slotOf(operand.reg);
  unsigned bits = bitsOf(tree.registers[operand.reg].type);
  if (bits != 32 && bits != 64)
    fail("an address has 32 or 64 bits");
  reads(slot);
  return slot;
}

std::vector<Slot> Decoder::sources(const Operand &operand, Type type, bool atLeast) {
  std::vector<Slot> result;
  if (operand.kind != Operand::Vector)
    return {source(operand, type, atLeast)};
  for (const Operand &part : operand.parts)
    result.push_back(source(part, type, atLeast));
  return result;
}

std::vector<Slot> Decoder::destinations(const Operand &operand, Type type, bool atLeast) {
  std::vector<Slot> result;
  if (operand.kind != Operand::Vector)
    return {destination(operand, type, atLeast)};
  for (const Operand &part : operand.parts)
    result.push_back(destination(part, type, atLeast));
  return result;
}

std::vector<Slot> Decoder::unchecked(const Operand &operand, Type type) {
  std::vector<uint32_t> before = writeNumbers;
  std::vector<Slot> result = destinations(operand, type);
  writeNumbers = std::move(before);
  for (const Slot &slot : result)
    if (slot.number < 0)
      fail("'_' is not understood here");
  return result;
}

uint64_t Decoder::immediate(const Operand &operand) {
  if (operand.kind != Operand::Immediate)
    fail("an immediate value expected");
  return operand.value;
}

void Decoder::reads(const Slot &slot) {
  if (slot.number >= 0)
    readNumbers.push_back(static_cast<uint32_t>(slot.number));
}

void Decoder::writes(const Slot &slot) {
  if (slot.number >= 0)
    writeNumbers.push_back(static_cast<uint32_t>(slot.number));
}

void Decoder::emitLanes(LaneHandler handler) {
  if (!handler)
    fail("'" + std::string(statement->opcode) + "' is not understood");
  out.lanes = handler;
  emit();
}

void Decoder::emitMachine(MachineHandler handler) {
  out.machine = handler;
  emit();
}

void Decoder::emit() {
  if (statement->guard >= 0) {
    Slot guard = slotOf(statement->guard);
    if (tree.registers[statement->guard].type != Type::Pred)
      fail("the guard is no predicate");
    out.guard = guard.at;
    out.guardNumber = static_cast<uint32_t>(guard.number);
    out.guardNegated = statement->guardNegated;
  }
  out.line = statement->line;
  out.begin = statement->begin;
  out.end = statement->end;
  out.reads = static_cast<uint32_t>(program.numbers.size());
  out.readCount = static_cast<uint16_t>(readNumbers.size());
  out.writeCount = static_cast<uint16_t>(writeNumbers.size());
  program.numbers.insert(program.numbers.end(), readNumbers.begin(), readNumbers.end());
  program.numbers.insert(program.numbers.end(), writeNumbers.begin(), writeNumbers.end());
  readNumbers.clear();
  writeNumbers.clear();
  program.code.push_back(out);
  out = Instruction();
}

void Decoder::jumpsTo(std::string_view label) {
  jumps.push_back({program.code.size(), nullptr, {label}, statement->scope, statement->line});
}

void Decoder::jumpsTo(const std::vector<std::string_view> &list, std::vector<uint32_t> &places) {
  jumps.push_back({program.code.size(), &places, list, statement->scope, statement->line});
}

uint32_t Decoder::resolve(std::string_view name, uint32_t scope) {
  auto found = labels.find(name);
  for (uint32_t here = scope; found != labels.end();) {
    for (const Label *label : found->second)
      if (label->scope == here)
        return statementStart[label->statement];
    if (here == 0)
      break;
    here = tree.parentScope[here];
  }
  fail("the label '" + std::string(name) + "' is not defined");
}

void Decoder::resolveLabels() {
  for (const Label &label : tree.labels)
    program.code[statementStart[label.statement]].leader = true;
  for (const PendingJump &jump : jumps) {
    Statement where;
    where.line = jump.line;
    statement = &where;
    if (!jump.places)
      program.code[jump.instruction].target = resolve(jump.labels[0], jump.scope);
    else
      for (std::string_view label : jump.labels)
        jump.places->push_back(resolve(label, jump.scope));
    statement = nullptr;
  }
}

CallParameter Decoder::callParameter(const Operand &operand) {
  if (operand.kind != Operand::Symbol || !operand.variable || !operand.variable->isCallParam)
    fail("only .param variables are understood as a call's parameters");
  return {static_cast<uint32_t>(callBase + operand.variable->offset), static_cast<uint32_t>(operand.variable->size)};
}

} // namespace qcc::ptxemu
