#include "Syntax/Lexer.h"
#include "Syntax/Tree.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

namespace qcc::ptxemu {
namespace {

uint64_t alignUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

class Parser {
public:
  explicit Parser(std::string_view text) : text(text), tokens(lex(text)) {}

  ModuleTree run() {
    while (!current().empty())
      declaration();
    return std::move(module);
  }

private:
  // --- words
  std::string_view current(size_t ahead = 0) const {
    return tokens[std::min(position + ahead, tokens.size() - 1)].text;
  }
  uint32_t line() const { return tokens[position].line; }
  std::string_view take() {
    if (current().empty())
      fail("the text ends in the middle");
    return tokens[position++].text;
  }
  bool accept(std::string_view word) {
    if (current() != word)
      return false;
    ++position;
    return true;
  }
  void expect(std::string_view word) {
    if (!accept(word))
      fail("'" + std::string(word) + "' expected before '" + std::string(current()) + "'");
  }
  [[noreturn]] void fail(const std::string &what) const { throw SyntaxError(line(), what); }
  void skipLine() {
    for (uint32_t here = line(); line() == here && !current().empty();)
      ++position;
  }
  void skipTo(std::string_view word) {
    while (take() != word) {
    }
  }

  static bool startsNumber(std::string_view word) { return !word.empty() && word[0] >= '0' && word[0] <= '9'; }

  struct Number {
    uint64_t value = 0;
    bool isDouble = false, isSingle = false;
  };

  Number number() {
    bool negative = accept("-"), inverted = !negative && accept("~");
    if (accept("(")) {
      Number inner = number();
      expect(")");
      inner.value = negative ? -inner.value : inverted ? ~inner.value : inner.value;
      return inner;
    }
    std::string word(take());
    if (word == "WARP_SZ")
      return {32};
    if (!startsNumber(word))
      fail("a number expected before '" + word + "'");
    Number result;
    char kind = word.size() > 1 && word[0] == '0' ? word[1] : '\0';
    char *end = nullptr;
    if ((kind == 'f' || kind == 'F') && word.size() == 10) {
      result.value = std::strtoull(word.c_str() + 2, &end, 16) ^ (negative ? 0x80000000u : 0);
      result.isSingle = true;
    } else if ((kind == 'd' || kind == 'D') && word.size() == 18) {
      result.value = std::strtoull(word.c_str() + 2, &end, 16) ^ (negative ? uint64_t(1) << 63 : 0);
      result.isDouble = true;
    } else if (word.find('.') != std::string::npos) {
      double value = std::strtod(word.c_str(), &end);
      value = negative ? -value : value;
      std::memcpy(&result.value, &value, sizeof value);
      result.isDouble = true;
    } else {
      result.value =
          kind == 'b' || kind == 'B' ? std::strtoull(word.c_str() + 2, &end, 2) : std::strtoull(word.c_str(), &end, 0);
      if (*end == 'U')
        ++end;
      result.value = negative ? -result.value : inverted ? ~result.value : result.value;
    }
    if (*end != '\0')
      fail("'" + word + "' is not a number");
    return result;
  }
  uint64_t integer() { return number().value; }

  void triple(uint32_t (&values)[3]) {
    for (uint32_t &value : values)
      value = 1;
    for (unsigned dim = 0; dim < 3; ++dim) {
      values[dim] = static_cast<uint32_t>(integer());
      if (!accept(","))
        return;
    }
  }

  // --- the module
  void declaration() {
    std::string_view word = current();
    if (word == ".version" || word == ".address_size" || word == ".file" || word == ".loc") {
      skipLine();
    } else if (word == ".target") {
      take();
      module.target = take();
      skipLine();
    } else if (word == ".section") {
      skipTo("{");
      skipTo("}");
    } else if (word == ".pragma" || word == ".alias") {
      skipTo(";");
    } else if (accept(";")) {
    } else {
      bool isExternal = false;
      while (current() == ".visible" || current() == ".extern" || current() == ".weak" || current() == ".common")
        isExternal |= take() == ".extern";
      if (accept(".entry"))
        functionDeclaration(true);
      else if (accept(".func"))
        functionDeclaration(false);
      else if (current() == ".global" || current() == ".const" || current() == ".shared")
        moduleVariable(isExternal);
      else
        fail("'" + std::string(current()) + "' is not understood");
    }
  }

  void moduleVariable(bool isExternal) {
    std::string_view space = take();
    Variable prototype;
    prototype.space = space == ".shared" ? Space::Shared : Space::Global;
    prototype.isConstant = space == ".const";
    prototype.isExternal = isExternal;
    variables(prototype, module.variables, &module.sharedBytes);
  }

