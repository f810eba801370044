#include "ApplyRecipe.h"
#include "qcc/Calibration/StaticConvolutions.h"
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
    "int2-g128-asym,int2-g64-asym,int2-g32-asym,int2-g16-asym,int3-g128-asym,int3-g64-asym,int3-g32-asym,"
    "int4-g128-asym,int4-g64-asym,nvfp4,nf4,int4-g32-asym,int4-g16-asym,int8-g128,int8-g32,float16";

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

namespace {
/// What the options and the rules say of an operation.
class Chooser {
public:
  Chooser(Compilation &c, const Recipe &recipe)
      : c(c), recipe(recipe), matched(recipe.rules.size()),
        headFormat(c.options.headFormat.empty() ? defaultHeadFormat(c.options.format) : c.options.headFormat) {}

  struct Choice {
    Said format, act, method;
  };
  Choice choose(const LinearFacts &facts, Location loc) {
    Location byOptions = c.module->getLoc();
    Choice choice{
        {facts.isHead ? headFormat : c.options.format, byOptions}, {c.options.act, loc}, {c.options.method, byOptions}};
    for (auto [i, rule] : llvm::enumerate(recipe.rules)) {
      if (!rule.matches(facts))
        continue;
      matched[i] = true;
      if (rule.format)
        choice.format = {rule.format->text, at(c, rule.format->place)};
      if (rule.act)
        choice.act = {rule.act->text, at(c, rule.act->place)};
      if (rule.method)
        choice.method = {rule.method->text, at(c, rule.method->place)};
    }
    return choice;
  }

  void warnOfOthers() const {
    for (auto [i, rule] : llvm::enumerate(recipe.rules))
      if (!matched[i])
        emitWarning(at(c, rule.place)) << "the rule matches no linear operation";
  }

private:
  Compilation &c;
  const Recipe &recipe;
  std::vector<bool> matched;
  std::string headFormat;
};
} // namespace

static FailureOr<Method> methodOf(const Said &said) {
  auto steps = Method::parse(said.text);
  if (!steps)
    return emitError(said.loc) << llvm::toString(steps.takeError());
  return std::move(*steps);
}

static bool isStatic(StringRef act) { return act == staticInt8 || act == staticFp8; }

/// Whether a method has something to do with convolutions in float32.
static bool isOfConvolutions(StringRef method) {
  auto steps = Method::parse(method);
  if (steps)
    return steps->has("equalization");
  llvm::consumeError(steps.takeError()); // reported where it is used
  return false;
}

bool qcc::asksForCalibration(Compilation &c) {
  if (isStatic(c.options.act) || isOfConvolutions(c.options.method))
    return true;
  if (c.options.recipe.empty())
    return false;
  FailureOr<Recipe> recipe = readRecipe(c);
  return succeeded(recipe) && llvm::any_of(recipe->rules, [](const RecipeRule &rule) {
           return (rule.act && isStatic(rule.act->text)) || (rule.method && isOfConvolutions(rule.method->text));
         });
}

FailureOr<std::pair<std::string, Location>> qcc::cacheFormat(Compilation &c) {
  FailureOr<Recipe> recipe = readRecipe(c);
  if (failed(recipe))
    return failure();
  if (!c.options.cacheFormat.empty() || !recipe->cache)
    return std::pair(c.options.cacheFormat, c.module->getLoc());
  return std::pair(recipe->cache->text, at(c, recipe->cache->place));
}

FailureOr<CalibrationChoices> qcc::chooseCalibration(Compilation &c) {
  FailureOr<Recipe> recipe = readRecipe(c);
  if (failed(recipe))
    return failure();
  Chooser chooser(c, *recipe);
  CalibrationChoices choices;
  for (DescribedLinear &linear : describeLinears(*c.module))
    if (auto act = chooser.choose(linear.facts, linear.op.getLoc()).act.text; isStatic(act))
      choices.linears.push_back({linear.op, act});
  for (DescribedConvolution &convolution : describeConvolutions(*c.module)) {
    auto choice = chooser.choose(convolution.facts, convolution.op.getLoc());
    bool isInt8 = choice.act.text == staticInt8;
    if (isInt8 && choice.format.text != "int8")
      return emitError(choice.act.loc) << "--act=int8-static multiplies convolutions in weights of int8, and '"
                                       << choice.format.text << "' was chosen; use --fmt=int8";
    FailureOr<Method> method = methodOf(choice.method);
    if (failed(method))
      return failure();
    choices.convolutions.push_back({convolution.op, isInt8, std::move(*method)});
  }
  return choices;
}

FailureOr<std::vector<LinearChoice>> qcc::applyRecipe(Compilation &c) {
  FailureOr<Recipe> recipe = readRecipe(c);
  if (failed(recipe))
    return failure();
  if (recipe->budget && c.options.budget.empty() && c.options.mostDivergence == 0)
    c.options.budget = recipe->budget->text;
  Chooser chooser(c, *recipe);
  std::vector<LinearChoice> choices;
  for (DescribedLinear &linear : describeLinears(*c.module)) {
    auto choice = chooser.choose(linear.facts, linear.op.getLoc());
    auto formats = formatsOf(choice.format);
    if (failed(formats))
      return failure();
    FailureOr<Method> method = methodOf(choice.method);
    if (failed(method))
      return failure();
    choices.push_back({linear.op, std::move(*formats), choice.act.text, method->ofLinears(), choice.act.loc});
  }
  for (DescribedConvolution &convolution : describeConvolutions(*c.module))
    chooser.choose(convolution.facts, convolution.op.getLoc());
  chooser.warnOfOthers();
  return choices;
}
