// A recipe: ordered rules that say which linear operations get which format, compute type and method. No MLIR here.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/GlobPattern.h"
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace qcc {

/// What rules may ask of a linear operation or a convolution: where it stands in the program's dataflow, and its size.
struct LinearFacts {
  std::string name; // of its node
  bool isHead = false, isConvolution = false;
  /// Types of the operators on the way back from its input and on from its result, across pointwise operators and
  /// changes of shape; those at which the ways end are among them. Another linear operation is "Linear".
  std::set<std::string> reads, readBy;
  int64_t index = 0, count = 1;   // among all linear operations or all convolutions, in program order
  int64_t layer = -1, layers = 0; // layers are counted by attention operators; -1: in none of them
  int64_t outputs = 0, inputs = 0;
};

/// A place in the recipe's text; both count from 1.
struct RecipePlace {
  unsigned line = 0, column = 0;
};

/// What a rule chooses, as it is spelled, and where.
struct RecipeChoice {
  std::string text;
  RecipePlace place;
};

/// A rule matches where everything that it asks for holds; of several words for one thing, one has to.
class RecipeRule {
public:
  RecipePlace place;
  std::vector<std::string> kinds, reads, readBy;
  std::vector<llvm::GlobPattern> names;
  /// Positions: among the first or the last n, and every n-th counted from `from`; of linear operations, or of layers.
  std::optional<int64_t> first, last, every;
  int64_t from = 0;
  bool countsLayers = false;
  struct Bounds {
    int64_t least = 0, most = std::numeric_limits<int64_t>::max();
    bool contain(int64_t value) const { return value >= least && value <= most; }
  };
  Bounds outputs, inputs, weights;

  std::optional<RecipeChoice> format, act, method;

  bool matches(const LinearFacts &facts) const;

private:
  bool matchesPosition(const LinearFacts &facts) const;
};

struct RecipeError {
  std::string message;
  RecipePlace place;
};

struct Recipe {
  std::vector<RecipeRule> rules;
  std::optional<RecipeChoice> budget; // for formats that are chosen among several
  std::optional<RecipeChoice> cache;  // the format that KV caches are kept in

  /// Reads the text of a recipe; what is wrong with it goes into `error`.
  static std::optional<Recipe> parse(llvm::StringRef text, RecipeError &error);
};

/// A kind of linear operation that a rule may name.
struct LinearKind {
  llvm::StringRef name, sentence;
  bool (*holds)(const LinearFacts &facts);
};
std::vector<LinearKind> allLinearKinds();

} // namespace qcc