  // `[.align n] [.v4] type name[n] = {...}, name ... ;` behind the space. `bytes` counts the space's size.
  void variables(Variable prototype, std::deque<Variable> &into, uint64_t *bytes) {
    unsigned elementBytes = variableType(prototype);
    do {
      variable(prototype, elementBytes, into, bytes);
    } while (accept(","));
    expect(";");
  }

  unsigned variableType(Variable &prototype) {
    uint64_t alignment = 0;
    unsigned vector = 1;
    Type type = Type::None;
    while (!current().empty() && current()[0] == '.') {
      std::string_view word = take().substr(1);
      if (word == "align")
        alignment = integer();
      else if (word == "attribute" || word == "relocatable")
        skipTo(")");
      else if (word == "v2" || word == "v4" || word == "v8")
        vector = word[1] - '0';
      else if (word == "ptr")
        pointerAttributes();
      else if ((type = typeOf(word)) == Type::None)
        fail("'." + std::string(word) + "' of a variable is not understood");
    }
    unsigned elementBytes = std::max(1u, bitsOf(type) / 8);
    prototype.alignment = alignment ? alignment : elementBytes * vector;
    prototype.size = elementBytes * vector;
    if (prototype.alignment & (prototype.alignment - 1))
      fail("an alignment that is no power of two");
    return elementBytes;
  }

  void pointerAttributes() {
    while (current() == ".global" || current() == ".const" || current() == ".local" || current() == ".shared")
      take();
    if (accept(".align"))
      integer();
  }

  void variable(Variable result, unsigned elementBytes, std::deque<Variable> &into, uint64_t *bytes) {
    result.name = take();
    while (accept("[")) {
      if (accept("]")) {
        result.isDynamic = true;
        continue;
      }
      uint64_t count = integer();
      if (count && result.size > (uint64_t(1) << 40) / count)
        fail("a variable that is too large");
      result.size *= count;
      expect("]");
    }
    if (result.isDynamic)
      result.size = 0;
    if (accept("="))
      initialValue(result, elementBytes);
    if (bytes && !(result.space == Space::Shared && result.isDynamic)) {
      result.offset = alignUp(*bytes, result.alignment);
      *bytes = result.offset + result.size;
    }
    into.push_back(std::move(result));
  }

  void initialValue(Variable &variable, unsigned elementBytes) {
    std::vector<uint8_t> bytes;
    initialElements(variable, elementBytes, bytes);
    if (variable.isDynamic) {
      variable.isDynamic = false;
      variable.size = bytes.size();
    }
    if (bytes.size() > variable.size)
      fail("more initial values than the variable has elements");
    bytes.resize(variable.size);
    variable.initial = std::move(bytes);
  }

  void initialElements(Variable &variable, unsigned elementBytes, std::vector<uint8_t> &bytes) {
    if (accept("{")) {
      while (!accept("}")) {
        initialElements(variable, elementBytes, bytes);
        if (current() != "}")
          expect(",");
      }
      return;
    }
    uint64_t at = bytes.size();
    bytes.resize(at + elementBytes);
    bool isNumber = startsNumber(current()) || current() == "-" || current() == "~";
    if (isNumber) {
      Number value = number();
      if (!accept("(")) {
        if (value.isDouble && elementBytes == 4)
          value.value = singleBits(value.value);
        std::memcpy(&bytes[at], &value.value, std::min<size_t>(elementBytes, 8));
        return;
      }
      // mask(symbol): some of the address's bytes
      variable.relocations.push_back(symbolAddress(at));
      expect(")");
      Relocation &relocation = variable.relocations.back();
      relocation.bytes = elementBytes;
      while (!(value.value >> relocation.shift & 1) && relocation.shift < 63)
        ++relocation.shift;
      return;
    }
    variable.relocations.push_back(symbolAddress(at));
    variable.relocations.back().bytes = elementBytes;
  }

  Relocation symbolAddress(uint64_t at) {
    Relocation result;
    result.at = at;
    result.generic = accept("generic");
    if (result.generic)
      expect("(");
    result.symbol = take();
    if (result.generic)
      expect(")");
    if (accept("+"))
      result.addend = static_cast<int64_t>(integer());
    else if (current() == "-")
      result.addend = static_cast<int64_t>(integer());
    return result;
  }

  static uint64_t singleBits(uint64_t doubleBits) {
    double value;
    std::memcpy(&value, &doubleBits, sizeof value);
    float single = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &single, sizeof bits);
    return bits;
  }

