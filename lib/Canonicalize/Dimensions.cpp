#include "qcc/Canonicalize/Dimensions.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qcc;

static constexpr llvm::StringLiteral symbolsAttr = "onnx.symbols";
static constexpr const char *kindNames[] = {"input", "max", "min", "ifequal", "ifnegative", "floordiv", "runtime"};

std::optional<int64_t> qcc::constantOf(Dim dim) {
  if (auto constant = llvm::dyn_cast_if_present<AffineConstantExpr>(dim))
    return constant.getValue();
  return std::nullopt;
}

llvm::SmallVector<Dim> qcc::dimsOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (auto map = dyn_cast_if_present<AffineMapAttr>(tensor.getEncoding()))
    return llvm::to_vector(map.getValue().getResults());
  llvm::SmallVector<Dim> dims;
  for (int64_t size : tensor.getShape())
    dims.push_back(getAffineConstantExpr(size, type.getContext()));
  return dims;
}

FailureOr<Dimensions> Dimensions::load(ModuleOp module) {
  Dimensions result(module.getContext());
  auto list = module->getAttrOfType<ArrayAttr>(symbolsAttr);
  for (Attribute entry : list ? list.getValue() : ArrayRef<Attribute>()) {
    auto dict = dyn_cast<DictionaryAttr>(entry);
    auto kind = dict ? dict.getAs<StringAttr>("kind") : StringAttr();
    const auto *found = kind ? llvm::find(kindNames, kind.getValue()) : std::end(kindNames);
    if (found == std::end(kindNames))
      return module.emitError("attribute 'onnx.symbols' has an entry that is no dimension symbol: ") << entry;
    Symbol symbol{Kind(found - kindNames), "", {}};
    if (auto name = dict.getAs<StringAttr>("name"))
      symbol.name = name.str();
    if (auto map = dict.getAs<AffineMapAttr>("of"))
      symbol.operands = llvm::to_vector(map.getValue().getResults());
    if (symbol.kind == Kind::Input)
      result.inputs[symbol.name] = result.table.size();
    result.table.push_back(std::move(symbol));
  }
  return result;
}

void Dimensions::store(ModuleOp module) const {
  Builder b(context);
  SmallVector<Attribute> entries;
  for (const Symbol &symbol : table) {
    SmallVector<NamedAttribute> fields = {b.getNamedAttr("kind", b.getStringAttr(kindNames[int(symbol.kind)]))};
    if (!symbol.name.empty())
      fields.push_back(b.getNamedAttr("name", b.getStringAttr(symbol.name)));
    if (!symbol.operands.empty())
      fields.push_back(b.getNamedAttr("of", AffineMapAttr::get(map(symbol.operands))));
    entries.push_back(b.getDictionaryAttr(fields));
  }
  module->setAttr(symbolsAttr, b.getArrayAttr(entries));
}

Dim Dimensions::input(StringRef name) {
  std::string key = name.empty() ? "dim_" + std::to_string(table.size()) : name.str();
  auto [it, fresh] = inputs.try_emplace(key, table.size());
  if (fresh)
    table.push_back({Kind::Input, key, {}});
  return getAffineSymbolExpr(it->second, context);
}

Dim Dimensions::runtime(StringRef hint) {
  table.push_back({Kind::Runtime, hint.str(), {}});
  return getAffineSymbolExpr(table.size() - 1, context);
}

Dim Dimensions::derived(Kind kind, ArrayRef<Dim> operands) {
  for (auto [i, symbol] : llvm::enumerate(table))
    if (symbol.kind == kind && ArrayRef<Dim>(symbol.operands) == operands)
      return getAffineSymbolExpr(i, context);
  table.push_back({kind, "", llvm::to_vector(operands)});
  return getAffineSymbolExpr(table.size() - 1, context);
}

