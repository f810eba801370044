#include "ApplyRecipe.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace qcc;

namespace {
/// A field's text on its way through the rules, and who has said it.
struct Said {
  std::string text;
  Location loc;
};
} // namespace

static Location at(Compilation &c, RecipePlace place) {
  return FileLineColLoc::get(&c.context, c.options.recipe, place.line, place.column);
}

static FailureOr<Recipe> readRecipe(Compilation &c) {
  if (c.options.recipe.empty())
    return Recipe();
  auto file = llvm::MemoryBuffer::getFile(c.options.recipe);
  if (!file)
    return emitError(UnknownLoc::get(&c.context))
           << "cannot read the recipe '" << c.options.recipe << "': " << file.getError().message();
  RecipeError error;
  if (auto recipe = Recipe::parse((*file)->getBuffer(), error))
    return *recipe;
  return emitError(at(c, error.place)) << error.message;
}

/// What `auto` chooses from: every step of bits that there is, with and without zeros.
static constexpr llvm::StringLiteral automatic =
    "int2-g32-asym,int3-g128-asym,int3-g32-asym,int4-g128-asym,int4-g64-asym,int4-g32-asym,nvfp4,int8-g32,float16";

static FailureOr<std::vector<Format>> formatsOf(const Said &said) {
  std::vector<Format> formats;
  StringRef text = said.text == "auto" ? StringRef(automatic) : StringRef(said.text);
  for (StringRef name : llvm::split(text, ',')) {
    auto format = findFormat(name.trim());
    if (!format)
      return emitError(said.loc) << llvm::toString(format.takeError());
    formats.push_back(*format);
  }
  return formats;
}

/// The format of a head where nobody has named one. A head decides between outputs that lie close together: below 8
/// bits it costs more than all other layers.
static std::string defaultHeadFormat(StringRef format) {
  if (format == "auto" || format.contains(','))
    return format.str(); // its harm is measured
  auto known = findFormat(format);
  if (!known)
    return llvm::consumeError(known.takeError()), format.str(); // reported where it is used
  return known->element->bits() < 8 ? "int8-g32" : format.str();
}

FailureOr<std::vector<LinearChoice>> qcc::applyRecipe(Compilation &c) {
  FailureOr<Recipe> recipe = readRecipe(c);
  if (failed(recipe))
    return failure();
  if (recipe->budget && c.options.budget.empty() && c.options.mostDivergence == 0)
    c.options.budget = recipe->budget->text;
  const CompileOptions &options = c.options;
  std::string headFormat = options.headFormat.empty() ? defaultHeadFormat(options.format) : options.headFormat;
  std::vector<bool> matched(recipe->rules.size());
  std::vector<LinearChoice> choices;
  for (DescribedLinear &linear : describeLinears(*c.module)) {
    Location byOptions = c.module->getLoc();
    Said format{linear.facts.isHead ? headFormat : options.format, byOptions}, act{options.act, linear.op.getLoc()},
        method{options.method, byOptions};
    for (auto [i, rule] : llvm::enumerate(recipe->rules)) {
      if (!rule.matches(linear.facts))
        continue;
      matched[i] = true;
      if (rule.format)
        format = {rule.format->text, at(c, rule.format->place)};
      if (rule.act)
        act = {rule.act->text, at(c, rule.act->place)};
      if (rule.method)
        method = {rule.method->text, at(c, rule.method->place)};
    }
    auto formats = formatsOf(format);
    if (failed(formats))
      return failure();
    auto steps = Method::parse(method.text);
    if (!steps)
      return emitError(method.loc) << llvm::toString(steps.takeError());
    choices.push_back({linear.op, std::move(*formats), act.text, std::move(*steps), act.loc});
  }
  for (auto [i, rule] : llvm::enumerate(recipe->rules))
    if (!matched[i])
      emitWarning(at(c, rule.place)) << "the rule matches no linear operation";
  return choices;
}
