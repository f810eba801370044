#include "qcc/Recipe/Recipe.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

using namespace qcc;

static RecipePlace placeOf(const toml::source_region &region) { return {region.begin.line, region.begin.column}; }

namespace {
/// Reads a rule key by key; the first thing that is wrong ends it.
class RuleReader {
public:
  RuleReader(RecipeRule &rule, RecipeError &error) : rule(rule), error(error) {}

  bool read(const toml::table &table) {
    rule.place = placeOf(table.source());
    for (auto &&[key, value] : table)
      if (!readKey(key, value))
        return false;
    if (!rule.format && !rule.act && !rule.method)
      return fail(rule.place, "the rule chooses nothing; it has to have a format, an act or a method");
    if (countsFrom && !rule.every)
      return fail(*countsFrom, "'from' says where 'every' begins to count, which is not there");
    if (counted && !rule.first && !rule.last && !rule.every)
      return fail(*counted, "'of' says what 'first', 'last' and 'every' count, of which there is none");
    return true;
  }

private:
  bool fail(RecipePlace place, const llvm::Twine &message) {
    error = {message.str(), place};
    return false;
  }

  bool readKey(const toml::key &key, const toml::node &value) {
    std::string_view name = key.str();
    if (name == "format")
      return readChoice(name, value, rule.format);
    if (name == "act")
      return readChoice(name, value, rule.act);
    if (name == "method")
      return readChoice(name, value, rule.method);
    if (name == "kind")
      return readKinds(value);
    if (name == "reads")
      return readWords(name, value, rule.reads);
    if (name == "read-by")
      return readWords(name, value, rule.readBy);
    if (name == "name")
      return readNames(value);
    if (name == "first")
      return readCount(name, value, 1, rule.first);
    if (name == "last")
      return readCount(name, value, 1, rule.last);
    if (name == "every")
      return readCount(name, value, 1, rule.every);
    if (name == "from")
      return readFrom(value);
    if (name == "of")
      return readOf(value);
    if (name == "outputs")
      return readBounds(name, value, rule.outputs);
    if (name == "inputs")
      return readBounds(name, value, rule.inputs);
    if (name == "weights")
      return readBounds(name, value, rule.weights);
    return fail(placeOf(key.source()),
                "a rule has no key '" + std::string(name) +
                    "'; it may ask for kind, reads, read-by, name, first, last, every, from, of, outputs, inputs and "
                    "weights, and choose format, act and method");
  }

  bool readText(std::string_view name, const toml::node &value, std::string &text) {
    auto string = value.as_string();
    if (!string || string->get().empty())
      return fail(placeOf(value.source()), "'" + std::string(name) + "' has to be a text such as \"" +
                                               (name == "format" ? "int4-g32" : "...") + "\"");
    text = string->get();
    return true;
  }

  bool readChoice(std::string_view name, const toml::node &value, std::optional<RecipeChoice> &choice) {
    choice.emplace();
    choice->place = placeOf(value.source());
    return readText(name, value, choice->text);
  }

  /// One text, or several in an array, each handed to `add` with its place.
  template <typename Add> bool forEachText(std::string_view name, const toml::node &value, Add add) {
    std::string text;
    auto array = value.as_array();
    if (!array)
      return readText(name, value, text) && add(text, placeOf(value.source()));
    if (array->empty())
      return fail(placeOf(value.source()), "'" + std::string(name) + "' is empty: the rule can match nothing");
    for (const toml::node &element : *array)
      if (!readText(name, element, text) || !add(text, placeOf(element.source())))
        return false;
    return true;
  }

  bool readWords(std::string_view name, const toml::node &value, std::vector<std::string> &words) {
    return forEachText(name, value, [&](const std::string &text, RecipePlace) {
      words.push_back(text);
      return true;
    });
  }

  bool readKinds(const toml::node &value) {
    return forEachText("kind", value, [&](const std::string &text, RecipePlace place) {
      std::string known;
      for (const LinearKind &kind : allLinearKinds()) {
        if (kind.name == text) {
          rule.kinds.push_back(text);
          return true;
        }
        known += (known.empty() ? "" : ", ") + kind.name.str();
      }
      return fail(place, "there is no kind '" + text + "'; there are " + known);
    });
  }

