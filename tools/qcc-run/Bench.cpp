#include "Bench.h"
#include "Decoder.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>

namespace qcc {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

bool makeInputs(const Manifest &manifest, std::vector<NpzArray> &inputs, std::string &error) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (const Manifest::Value &value : manifest.inputs) {
    NpzArray array{value.name, value.type, {}, {}};
    for (const Manifest::Dim &dim : value.dims)
      array.shape.push_back(dim.isStatic() ? dim.size : 1);
    std::optional<int64_t> bytes = tensorBytes(value.type, array.shape.data(), array.shape.size());
    constexpr int64_t most = int64_t(1) << 34;
    if (!bytes || *bytes > most) {
      error = "input '" + value.name + "' is too large to make";
      return false;
    }
    array.bytes.resize(*bytes);
    if (value.type == DataType::F32)
      for (size_t at = 0; at < array.bytes.size(); at += sizeof(float)) {
        float number = uniform(random);
        std::memcpy(&array.bytes[at], &number, sizeof(number));
      }
    inputs.push_back(std::move(array));
  }
  return true;
}

struct Times {
  std::vector<double> whole, prefill, decode; // seconds
};

bool runDecoder(Decoder &decoder, const BenchOptions &options, Times &times, std::string &error) {
  decoder.reset();
  int64_t vocabulary = 2, token = 1;
  // Tokens differ, so that tables are read as in a text; a prime step reaches them all.
  auto next = [&] { return token = (token + 7919) % vocabulary; };
  auto begun = Clock::now();
  std::vector<int64_t> prompt;
  for (int64_t i = 0; i < std::max<int64_t>(options.prefill, 1); ++i)
    prompt.push_back(next());
  if (!decoder.feed(prompt, error))
    return false;
  times.prefill.push_back(secondsSince(begun));
  vocabulary = static_cast<int64_t>(decoder.logits().size());
  auto prefilled = Clock::now();
  for (int64_t i = 0; i < options.decode; ++i)
    if (!decoder.feed({next()}, error))
      return false;
  times.decode.push_back(secondsSince(prefilled));
  times.whole.push_back(secondsSince(begun));
  return true;
}

} // namespace

int bench(Program &program, const std::vector<NpzArray> &given, const BenchOptions &options) {
  auto fail = [](const std::string &why) {
    std::fprintf(stderr, "qcc-run: --bench: %s\n", why.c_str());
    return 2;
  };
  std::string error;
  Times times;
  bool decoding = options.prefill > 0 || options.decode > 0;
  int64_t runs = options.runs ? options.runs : decoding ? 3 : 20;
  if (decoding) {
    Decoder decoder(program);
    if (!decoder.check(error))
      return fail(error);
    for (int64_t i = 0; i <= runs; ++i)
      if (!runDecoder(decoder, options, times, error))
        return fail(error);
    for (std::vector<double> *list : {&times.whole, &times.prefill, &times.decode})
      list->erase(list->begin());
  } else {
    std::vector<NpzArray> inputs = given;
    if (inputs.empty() && !makeInputs(program.manifest(), inputs, error))
      return fail(error);
    std::vector<DLTensor> tensors;
    for (const NpzArray &array : inputs)
      tensors.push_back(viewOf(array));
    std::vector<qcc1_input> passed;
    for (size_t i = 0; i < inputs.size(); ++i)
      passed.push_back({inputs[i].name.c_str(), &tensors[i]});
    std::vector<std::string> outputs;
    for (const Manifest::Value &value : program.manifest().outputs)
      outputs.push_back(value.name);
    std::vector<TensorHandle> results;
    bool warm = false;
    // The system needs a moment until every thread has a core of its own.
    constexpr double warmUp = 0.05;
    for (auto start = Clock::now(); static_cast<int64_t>(times.whole.size()) < runs;) {
      program.reset();
      auto begun = Clock::now();
      if (!program.run(passed, outputs, results, error))
        return fail(error);
      if (warm)
        times.whole.push_back(secondsSince(begun));
      warm |= secondsSince(start) >= warmUp;
    }
  }

  auto [least, most] = std::minmax_element(times.whole.begin(), times.whole.end());
  nlohmann::ordered_json json = {
      {"target", program.target()},
      {"threads", program.threads()},
      {"runs", runs},
      {"milliseconds", {{"min", *least * 1e3}, {"median", median(times.whole) * 1e3}, {"max", *most * 1e3}}}};
  if (options.prefill > 0)
    json["prefill_tokens_per_s"] = double(options.prefill) / median(times.prefill);
  if (options.decode > 0)
    json["decode_tokens_per_s"] = double(options.decode) / median(times.decode);
  if (decoding) {
    int64_t bytes = 0;
    for (const Manifest::Tensor &tensor : program.manifest().tensors)
      bytes += tensor.streamed ? tensor.bytes : 0;
    json["bytes_per_token"] = bytes;
  }
  if (options.json) {
    std::printf("%s\n", json.dump().c_str());
    return 0;
  }
  std::printf("%s, %d threads, %lld runs: %.3f ms (%.3f to %.3f)\n", program.target().c_str(), program.threads(),
              static_cast<long long>(runs), median(times.whole) * 1e3, *least * 1e3, *most * 1e3);
  for (const char *key : {"prefill_tokens_per_s", "decode_tokens_per_s", "bytes_per_token"})
    if (json.contains(key))
      std::printf("%s %.1f\n", key, json[key].get<double>());
  return 0;
}

} // namespace qcc