namespace {
/// Recursive descent over the text of one dimension. Fails on anything that is not plainly arithmetic.
class TextParser {
public:
  TextParser(Dimensions &dims, StringRef text) : dims(dims), rest(text) {}
  Dim parse() {
    Dim result = sum(0);
    rest = rest.ltrim();
    return rest.empty() ? result : Dim();
  }

private:
  static constexpr int maxDepth = 32;
  bool eat(char c) {
    rest = rest.ltrim();
    return rest.consume_front(StringRef(&c, 1));
  }
  Dim sum(int depth) {
    Dim left = term(depth);
    while (left) {
      bool plus = eat('+');
      if (!plus && !eat('-'))
        break;
      Dim right = term(depth);
      left = !right ? Dim() : plus ? dims.add(left, right) : dims.sub(left, right);
    }
    return left;
  }
  Dim term(int depth) {
    Dim left = atom(depth);
    while (left) {
      bool times = eat('*');
      if (!times && !eat('/'))
        break;
      if (!times)
        eat('/'); // Python's floor division
      Dim right = atom(depth);
      left = !right ? Dim() : times ? dims.mul(left, right) : dims.floorDiv(left, right);
    }
    return left;
  }
  Dim atom(int depth) {
    if (depth > maxDepth)
      return {};
    if (eat('(')) {
      Dim inner = sum(depth + 1);
      return eat(')') ? inner : Dim();
    }
    rest = rest.ltrim();
    if (!rest.empty() && llvm::isDigit(rest.front())) {
      int64_t value = 0;
      return rest.consumeInteger(10, value) ? Dim() : dims.constant(value);
    }
    StringRef name = rest.take_while([](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; });
    rest = rest.drop_front(name.size());
    return name.empty() ? Dim() : dims.input(name);
  }
  Dimensions &dims;
  StringRef rest;
};
} // namespace

Dim Dimensions::parse(StringRef text) {
  bool plain = llvm::all_of(text, [](char c) { return llvm::isAlnum(c) || StringRef("_. +-*/()").contains(c); });
  if (plain && !text.trim().empty()) {
    Dimensions attempt = *this; // names of a text that does not parse must not become symbols
    if (Dim result = TextParser(attempt, text).parse()) {
      *this = std::move(attempt);
      return result;
    }
  }
  return input(text.trim());
}

/// No length that a program can have reaches it: a sum with a larger constant has that constant's sign. So arithmetic,
/// MLIR's too, never overflows.
static constexpr int64_t longest = int64_t(1) << 60;

static bool isHuge(int64_t value) { return value >= longest || value <= -longest; }
static int64_t saturated(bool negative) { return negative ? -INT64_MAX : INT64_MAX; }

static int64_t saturatingMul(int64_t a, int64_t b) {
  int64_t result = 0;
  return llvm::MulOverflow(a, b, result) ? saturated((a < 0) != (b < 0)) : result;
}

static std::optional<int64_t> hugeConstantIn(Dim dim) {
  std::optional<int64_t> found;
  dim.walk([&](AffineExpr part) {
    if (auto value = constantOf(part); value && isHuge(*value))
      found = *value;
  });
  return found;
}

Dim Dimensions::simplify(Dim dim) const { return simplifyAffineExpr(dim, 0, table.size()); }

Dim Dimensions::add(Dim a, Dim b) const {
  auto constantA = constantOf(a), constantB = constantOf(b);
  if (constantA && constantB) {
    int64_t sum = 0;
    return constant(llvm::AddOverflow(*constantA, *constantB, sum) ? saturated(*constantA < 0) : sum);
  }
  for (auto value : {constantA, constantB})
    if (value && isHuge(*value))
      return constant(saturated(*value < 0));
  Dim sum = simplify(a + b);
  auto huge = hugeConstantIn(sum);
  return huge ? constant(saturated(*huge < 0)) : sum;
}

Dim Dimensions::sub(Dim a, Dim b) const { return add(a, mul(b, constant(-1))); }

/// The factors of a product: its constant and the rest.
static void factors(Dim dim, int64_t &constant, SmallVectorImpl<Dim> &rest) {
  if (auto value = constantOf(dim)) {
    constant = saturatingMul(constant, *value);
  } else if (dim.getKind() == AffineExprKind::Mul) {
    auto product = cast<AffineBinaryOpExpr>(dim);
    factors(product.getLHS(), constant, rest);
    factors(product.getRHS(), constant, rest);
  } else {
    rest.push_back(dim);
  }
}

