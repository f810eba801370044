// Turns statements into instructions. Each family of instructions is decoded where it is executed; what they share is
// here.
#ifndef QCC_LIB_PTXEMU_DECODE_DECODER_H
#define QCC_LIB_PTXEMU_DECODE_DECODER_H

#include "Decode/Program.h"
#include "Syntax/Lexer.h"

#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qcc::ptxemu {

// The words behind an opcode. Each must be taken by the one who understands it; one that remains is an error.
class Modifiers {
public:
  explicit Modifiers(std::string_view opcode);
  std::string_view opcode() const { return name; }
  bool has(std::string_view word) const;
  bool take(std::string_view word);
  // The index of the one that is there, or -1.
  int takeOneOf(std::initializer_list<std::string_view> words);
  // The first word that is a type; Type::None if there is none.
  Type takeType();
  // The first word that begins so.
  std::optional<std::string_view> takePrefix(std::string_view prefix);
  std::optional<std::string_view> remaining() const;

private:
  struct Word {
    std::string_view text;
    bool taken = false;
  };
  std::string_view name;
  std::vector<Word> words;
};

class Decoder {
public:
  using SharedOffsets = std::map<const Variable *, uint32_t>;
  // `shared` holds what the functions decoded before have placed, if they are part of every kernel.
  Decoder(Program &program, FunctionTree &tree, Function &function, const SharedOffsets &shared);
  const SharedOffsets &shared() const { return sharedOffsets; }
  void run();

  // --- the statement that is decoded
  Modifiers &words() { return *modifiers; }
  size_t operandCount() const { return statement->operands.size(); }
  const Operand &operand(size_t index);
  void expectOperands(size_t atLeast, size_t atMost = 0);
  [[noreturn]] void fail(const std::string &what) const;
  Type needType();

  // --- operands. Registers must have the width that is asked for, unless `atLeast`.
  Slot source(const Operand &operand, Type type, bool atLeast = false);
  Slot source(size_t index, Type type) { return source(operand(index), type); }
  Slot predicate(const Operand &operand); // `negated` is the caller's to heed
  Slot destination(const Operand &operand, Type type, bool atLeast = false);
  Slot destination(size_t index, Type type) { return destination(operand(index), type); }
  Slot secondDestination(const Operand &operand, Type type);
  // The base of an address, 32 or 64 bits wide; what is added to it is in the operand.
  Slot address(const Operand &operand);
  std::vector<Slot> sources(const Operand &operand, Type type, bool atLeast = false); // of a vector or a single one
  std::vector<Slot> destinations(const Operand &operand, Type type, bool atLeast = false);
  // Registers of a vector whose state the instruction keeps itself.
  std::vector<Slot> unchecked(const Operand &operand, Type type);
  uint64_t immediate(const Operand &operand);
  uint64_t immediate(size_t index) { return immediate(operand(index)); }

  Slot constant(uint64_t value, bool wide);
  Slot special(Special which);
  Slot temporary(unsigned bits);
  Slot carry(); // the condition code of add.cc and its like

  // --- what is decoded. `out` begins anew with each statement and after each emit.
  Instruction out;
  void emit();
  template <typename T> T &detail() {
    auto made = std::make_unique<T>();
    T &result = *made;
    program.details.push_back(std::move(made));
    out.detail = &result;
    return result;
  }
  void reads(const Slot &slot);
  void writes(const Slot &slot);
  void emitLanes(LaneHandler handler);
  void emitMachine(MachineHandler handler);

  // --- the function
  Function &target() { return function; }
  Program &module() { return program; }
  const FunctionTree &source() const { return tree; }
  // The code position of a label is known at the end: it goes into `place` then.
  void jumpsTo(std::string_view label);
  void jumpsTo(const std::vector<std::string_view> &labels, std::vector<uint32_t> &places);
  // Where a call's parameter lies in the thread's memory for calls.
  CallParameter callParameter(const Operand &operand);
  uint32_t callParamBase() const { return callBase; }

private:
  void decodeStatement(const Statement &next);
  void decodeGuard();
  Slot slotOf(int reg);
  Slot immediateSlot(const Operand &operand, Type type);
  Slot symbolSlot(const Operand &operand, bool wide);
  Slot specialSlot(const Operand &operand);
  void checkWidth(const Operand &operand, Type type, bool atLeast) const;
  uint32_t allocate(uint32_t bytes);
  uint32_t sharedOffset(const Variable &variable);
  void resolveLabels();
  uint32_t resolve(std::string_view label, uint32_t scope);

  struct PendingJump {
    size_t instruction; // of the code, or none
    std::vector<uint32_t> *places = nullptr;
    std::vector<std::string_view> labels;
    uint32_t scope;
    uint32_t line;
  };

  Program &program;
  FunctionTree &tree;
  Function &function;
  const Statement *statement = nullptr;
  std::optional<Modifiers> modifiers;
  std::vector<uint32_t> readNumbers, writeNumbers;
  std::vector<Slot> registers;
  std::map<std::pair<uint64_t, bool>, Slot> constants;
  std::map<Special, Slot> specials;
  std::map<std::pair<const Variable *, std::pair<uint64_t, bool>>, Slot> symbols;
  SharedOffsets sharedOffsets;
  std::vector<PendingJump> jumps;
  std::vector<uint32_t> statementStart; // in the code
  std::map<std::string_view, std::vector<const Label *>> labels;
  uint32_t localBase = 0, callBase = 0;
  uint32_t scratch = 0;
  Slot carrySlot;
};

using DecodeFunction = void (*)(Decoder &);
// Null if the opcode is unknown.
DecodeFunction decodeFunctionOf(std::string_view opcode);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_DECODE_DECODER_H
