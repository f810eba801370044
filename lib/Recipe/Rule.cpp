#include "qcc/Recipe/Recipe.h"
#include "llvm/ADT/STLExtras.h"

using namespace qcc;

static bool hasAttention(const std::set<std::string> &types) {
  return llvm::any_of(types, [](llvm::StringRef type) { return type.ends_with("Attention"); });
}

std::vector<LinearKind> qcc::allLinearKinds() {
  return {
      {"convolution", "it is a convolution, which has a compute type of its own only in int8-static",
       [](const LinearFacts &f) { return f.isConvolution; }},
      {"head", "its result is an output of the program", [](const LinearFacts &f) { return f.isHead; }},
      {"attention-input", "attention reads its result", [](const LinearFacts &f) { return hasAttention(f.readBy); }},
      {"attention-output", "it reads the result of attention",
       [](const LinearFacts &f) { return hasAttention(f.reads); }},
      {"mlp-input", "another linear operation reads its result, activated or multiplied",
       [](const LinearFacts &f) { return f.readBy.count("Linear") > 0; }},
      {"mlp-output", "it reads the result of another linear operation, activated or multiplied",
       [](const LinearFacts &f) { return f.reads.count("Linear") > 0; }},
  };
}

bool RecipeRule::matchesPosition(const LinearFacts &facts) const {
  if (!first && !last && !every)
    return true;
  int64_t position = countsLayers ? facts.layer : facts.index, count = countsLayers ? facts.layers : facts.count;
  if (position < 0)
    return false;
  bool isAtEnd = (first && position < *first) || (last && position >= count - *last);
  if ((first || last) && !isAtEnd)
    return false;
  return !every || (position >= from && (position - from) % *every == 0);
}

bool RecipeRule::matches(const LinearFacts &facts) const {
  auto oneOf = [](const std::vector<std::string> &wanted, const std::set<std::string> &types) {
    return wanted.empty() || llvm::any_of(wanted, [&](const std::string &type) { return types.count(type) > 0; });
  };
  auto isKind = [&](llvm::StringRef name) {
    return llvm::any_of(allLinearKinds(),
                        [&](const LinearKind &kind) { return kind.name == name && kind.holds(facts); });
  };
  return (kinds.empty() || llvm::any_of(kinds, isKind)) && oneOf(reads, facts.reads) && oneOf(readBy, facts.readBy) &&
         (names.empty() || llvm::any_of(names, [&](const auto &glob) { return glob.match(facts.name); })) &&
         matchesPosition(facts) && outputs.contain(facts.outputs) && inputs.contain(facts.inputs) &&
         weights.contain(facts.outputs * facts.inputs);
}