  bool readNames(const toml::node &value) {
    return forEachText("name", value, [&](const std::string &text, RecipePlace place) {
      auto glob = llvm::GlobPattern::create(text);
      if (!glob)
        return fail(place, "'" + text + "' is no pattern: " + llvm::toString(glob.takeError()));
      rule.names.push_back(std::move(*glob));
      return true;
    });
  }

  bool readNumber(std::string_view name, const toml::node &value, int64_t least, int64_t &number) {
    auto integer = value.as_integer();
    if (!integer || integer->get() < least)
      return fail(placeOf(value.source()),
                  "'" + std::string(name) + "' has to be a whole number, at least " + std::to_string(least));
    number = integer->get();
    return true;
  }

  bool readCount(std::string_view name, const toml::node &value, int64_t least, std::optional<int64_t> &count) {
    return readNumber(name, value, least, count.emplace());
  }

  bool readFrom(const toml::node &value) {
    countsFrom = placeOf(value.source());
    return readNumber("from", value, 0, rule.from);
  }

  bool readOf(const toml::node &value) {
    std::string text;
    if (!readText("of", value, text))
      return false;
    counted = placeOf(value.source());
    if (text != "linears" && text != "layers")
      return fail(*counted, "positions are counted of \"linears\" or of \"layers\"");
    rule.countsLayers = text == "layers";
    return true;
  }

  bool readBounds(std::string_view name, const toml::node &value, RecipeRule::Bounds &bounds) {
    auto table = value.as_table();
    if (!table || table->empty())
      return fail(placeOf(value.source()), "'" + std::string(name) + "' has to be bounds such as { min = 4096 }");
    for (auto &&[key, bound] : *table) {
      if (key.str() != "min" && key.str() != "max")
        return fail(placeOf(key.source()), "bounds have min and max, but no '" + std::string(key.str()) + "'");
      if (!readNumber(key.str(), bound, 0, key.str() == "min" ? bounds.least : bounds.most))
        return false;
    }
    if (bounds.least > bounds.most)
      return fail(placeOf(value.source()), "'" + std::string(name) + "' has a min above its max: nothing can match");
    return true;
  }

  RecipeRule &rule;
  RecipeError &error;
  std::optional<RecipePlace> countsFrom, counted;
};
} // namespace

std::optional<Recipe> Recipe::parse(llvm::StringRef text, RecipeError &error) {
  toml::parse_result parsed = toml::parse(std::string_view(text.data(), text.size()));
  if (!parsed) {
    error = {std::string(parsed.error().description()), placeOf(parsed.error().source())};
    return std::nullopt;
  }
  Recipe recipe;
  for (auto &&[key, value] : parsed.table()) {
    if (key.str() == "budget") {
      auto text = value.as_string();
      if (!text) {
        error = {"'budget' has to be a text such as \"4.5bpw\" or \"80MB\"", placeOf(value.source())};
        return std::nullopt;
      }
      recipe.budget = RecipeChoice{text->get(), placeOf(value.source())};
      continue;
    }
    if (key.str() == "kv") {
      auto text = value.as_string();
      if (!text) {
        error = {"'kv' has to be a text such as \"int8\" or \"int8,int4\"", placeOf(value.source())};
        return std::nullopt;
      }
      recipe.cache = RecipeChoice{text->get(), placeOf(value.source())};
      continue;
    }
    auto rules = value.as_array();
    if (key.str() != "rule") {
      error = {"a recipe is made of [[rule]], a budget and kv, and has no key '" + std::string(key.str()) + "'",
               placeOf(key.source())};
      return std::nullopt;
    }
    if (!rules || !rules->is_homogeneous(toml::node_type::table)) {
      error = {"rules begin with [[rule]]", placeOf(key.source())};
      return std::nullopt;
    }
    for (const toml::node &rule : *rules)
      if (!RuleReader(recipe.rules.emplace_back(), error).read(*rule.as_table()))
        return std::nullopt;
  }
  if (recipe.rules.empty() && !recipe.cache) {
    error = {"the recipe has no [[rule]]", {1, 1}};
    return std::nullopt;
  }
  return recipe;
}