static Dim rebuild(int64_t constant, SmallVectorImpl<Dim> &rest, MLIRContext *context) {
  // One order of factors for one product, so that equal lengths are the same expression.
  llvm::sort(rest, [](Dim a, Dim b) {
    auto key = [](Dim d) {
      return isa<AffineSymbolExpr>(d) ? int64_t(cast<AffineSymbolExpr>(d).getPosition()) : INT64_MAX;
    };
    return key(a) < key(b);
  });
  if (rest.empty() || constant == 0)
    return getAffineConstantExpr(constant, context);
  if (isHuge(constant))
    return getAffineConstantExpr(saturated(constant < 0), context);
  Dim result = rest.front();
  for (Dim factor : ArrayRef<Dim>(rest).drop_front())
    result = result * factor;
  return constant == 1 ? result : result * constant;
}

Dim Dimensions::mul(Dim a, Dim b) const {
  int64_t constant = 1;
  SmallVector<Dim> rest;
  factors(a, constant, rest);
  factors(b, constant, rest);
  return rebuild(constant, rest, context);
}

Dim Dimensions::product(ArrayRef<Dim> dims) const {
  Dim result = constant(1);
  for (Dim dim : dims)
    result = mul(result, dim);
  return result;
}

Dim Dimensions::floorDiv(Dim a, Dim b) {
  int64_t constantA = 1, constantB = 1;
  SmallVector<Dim> restA, restB;
  factors(a, constantA, restA);
  factors(b, constantB, restB);
  for (Dim &factor : restB)
    if (auto *found = llvm::find(restA, factor); found != restA.end()) {
      restA.erase(found);
      factor = Dim();
    }
  llvm::erase(restB, Dim());
  if (restB.empty() && constantB > 0) {
    if (constantA % constantB == 0)
      return rebuild(constantA / constantB, restA, context);
    return simplify(rebuild(constantA, restA, context).floorDiv(constantB));
  }
  return derived(Kind::FloorDiv, {a, b});
}

Dim Dimensions::ceilDiv(Dim a, int64_t b) const { return simplify(a.ceilDiv(b)); }
Dim Dimensions::mod(Dim a, int64_t b) const { return simplify(a % b); }

Dim Dimensions::max(Dim a, Dim b) {
  if (a == b)
    return a;
  if (auto difference = constantOf(sub(a, b)))
    return *difference >= 0 ? a : b;
  if (constantOf(a) == 0 && isNonNegative(b))
    return b;
  if (constantOf(b) == 0 && isNonNegative(a))
    return a;
  return derived(Kind::Max, {a, b});
}

Dim Dimensions::min(Dim a, Dim b) {
  if (a == b)
    return a;
  if (auto difference = constantOf(sub(a, b)))
    return *difference >= 0 ? b : a;
  if (isNonNegative(sub(a, b)))
    return b;
  if (isNonNegative(sub(b, a)))
    return a;
  return derived(Kind::Min, {a, b});
}

Dim Dimensions::throughChoice(Dim choice, llvm::function_ref<Dim(Dim)> use) {
  auto symbol = dyn_cast<AffineSymbolExpr>(choice);
  if (!symbol)
    return {};
  Symbol entry = table[symbol.getPosition()];
  bool equal = entry.kind == Kind::IfEqual;
  if (!equal && entry.kind != Kind::IfNegative)
    return {};
  Dim otherwise = entry.operands.pop_back_val(), then = entry.operands.pop_back_val();
  if (!constantOf(then) || !constantOf(otherwise))
    return {};
  return equal ? ifEqual(entry.operands[0], entry.operands[1], use(then), use(otherwise))
               : ifNegative(entry.operands[0], use(then), use(otherwise));
}

Dim Dimensions::ifEqual(Dim a, Dim b, Dim then, Dim otherwise) {
  if (auto difference = constantOf(sub(a, b)))
    return *difference == 0 ? then : otherwise;
  if (then == otherwise)
    return then;
  for (auto [x, y] : {std::pair(a, b), std::pair(b, a)}) {
    if (isNonNegative(sub(sub(x, y), constant(1))))
      return otherwise;
    if (constantOf(y))
      if (Dim result = throughChoice(x, [&, y = y](Dim value) { return value == y ? then : otherwise; }))
        return result;
  }
  return derived(Kind::IfEqual, {a, b, then, otherwise});
}

