// --prompt and the decoder's benchmark, on the model that counts (CountingDecoder.c), with the cache in the session and
// with the cache in the signature.
#include "Shell.h"
#include "TinyModel.h"
#include "Tokenizer.h"

using namespace qcc;
using namespace qcc::test;

namespace {

class GenerateTest : public ::testing::TestWithParam<bool> {
protected:
  void SetUp() override {
    Manifest manifest;
    manifest.modelName = "counting";
    manifest.targets = {{"here", {}, "code/here.so"}};
    std::string b = "batch", s = "tokens", t = "total", p = "past";
    manifest.inputs = {{"input_ids", DataType::I64, {b, s}},
                       {"attention_mask", DataType::I64, {b, t}},
                       {"position_ids", DataType::I64, {b, s}}};
    manifest.outputs = {{"logits", DataType::F32, {b, s, 512}}};
    if (GetParam()) {
      manifest.states = {{"past_key_values.0.key", "present.0.key", DataType::F32, {b, 2, p, 1}, 2}};
    } else {
      manifest.inputs.push_back({"past_key_values.0.key", DataType::F32, {b, 2, p, 1}});
      manifest.outputs.push_back({"present.0.key", DataType::F32, {b, 2, t, 1}});
    }
    manifest.tensors = {{"w", "int8", "rows", {64}, 0, 64, true}, {"table", "float32", "rows", {16}, 64, 64, false}};
    std::vector<uint8_t> code = readBytes(GetParam() ? DECODER_STATE : DECODER_SIGNATURE);
    tokenizer = readBytes(TOKENIZER);
    WeightLayout layout;
    layout.add("all", DataType::U8, {128}, 128);
    ArtifactWriter writer(artifact);
    ASSERT_TRUE(writer.addFile("code/here.so", code.data(), code.size()) &&
                writer.addFile("tokenizer.bin", tokenizer.data(), tokenizer.size()) && writer.beginWeights(layout) &&
                writer.appendWeights(std::string(128, 0).data(), 128) && writer.endWeights() && writer.finish(manifest))
        << writer.error();
  }
  void TearDown() override { std::filesystem::remove(artifact); }
  // The text of the tokens that follow `prompt` when one counts.
  std::string counted(const std::string &prompt, int count) {
    std::string error, text = prompt;
    std::unique_ptr<Tokenizer> pieces = Tokenizer::parse(tokenizer, error);
    int64_t last = pieces->encode(prompt).back();
    for (int i = 1; i <= count; ++i)
      text += pieces->decode(last + i - 1, last + i);
    return text;
  }

  const std::string artifact = temporaryPath("counting.qcc");
  std::vector<uint8_t> tokenizer;
};

TEST_P(GenerateTest, continuesText) {
  for (int count : {0, 1, 2, 90}) {
    Result result = shell(std::string(QCC_RUN) + " " + artifact +
                          " --prompt='Once upon a time' --max-tokens=" + std::to_string(count) + " 2>/dev/null");
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.text, counted("Once upon a time", count) + "\n");
  }
  Result json = shell(std::string(QCC_RUN) + " " + artifact + " --json --prompt=Once --max-tokens=3");
  EXPECT_NE(json.text.find("\"tokens\":3"), std::string::npos) << json.text;
  Result other = shell(std::string(QCC_RUN) + " " + artifact + " --prompt=x --tokenizer=" + QCC_RUN + " 2>&1");
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.text.find("not a tokenizer file"), std::string::npos) << other.text;
}

TEST_P(GenerateTest, benchmarks) {
  Result result =
      shell(std::string(QCC_RUN) + " " + artifact + " --bench=2 --prefill=40 --decode=5 --json --threads=2");
  EXPECT_EQ(result.status, 0) << result.text;
  for (const char *key : {"\"runs\":2", "prefill_tokens_per_s", "decode_tokens_per_s", "\"bytes_per_token\":64"})
    EXPECT_NE(result.text.find(key), std::string::npos) << result.text;
}

INSTANTIATE_TEST_SUITE_P(Cache, GenerateTest, ::testing::Bool(),
                         [](const auto &info) { return info.param ? "InSession" : "InSignature"; });

} // namespace
