// A PTX text after parsing: functions with their statements, variables with their initial bytes. Views point into the
// text, which the program keeps.
#ifndef QCC_LIB_PTXEMU_SYNTAX_TREE_H
#define QCC_LIB_PTXEMU_SYNTAX_TREE_H

#include "Syntax/Type.h"

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace qcc::ptxemu {

enum class Space : uint8_t { Generic, Global, Shared, Local, Param };

struct Relocation {
  uint64_t at = 0; // byte of the variable
  std::string_view symbol;
  int64_t addend = 0;
  // Bytes of the address that are written: those under the mask, moved down.
  unsigned shift = 0, bytes = 8;
  bool generic = false;
};

struct Variable {
  std::string_view name;
  Space space = Space::Global;
  uint64_t size = 0, alignment = 1;
  // In its space: of the block's shared memory, of the thread's local memory, or of the block of parameters.
  uint64_t offset = 0;
  bool isConstant = false, isDynamic = false, isExternal = false;
  // Parameters that a call passes, and those of functions that are called; kernels' parameters are not.
  bool isCallParam = false;
  std::vector<uint8_t> initial; // empty or as long as `size`
  std::vector<Relocation> relocations;
};

struct RegisterName {
  std::string name;
  Type type = Type::None;
};

struct Operand {
  enum Kind : uint8_t { Register, Special, Immediate, Symbol, Vector, Address, Group, Sink };
  Kind kind = Sink;
  bool negated = false;
  bool isDouble = false;              // an immediate written as a floating-point number: the bits of a double
  bool isSingle = false;              // an immediate written as 0f...: the bits of a float
  int reg = -1, second = -1;          // index in the function; `second` stands behind |
  bool hasSecond = false;             // even if it is _
  uint64_t value = 0;                 // of an immediate; of an address and a symbol, what is added
  const Variable *variable = nullptr; // of a symbol or an address
  std::string_view name;              // of a symbol (label, function), a special register
  std::vector<Operand> parts;         // of a vector, a group; behind the base in an address
};

struct Statement {
  uint32_t line = 0;
  uint32_t begin = 0, end = 0; // in the text
  int guard = -1;              // a register
  bool guardNegated = false;
  uint32_t scope = 0;
  std::string_view opcode; // with its modifiers
  std::vector<Operand> operands;
};

struct Label {
  std::string_view name;
  uint32_t scope = 0;
  uint32_t statement = 0; // the one that follows
};

struct FunctionTree {
  std::string_view name;
  uint32_t line = 0;
  bool isKernel = false, hasBody = false;
  uint32_t requiredBlock[3] = {0, 0, 0}, maximumBlock[3] = {0, 0, 0}, requiredCluster[3] = {0, 0, 0};
  bool hasRegisterBound = false;
  std::deque<Variable> variables; // parameters first
  std::vector<const Variable *> parameters, results;
  std::vector<RegisterName> registers;
  std::vector<Statement> statements;
  std::vector<Label> labels;
  std::vector<uint32_t> parentScope;                                     // of each scope; the first is its own
  std::map<std::string_view, std::vector<std::string_view>> targetLists; // .branchtargets by their label
  uint64_t parameterBytes = 0, sharedBytes = 0, localBytes = 0, callParamBytes = 0;
};

struct ModuleTree {
  std::string_view target;
  std::deque<Variable> variables;
  std::deque<FunctionTree> functions;
  uint64_t sharedBytes = 0; // of variables outside of functions
};

// Throws SyntaxError.
ModuleTree parseModule(std::string_view text);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_SYNTAX_TREE_H
