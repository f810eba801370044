#include "qcc/Recipe/Recipe.h"

#include <gtest/gtest.h>

using namespace qcc;

namespace {

Recipe parsed(llvm::StringRef text) {
  RecipeError error;
  auto recipe = Recipe::parse(text, error);
  EXPECT_TRUE(recipe.has_value()) << error.message << " at " << error.place.line << ":" << error.place.column;
  return recipe ? *recipe : Recipe();
}

/// LINE:COLUMN: message of a text that is no recipe.
std::string errorOf(llvm::StringRef text) {
  RecipeError error;
  EXPECT_FALSE(Recipe::parse(text, error).has_value()) << text.str();
  return std::to_string(error.place.line) + ":" + std::to_string(error.place.column) + ": " + error.message;
}

bool matches(const std::string &pattern, const LinearFacts &facts) {
  return parsed("[[rule]]\nformat = 'int8'\n" + pattern).rules.at(0).matches(facts);
}

TEST(Recipe, rulesAreReadInOrder) {
  Recipe recipe = parsed(
      "# all\n[[rule]]\nformat = \"int4-g32\"\n\n[[rule]]\nkind = [\"head\"]\n  act = \"f32\"\nmethod = \"gptq\"\n");
  ASSERT_EQ(recipe.rules.size(), 2u);
  EXPECT_EQ(recipe.rules[0].format->text, "int4-g32");
  EXPECT_FALSE(recipe.rules[0].act);
  EXPECT_EQ(recipe.rules[0].place.line, 2u);
  EXPECT_EQ(recipe.rules[1].kinds, std::vector<std::string>{"head"});
  EXPECT_EQ(recipe.rules[1].act->text, "f32");
  EXPECT_EQ(recipe.rules[1].act->place.line, 7u);
  EXPECT_EQ(recipe.rules[1].act->place.column, 9u);
  EXPECT_EQ(recipe.rules[1].method->text, "gptq");
}

TEST(Recipe, budget) {
  EXPECT_FALSE(parsed("[[rule]]\nformat = 'auto'\n").budget);
  Recipe recipe = parsed("budget = '4bpw'\n[[rule]]\nformat = 'auto'\n");
  EXPECT_EQ(recipe.budget->text, "4bpw");
  EXPECT_EQ(recipe.budget->place.column, 10u);
  EXPECT_EQ(errorOf("budget = 4\n[[rule]]\nformat = 'auto'\n"),
            "1:10: 'budget' has to be a text such as \"4.5bpw\" or \"80MB\"");
}

TEST(Recipe, dataflow) {
  LinearFacts q, out, up, down;
  q.reads = {"RMSNormalization"}, q.readBy = {"Reshape", "RotaryEmbedding", "Attention"};
  out.reads = {"Reshape", "Transpose", "GroupQueryAttention"}, out.readBy = {"Add", "RMSNormalization"};
  up.reads = {"RMSNormalization"}, up.readBy = {"Mul", "Linear"};
  down.reads = {"Mul", "Swish", "Linear"}, down.readBy = {"Add", "RMSNormalization"};
  auto kindsOf = [](const LinearFacts &facts) {
    std::vector<std::string> kinds;
    for (const LinearKind &kind : allLinearKinds())
      if (matches("kind = '" + kind.name.str() + "'", facts))
        kinds.push_back(kind.name.str());
    return kinds;
  };
  EXPECT_EQ(kindsOf(q), std::vector<std::string>{"attention-input"});
  EXPECT_EQ(kindsOf(out), std::vector<std::string>{"attention-output"});
  EXPECT_EQ(kindsOf(up), std::vector<std::string>{"mlp-input"});
  EXPECT_EQ(kindsOf(down), std::vector<std::string>{"mlp-output"});
  EXPECT_TRUE(matches("reads = ['Swish', 'Gelu']", down));
  EXPECT_FALSE(matches("reads = 'Swish'\nread-by = 'Linear'", down));
  LinearFacts head;
  head.isHead = true;
  EXPECT_EQ(kindsOf(head), std::vector<std::string>{"head"});
}

TEST(Recipe, positions) {
  auto positions = [](const std::string &pattern) {
    std::string matching;
    LinearFacts facts;
    facts.count = 8, facts.layers = 3;
    for (facts.index = 0; facts.index < 8; ++facts.index) {
      facts.layer = facts.index < 6 ? facts.index / 2 : -1; // the last two are in no layer
      if (matches(pattern, facts))
        matching += std::to_string(facts.index);
    }
    return matching;
  };
  EXPECT_EQ(positions("first = 2"), "01");
  EXPECT_EQ(positions("last = 3"), "567");
  EXPECT_EQ(positions("first = 1\nlast = 1"), "07");
  EXPECT_EQ(positions("every = 3"), "036");
  EXPECT_EQ(positions("every = 3\nfrom = 2"), "25");
  EXPECT_EQ(positions("every = 3\nlast = 4"), "6");
  EXPECT_EQ(positions("first = 1\nof = 'layers'"), "01");
  EXPECT_EQ(positions("last = 1\nof = 'layers'"), "45");
  EXPECT_EQ(positions("every = 2\nof = 'layers'"), "0145");
  EXPECT_EQ(positions("every = 1\nof = 'linears'"), "01234567");
}

TEST(Recipe, sizesAndNames) {
  LinearFacts facts;
  facts.name = "/model/layers.3/mlp/down_proj/MatMul", facts.outputs = 64, facts.inputs = 172;
  EXPECT_TRUE(matches("outputs = { min = 64, max = 64 }", facts));
  EXPECT_FALSE(matches("outputs = { max = 63 }", facts));
  EXPECT_TRUE(matches("weights = { min = 11008 }\ninputs = { min = 100 }", facts));
  EXPECT_FALSE(matches("weights = { min = 11009 }", facts));
  EXPECT_TRUE(matches("name = '*/down_proj/*'", facts));
  EXPECT_TRUE(matches("name = ['*/up_proj/*', '*layers.[0-3]*']", facts));
  EXPECT_FALSE(matches("name = 'down_proj'", facts));
}

TEST(Recipe, cacheFormat) {
  RecipeError error;
  auto recipe = Recipe::parse("\nkv = 'int8,int4'\n", error);
  ASSERT_TRUE(recipe) << error.message;
  EXPECT_EQ(recipe->cache->text, "int8,int4");
  EXPECT_EQ(recipe->cache->place.line, 2u);
  EXPECT_FALSE(Recipe::parse("[[rule]]\nformat = 'int8'\n", error)->cache);
  EXPECT_EQ(errorOf("kv = 8\n"), "1:6: 'kv' has to be a text such as \"int8\" or \"int8,int4\"");
}

TEST(Recipe, errorsSayWhere) {
  EXPECT_EQ(errorOf(""), "1:1: the recipe has no [[rule]]");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\n  colour = 1\n").substr(0, 36), "3:3: a rule has no key 'colour'; it ");
  EXPECT_EQ(errorOf("[[rules]]\nformat = 'int8'\n"),
            "1:3: a recipe is made of [[rule]], a budget and kv, and has no key 'rules'");
  EXPECT_EQ(errorOf("[rule]\nformat = 'int8'\n"), "1:2: rules begin with [[rule]]");
  EXPECT_EQ(errorOf("[[rule]]\nkind = 'head'\n"),
            "1:1: the rule chooses nothing; it has to have a format, an act or a method");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 8\n"), "2:10: 'format' has to be a text such as \"int4-g32\"");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nkind = ['head', 'tail']\n"),
            "3:17: there is no kind 'tail'; there are convolution, head, attention-input, attention-output, mlp-input, "
            "mlp-output");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nfirst = 0\n"), "3:9: 'first' has to be a whole number, at least 1");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nevery = 2\nof = 'nodes'\n"),
            "4:6: positions are counted of \"linears\" or of \"layers\"");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nof = 'layers'\n"),
            "3:6: 'of' says what 'first', 'last' and 'every' count, of which there is none");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nfirst = 2\nfrom = 1\n"),
            "4:8: 'from' says where 'every' begins to count, which is not there");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nweights = 5\n"),
            "3:11: 'weights' has to be bounds such as { min = 4096 }");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nweights = { least = 5 }\n"),
            "3:13: bounds have min and max, but no 'least'");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nweights = { min = 5, max = 4 }\n"),
            "3:11: 'weights' has a min above its max: nothing can match");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nname = '[a'\n").substr(0, 26), "3:8: '[a' is no pattern: i");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8'\nread-by = []\n"),
            "3:11: 'read-by' is empty: the rule can match nothing");
  EXPECT_EQ(errorOf("[[rule]]\nformat = 'int8\n").substr(0, 2), "2:");
}

} // namespace