  // --- functions
  void functionDeclaration(bool isKernel) {
    FunctionTree tree;
    tree.isKernel = isKernel;
    tree.line = line();
    function = &tree;
    uint64_t *bytes = isKernel ? &tree.parameterBytes : &tree.callParamBytes;
    if (accept("("))
      parameterList(tree.results, bytes);
    tree.name = take();
    if (accept("("))
      parameterList(tree.parameters, bytes);
    functionDirectives(tree);
    if (!accept(";")) {
      tree.hasBody = true;
      body();
    }
    function = nullptr;
    // A deque that is moved keeps its elements in place, so that pointers to variables stay what they are.
    auto known = std::find_if(module.functions.begin(), module.functions.end(),
                              [&](const FunctionTree &other) { return other.name == tree.name; });
    if (known == module.functions.end())
      module.functions.push_back(std::move(tree));
    else if (tree.hasBody && known->hasBody)
      fail("'" + std::string(tree.name) + "' is defined twice");
    else if (tree.hasBody)
      *known = std::move(tree);
  }

  void parameterList(std::vector<const Variable *> &list, uint64_t *bytes) {
    while (!accept(")")) {
      if (!accept(".param"))
        fail("only .param parameters are understood");
      Variable prototype;
      prototype.space = Space::Param;
      prototype.isCallParam = !function->isKernel;
      unsigned elementBytes = variableType(prototype);
      variable(prototype, elementBytes, function->variables, bytes);
      list.push_back(&function->variables.back());
      accept(",");
    }
  }

  void functionDirectives(FunctionTree &tree) {
    while (current() != "{" && current() != ";") {
      std::string_view word = take();
      if (word == ".maxntid")
        triple(tree.maximumBlock);
      else if (word == ".reqntid")
        triple(tree.requiredBlock);
      else if (word == ".reqnctapercluster")
        triple(tree.requiredCluster);
      else if (word == ".maxnreg" || word == ".minnctapersm" || word == ".maxnctapersm") {
        tree.hasRegisterBound = true;
        integer();
      } else if (word == ".maxclusterrank" || word == ".abi_preserve" || word == ".abi_preserve_control")
        integer();
      else if (word == ".pragma")
        skipTo(";");
      else if (word == ".attribute")
        skipTo(")");
      else if (word != ".explicitcluster" && word != ".blocksareclusters" && word != ".noreturn" && word != ".unified")
        fail("'" + std::string(word) + "' of a function is not understood");
    }
  }

  void body() {
    expect("{");
    function->parentScope = {0};
    scopes = {{0, {}, {}}};
    while (!scopes.empty()) {
      if (accept("{")) {
        uint32_t id = static_cast<uint32_t>(function->parentScope.size());
        function->parentScope.push_back(scopes.back().id);
        scopes.push_back({id, {}, {}});
      } else if (accept("}")) {
        scopes.pop_back();
      } else if (accept(";")) {
      } else if (current(1) == ":" && current()[0] != '@') {
        label();
      } else if (current()[0] == '.') {
        bodyDirective();
      } else {
        statement();
      }
    }
  }

  void label() {
    std::string_view name = take();
    take();
    if (accept(".branchtargets")) {
      std::vector<std::string_view> &targets = function->targetLists[name];
      do {
        targets.push_back(take());
      } while (accept(","));
      expect(";");
    } else if (current() == ".callprototype" || current() == ".calltargets") {
      skipTo(";");
    } else {
      function->labels.push_back({name, scopes.back().id, static_cast<uint32_t>(function->statements.size())});
    }
  }

  void bodyDirective() {
    std::string_view word = take();
    Variable prototype;
    if (word == ".reg") {
      registers();
    } else if (word == ".loc" || word == ".file") {
      --position;
      skipLine();
    } else if (word == ".pragma") {
      skipTo(";");
    } else if (word == ".local") {
      prototype.space = Space::Local;
      scopedVariables(prototype, &function->localBytes);
    } else if (word == ".shared") {
      prototype.space = Space::Shared;
      scopedVariables(prototype, &function->sharedBytes);
    } else if (word == ".param") {
      prototype.space = Space::Param;
      prototype.isCallParam = true;
      scopedVariables(prototype, &function->callParamBytes);
    } else {
      fail("'" + std::string(word) + "' is not understood");
    }
  }

  void scopedVariables(const Variable &prototype, uint64_t *bytes) {
    size_t before = function->variables.size();
    variables(prototype, function->variables, bytes);
    for (size_t index = before; index < function->variables.size(); ++index)
      scopes.back().variables[function->variables[index].name] = &function->variables[index];
  }