Dim Dimensions::ifNegative(Dim a, Dim then, Dim otherwise) {
  if (auto value = constantOf(a))
    return *value < 0 ? then : otherwise;
  if (isNonNegative(a) || then == otherwise)
    return otherwise;
  if (isNonNegative(sub(constant(-1), a)))
    return then;
  if (Dim result = throughChoice(a, [&](Dim value) { return *constantOf(value) < 0 ? then : otherwise; }))
    return result;
  return derived(Kind::IfNegative, {a, then, otherwise});
}

void Dimensions::replaceInDefinitions(Dim symbol, Dim by) {
  for (Symbol &entry : table)
    for (Dim &operand : entry.operands)
      operand = replace(operand, symbol, by);
  facts.clear();
}

const Dimensions::Symbol *Dimensions::symbolOf(Dim dim, Kind kind) const {
  auto symbol = dyn_cast<AffineSymbolExpr>(dim);
  return symbol && table[symbol.getPosition()].kind == kind ? &table[symbol.getPosition()] : nullptr;
}

bool Dimensions::isCut(Dim cut, Dim length) const {
  if (cut == length || constantOf(cut) || !isAtMost(cut, length))
    return false;
  auto known = constantOf(length);
  return !known || (*known == 1 && symbolOf(cut, Kind::Max)); // no more than 1 may as well be none
}

bool Dimensions::isAtMost(Dim a, Dim b, int depth) const {
  constexpr int maxDepth = 4;
  if (isNonNegative(sub(b, a)))
    return true;
  if (depth > maxDepth)
    return false;
  auto operand = [&](const Symbol *symbol, int i) { return isAtMost(symbol->operands[i], b, depth + 1); };
  if (const Symbol *least = symbolOf(a, Kind::Min))
    return operand(least, 0) || operand(least, 1);
  if (const Symbol *most = symbolOf(a, Kind::Max))
    return operand(most, 0) && operand(most, 1);
  // A slice of a table: min(u, size) - min(v, size) is at most u - v, or 0.
  auto sum = dyn_cast<AffineBinaryOpExpr>(a);
  if (!sum || sum.getKind() != AffineExprKind::Add || !isNonNegative(b))
    return false;
  for (auto [plus, minus] : {std::pair(sum.getLHS(), sum.getRHS()), std::pair(sum.getRHS(), sum.getLHS())}) {
    const Symbol *end = symbolOf(plus, Kind::Min), *start = symbolOf(sub(constant(0), minus), Kind::Min);
    if (!end || !start)
      continue;
    for (int i : {0, 1})
      for (int j : {0, 1})
        if (end->operands[1 - i] == start->operands[1 - j] &&
            isAtMost(sub(end->operands[i], start->operands[j]), b, depth + 1))
          return true;
  }
  return false;
}

Dim Dimensions::broadcast(Dim a, Dim b) {
  if (a == b)
    return a;
  auto constantA = constantOf(a), constantB = constantOf(b);
  if (constantA)
    return *constantA == 1 ? b : a;
  if (constantB)
    return *constantB == 1 ? a : b;
  return ifEqual(a, constant(1), b, a);
}

bool Dimensions::isRuntime(Dim dim) const {
  bool found = false;
  dim.walk([&](AffineExpr part) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
      found |= factsOf(symbol.getPosition()).runtime;
  });
  return found;
}

/// Symbols are made after those that define them; what is told of each is told once.
const Dimensions::Facts &Dimensions::factsOf(unsigned position) const {
  while (facts.size() <= position) {
    const Symbol &entry = table[facts.size()];
    ArrayRef<Dim> of = entry.operands;
    Facts fact;
    fact.runtime = entry.kind == Kind::Runtime || llvm::any_of(of, [&](Dim operand) { return isRuntime(operand); });
    switch (entry.kind) {
    case Kind::Input:
      fact.nonNegative = true;
      break;
    case Kind::Max:
      fact.nonNegative = isNonNegative(of[0]) || isNonNegative(of[1]);
      break;
    case Kind::Min:
    case Kind::FloorDiv:
      fact.nonNegative = isNonNegative(of[0]) && isNonNegative(of[1]);
      break;
    case Kind::IfEqual:
      fact.nonNegative = isNonNegative(of[2]) && isNonNegative(of[3]);
      break;
    case Kind::IfNegative:
      fact.nonNegative = isNonNegative(of[1]) && (isNonNegative(of[2]) || of[2] == of[0]);
      break;
    case Kind::Runtime:
      break;
    }
    facts.push_back(fact);
  }
  return facts[position];
}

