#include "Generate.h"
#include "Decoder.h"
#include "Tokenizer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

namespace qcc {
namespace {

bool readFile(const std::string &path, std::vector<uint8_t> &bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return false;
  bytes.assign(std::istreambuf_iterator<char>(file), {});
  return true;
}

std::unique_ptr<Tokenizer> findTokenizer(const Program &program, const GenerateOptions &options, std::string &error) {
  std::vector<uint8_t> bytes;
  if (!options.tokenizer.empty()) {
    if (!readFile(options.tokenizer, bytes)) {
      error = options.tokenizer + ": cannot be read";
      return nullptr;
    }
  } else {
    bytes = program.part("tokenizer.bin");
    size_t slash = options.artifact.rfind('/');
    std::string beside = options.artifact.substr(0, slash == std::string::npos ? 0 : slash + 1) + "tokenizer.bin";
    if (bytes.empty() && !readFile(beside, bytes)) {
      error = "no tokenizer: the artifact has none and there is no " + beside + "; name one with --tokenizer=FILE";
      return nullptr;
    }
  }
  return Tokenizer::parse(bytes, error);
}

int64_t choose(const std::vector<float> &logits, double temperature, std::mt19937_64 &random) {
  auto largest = std::max_element(logits.begin(), logits.end());
  if (temperature <= 0)
    return largest - logits.begin();
  std::vector<double> weights;
  for (float logit : logits)
    weights.push_back(std::exp((double(logit) - double(*largest)) / temperature));
  return std::discrete_distribution<int64_t>(weights.begin(), weights.end())(random);
}

} // namespace

int generate(Program &program, const GenerateOptions &options) {
  auto fail = [](const std::string &why) {
    std::fprintf(stderr, "qcc-run: %s\n", why.c_str());
    return 2;
  };
  std::string error;
  Decoder decoder(program);
  if (!decoder.check(error))
    return fail("--prompt: " + error);
  std::unique_ptr<Tokenizer> tokenizer = findTokenizer(program, options, error);
  if (!tokenizer)
    return fail(error);
  auto now = [] { return std::chrono::steady_clock::now(); };
  auto seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };

  std::vector<int64_t> prompt = tokenizer->encode(options.prompt);
  std::string text = options.prompt;
  if (!options.json)
    std::fputs(text.c_str(), stdout);
  std::mt19937_64 random(options.seed);
  auto begun = now();
  if (!decoder.feed(prompt, error))
    return fail(error);
  auto prefilled = now();
  int64_t previous = prompt.back(), count = 0;
  while (count < options.maxTokens) {
    int64_t token = choose(decoder.logits(), options.temperature, random);
    if (token == Tokenizer::start || token == Tokenizer::end)
      break;
    std::string piece = tokenizer->decode(previous, token);
    text += piece;
    ++count;
    if (!options.json) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
    }
    previous = token;
    if (count < options.maxTokens && !decoder.feed({token}, error)) {
      std::fputs("\n", stdout);
      return fail(error);
    }
  }
  double prefill = seconds(begun, prefilled), decode = seconds(prefilled, now());
  // The first of the tokens comes with the prompt's own run.
  double rate = count > 1 && decode > 0 ? double(count - 1) / decode : 0;
  if (options.json) {
    nlohmann::ordered_json json = {{"text", text},
                                   {"prompt_tokens", prompt.size()},
                                   {"tokens", count},
                                   {"prefill_tokens_per_s", prefill > 0 ? double(prompt.size()) / prefill : 0},
                                   {"decode_tokens_per_s", rate}};
    std::printf("%s\n", json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  } else {
    std::printf("\n");
    std::fprintf(stderr, "%zu prompt tokens, %lld tokens, %.1f tokens/s\n", prompt.size(),
                 static_cast<long long>(count), rate);
  }
  return 0;
}

} // namespace qcc