  void registers() {
    Type type = Type::None;
    while (!current().empty() && current()[0] == '.') {
      std::string_view word = take().substr(1);
      if ((type = typeOf(word)) == Type::None)
        fail("registers of type '." + std::string(word) + "' are not understood");
    }
    do {
      std::string name(take());
      if (!accept("<")) {
        addRegister(name, type);
        continue;
      }
      uint64_t count = integer();
      expect(">");
      if (count > 1u << 20)
        fail("too many registers");
      for (uint64_t index = 0; index < count; ++index)
        addRegister(name + std::to_string(index), type);
    } while (accept(","));
    expect(";");
  }

  void addRegister(const std::string &name, Type type) {
    scopes.back().registers[name] = static_cast<int>(function->registers.size());
    function->registers.push_back({name, type});
  }

  void statement() {
    Statement result;
    result.line = line();
    result.scope = scopes.back().id;
    result.begin = offsetOf(position);
    if (accept("@")) {
      result.guardNegated = accept("!");
      result.guard = findRegister(take());
      if (result.guard < 0)
        fail("the guard is no register");
    }
    result.opcode = take();
    while (!accept(";")) {
      result.operands.push_back(operand());
      if (current() != ";")
        expect(",");
    }
    result.end = offsetOf(position - 1);
    function->statements.push_back(std::move(result));
  }

  uint32_t offsetOf(size_t token) const { return static_cast<uint32_t>(tokens[token].text.data() - text.data()); }

  int findRegister(std::string_view name) const {
    for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
      if (auto found = scope->registers.find(name); found != scope->registers.end())
        return found->second;
    return -1;
  }

  const Variable *findVariable(std::string_view name) const {
    for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
      if (auto found = scope->variables.find(name); found != scope->variables.end())
        return found->second;
    for (const std::vector<const Variable *> *list : {&function->parameters, &function->results})
      for (const Variable *each : *list)
        if (each->name == name)
          return each;
    for (const Variable &each : module.variables)
      if (each.name == name)
        return &each;
    return nullptr;
  }

  Operand list(Operand::Kind kind, std::string_view closing) {
    Operand result;
    result.kind = kind;
    while (!accept(closing)) {
      result.parts.push_back(operand());
      if (current() != closing)
        expect(",");
    }
    return result;
  }

  Operand operand() {
    if (accept("{"))
      return list(Operand::Vector, "}");
    if (accept("("))
      return list(Operand::Group, ")");
    if (accept("["))
      return address();
    if (accept("!")) {
      Operand result = operand();
      result.negated = true;
      return result;
    }
    if (current() == "-" || current() == "~" || startsNumber(current()) || current() == "WARP_SZ") {
      Operand result;
      result.kind = Operand::Immediate;
      Number value = number();
      result.value = value.value;
      result.isDouble = value.isDouble;
      result.isSingle = value.isSingle;
      return result;
    }
    return named();
  }

  Operand named() {
    Operand result;
    std::string_view word = take();
    result.name = word;
    result.reg = findRegister(word);
    if (result.reg >= 0 || word == "_") {
      result.kind = word == "_" ? Operand::Sink : Operand::Register;
      if (accept("|")) {
        result.hasSecond = true;
        std::string_view second = take();
        result.second = second == "_" ? -1 : findRegister(second);
        if (second != "_" && result.second < 0)
          fail("'" + std::string(second) + "' is no register");
      }
    } else if (word[0] == '%') {
      result.kind = Operand::Special;
    } else {
      result.kind = Operand::Symbol;
      result.variable = findVariable(word);
      if (result.variable)
        result.value = offsetBehind();
    }
    return result;
  }

  uint64_t offsetBehind() {
    if (accept("+"))
      return integer();
    return current() == "-" ? integer() : 0;
  }

  Operand address() {
    Operand result = operand();
    if (result.kind == Operand::Vector || result.kind == Operand::Group || result.kind == Operand::Address)
      fail("an address expected");
    if (result.kind == Operand::Register)
      result.value = offsetBehind();
    if (result.kind == Operand::Symbol && !result.variable)
      fail("'" + std::string(result.name) + "' is not declared");
    result.kind = Operand::Address;
    while (accept(","))
      result.parts.push_back(operand());
    expect("]");
    return result;
  }

  struct Scope {
    uint32_t id;
    std::map<std::string, int, std::less<>> registers;
    std::map<std::string_view, const Variable *> variables;
  };

  std::string_view text;
  std::vector<Token> tokens;
  size_t position = 0;
  ModuleTree module;
  FunctionTree *function = nullptr;
  std::vector<Scope> scopes;
};

} // namespace

ModuleTree parseModule(std::string_view text) { return Parser(text).run(); }

} // namespace qcc::ptxemu