bool Dimensions::isNonNegative(Dim dim) const {
  if (auto value = constantOf(dim))
    return *value >= 0;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(dim))
    return factsOf(symbol.getPosition()).nonNegative;
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(dim)) {
    if (binary.getKind() == AffineExprKind::Mod)
      return true;
    return isNonNegative(binary.getLHS()) && isNonNegative(binary.getRHS());
  }
  return false;
}

AffineMap Dimensions::map(ArrayRef<Dim> dims) const {
  unsigned symbols =
      0; // no more than are used: equal dimensions must give equal types however many symbols the program has by now
  for (Dim dim : dims)
    dim.walk([&](AffineExpr part) {
      if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
        symbols = std::max(symbols, symbol.getPosition() + 1);
    });
  return AffineMap::get(0, symbols, dims, context);
}

RankedTensorType Dimensions::tensor(ArrayRef<Dim> dims, Type element) const {
  SmallVector<int64_t> shape;
  bool dynamic = false;
  for (Dim dim : dims) {
    auto value = constantOf(dim);
    dynamic |= !value;
    shape.push_back(value ? *value : ShapedType::kDynamic);
  }
  return RankedTensorType::get(shape, element, dynamic ? Attribute(AffineMapAttr::get(map(dims))) : Attribute());
}

std::optional<int64_t> Dimensions::evaluate(Dim dim, llvm::function_ref<std::optional<int64_t>(unsigned)> bound) const {
  if (auto value = qcc::constantOf(dim))
    return value;
  auto known = [&](ArrayRef<Dim> parts) {
    SmallVector<int64_t> values;
    for (Dim part : parts)
      if (auto value = evaluate(part, bound))
        values.push_back(*value);
    return values;
  };
  if (auto op = dyn_cast<AffineBinaryOpExpr>(dim)) {
    SmallVector<int64_t> v = known({op.getLHS(), op.getRHS()});
    int64_t result = 0;
    if (v.size() < 2)
      return std::nullopt;
    if (op.getKind() == AffineExprKind::Add || op.getKind() == AffineExprKind::Mul) {
      bool overflows = op.getKind() == AffineExprKind::Add ? llvm::AddOverflow(v[0], v[1], result)
                                                           : llvm::MulOverflow(v[0], v[1], result);
      return overflows ? std::nullopt : std::optional(result);
    }
    if (v[1] <= 0)
      return std::nullopt;
    return op.getKind() == AffineExprKind::FloorDiv  ? llvm::divideFloorSigned(v[0], v[1])
           : op.getKind() == AffineExprKind::CeilDiv ? llvm::divideCeilSigned(v[0], v[1])
                                                     : llvm::mod(v[0], v[1]);
  }
  unsigned position = cast<AffineSymbolExpr>(dim).getPosition();
  const Symbol &symbol = table[position];
  if (symbol.kind == Kind::Runtime)
    return std::nullopt;
  if (symbol.kind == Kind::Input)
    return bound(position);
  SmallVector<int64_t> v = known(symbol.operands);
  if (v.size() < symbol.operands.size())
    return std::nullopt;
  switch (symbol.kind) {
  case Kind::Max:
    return std::max(v[0], v[1]);
  case Kind::Min:
    return std::min(v[0], v[1]);
  case Kind::IfEqual:
    return v[0] == v[1] ? v[2] : v[3];
  case Kind::IfNegative:
    return v[0] < 0 ? v[1] : v[2];
  default:
    return v[1] == 0 ? 0 : llvm::divideFloorSigned(v[0], v[1]);
  }
}
