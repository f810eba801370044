// qcc-run: runs an artifact from the command line.
#include "Bench.h"
#include "Generate.h"
#include "qcc/Program/Compare.h"
#include "qcc/Program/Program.h"

#include <getopt.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace {

constexpr const char *usage = R"(usage: qcc-run FILE.qcc [options]

  --in=X.npz          inputs, by the model's names
  --out=Y.npz         where the outputs go; without it they are listed
  --golden=G.npz      inputs in:NAME and expected outputs out:NAME; may be given several times
  --tolerance=T       largest relative error |a-b|/|b| of a golden output (1e-5); integer outputs must be equal
  --bench[=N]         time N runs
  --prefill=P --decode=D   with --bench, of a decoder: a prompt of P tokens, then D tokens one by one
  --prompt=TEXT       continue a text
  --max-tokens=N      by at most N tokens (256)
  --tokenizer=FILE    llama2.c's format (the artifact's tokenizer.bin, or that file beside it)
  --temperature=T     draw tokens (0: take the likeliest)   --seed=N
  --threads=N         (as many as the process may use)
  --device=D          cpu, cuda, cuda:N or emulate (cpu where the artifact has code for it, else cuda)
  --graphs            on a device, record what a run starts and replay it, where the program allows that
  --json              print one JSON object
  --help

Exit status: 0 done, 1 a comparison failed, 2 bad usage, input or file.
)";

struct Options {
  std::string artifact, in, out;
  std::vector<std::string> goldens;
  double tolerance = 1e-5;
  qcc::Program::Options program;
  bool json = false, runBench = false, runGenerate = false;
  qcc::BenchOptions bench;
  qcc::GenerateOptions generate;
};

int fail(const std::string &why) {
  std::fprintf(stderr, "qcc-run: %s\n", why.c_str());
  return 2;
}

std::optional<int64_t> parseCount(const char *text, int64_t least) {
  char *end = nullptr;
  errno = 0;
  long long value = std::strtoll(text, &end, 10);
  if (errno != 0 || end == text || *end != 0 || value < least || value > 1'000'000'000)
    return std::nullopt;
  return value;
}

std::optional<double> parseNumber(const char *text) {
  char *end = nullptr;
  double value = std::strtod(text, &end);
  if (end == text || *end != 0 || !(value >= 0) || std::isinf(value))
    return std::nullopt;
  return value;
}

// The name of the first option whose value is wrong; empty when all are good. "?" when getopt has said it already.
std::string parse(int argc, char **argv, Options &options, bool &help) {
  enum {
    In = 1,
    Out,
    Golden,
    Tolerance,
    Bench,
    Prefill,
    Decode,
    Prompt,
    MaxTokens,
    TokenizerFile,
    Temperature,
    Seed,
    Threads,
    Device,
    Graphs,
    Json,
    Help
  };
  const option table[] = {{"in", required_argument, nullptr, In},
                          {"out", required_argument, nullptr, Out},
                          {"golden", required_argument, nullptr, Golden},
                          {"tolerance", required_argument, nullptr, Tolerance},
                          {"bench", optional_argument, nullptr, Bench},
                          {"prefill", required_argument, nullptr, Prefill},
                          {"decode", required_argument, nullptr, Decode},
                          {"prompt", required_argument, nullptr, Prompt},
                          {"max-tokens", required_argument, nullptr, MaxTokens},
                          {"tokenizer", required_argument, nullptr, TokenizerFile},
                          {"temperature", required_argument, nullptr, Temperature},
                          {"seed", required_argument, nullptr, Seed},
                          {"threads", required_argument, nullptr, Threads},
                          {"device", required_argument, nullptr, Device},
                          {"graphs", no_argument, nullptr, Graphs},
                          {"json", no_argument, nullptr, Json},
                          {"help", no_argument, nullptr, Help},
                          {}};
  int index = 0;
  for (int chosen; (chosen = getopt_long(argc, argv, "", table, &index)) != -1;) {
    bool good = true;
    auto count = [&](auto &to, int64_t least) {
      std::optional<int64_t> value = parseCount(optarg, least);
      good = value.has_value();
      to = static_cast<std::decay_t<decltype(to)>>(value.value_or(0));
    };
    auto number = [&](double &to) {
      std::optional<double> value = parseNumber(optarg);
      good = value.has_value();
      to = value.value_or(0);
    };
    switch (chosen) {
    case In:
      options.in = optarg;
      break;
    case Out:
      options.out = optarg;
      break;
    case Golden:
      options.goldens.push_back(optarg);
      break;
    case Tolerance:
      number(options.tolerance);
      break;
    case Bench:
      options.runBench = true;
      if (optarg)
        count(options.bench.runs, 1);
      break;
    case Prefill:
      count(options.bench.prefill, 0);
      break;
    case Decode:
      count(options.bench.decode, 0);
      break;
    case Prompt:
      options.runGenerate = true;
      options.generate.prompt = optarg;
      break;
    case MaxTokens:
      count(options.generate.maxTokens, 0);
      break;
    case TokenizerFile:
      options.generate.tokenizer = optarg;
      break;
    case Temperature:
      number(options.generate.temperature);
      break;
    case Seed:
      count(options.generate.seed, 0);
      break;
    case Threads:
      count(options.program.threads, 1);
      break;
    case Device:
      options.program.device = optarg;
      break;
    case Graphs:
      options.program.graphs = true;
      break;
    case Json:
      options.json = options.bench.json = options.generate.json = true;
      break;
    case Help:
      help = true;
      return {};
    default:
      return "?";
    }
    if (!good)
      return std::string("--") + table[index].name + "=" + optarg;
  }
  if (optind + 1 != argc)
    return "?";
  options.artifact = options.generate.artifact = argv[optind];
  return {};
}

std::string spell(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t dim : shape)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "scalar" : text;
}

int runGoldens(qcc::Program &program, const Options &options) {
  bool passed = true;
  nlohmann::ordered_json cases = nlohmann::ordered_json::array();
  for (const std::string &path : options.goldens) {
    std::vector<qcc::NpzArray> arrays, inputs, expected, results;
    std::vector<std::string> names;
    std::string error;
    if (!qcc::readNpz(path, arrays, error))
      return fail(error);
    for (qcc::NpzArray &array : arrays) {
      bool input = array.name.rfind("in:", 0) == 0, output = array.name.rfind("out:", 0) == 0;
      if (!input && !output)
        return fail(path + ": '" + array.name + "' is neither in:NAME nor out:NAME");
      array.name = array.name.substr(input ? 3 : 4);
      (input ? inputs : expected).push_back(std::move(array));
    }
    if (expected.empty())
      return fail(path + ": no expected output");
    for (const qcc::NpzArray &array : expected)
      names.push_back(array.name);
    program.reset();
    if (!program.run(inputs, names, results, error))
      return fail(path + ": " + error);
    nlohmann::ordered_json outputs = nlohmann::ordered_json::array();
    for (size_t i = 0; i < expected.size(); ++i) {
      qcc::Comparison comparison = qcc::compare(results[i], expected[i], options.tolerance);
      passed &= comparison.same;
      nlohmann::ordered_json row = {{"name", names[i]}, {"same", comparison.same}, {"relative_error", nullptr}};
      if (std::isfinite(comparison.error))
        row["relative_error"] = comparison.error;
      if (!comparison.reason.empty())
        row["reason"] = comparison.reason;
      outputs.push_back(row);
      if (!options.json)
        std::printf("%s  %s  %s %s  relative error %.3g%s%s\n", comparison.same ? "same" : "DIFFERENT",
                    names[i].c_str(), std::string(name(results[i].type)).c_str(), spell(results[i].shape).c_str(),
                    comparison.error, comparison.reason.empty() ? "" : ": ", comparison.reason.c_str());
    }
    cases.push_back({{"golden", path}, {"outputs", outputs}});
  }
  if (options.json)
    std::printf("%s\n", nlohmann::ordered_json({{"passed", passed}, {"tolerance", options.tolerance}, {"cases", cases}})
                            .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                            .c_str());
  return passed ? 0 : 1;
}

int runOnce(qcc::Program &program, const std::vector<qcc::NpzArray> &inputs, const Options &options) {
  std::vector<std::string> names;
  for (const qcc::Manifest::Value &value : program.manifest().outputs)
    names.push_back(value.name);
  // A caller that passes a state's contents wants it back.
  for (const qcc::Manifest::State &state : program.manifest().states)
    for (const qcc::NpzArray &input : inputs)
      if (input.name == state.input)
        names.push_back(state.output);
  std::vector<qcc::NpzArray> results;
  std::string error;
  if (!program.run(inputs, names, results, error) || (!options.out.empty() && !writeNpz(options.out, results, error)))
    return fail(error);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const qcc::NpzArray &result : results) {
    rows.push_back({{"name", result.name}, {"dtype", std::string(name(result.type))}, {"shape", result.shape}});
    if (!options.json && options.out.empty())
      std::printf("%s  %s %s\n", result.name.c_str(), std::string(name(result.type)).c_str(),
                  spell(result.shape).c_str());
  }
  if (options.json)
    std::printf("%s\n", nlohmann::ordered_json({{"outputs", rows}})
                            .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                            .c_str());
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  bool help = false;
  std::string wrong = parse(argc, argv, options, help);
  if (help) {
    std::fputs(usage, stdout);
    return 0;
  }
  if (!wrong.empty()) {
    if (wrong != "?")
      return fail("not a valid value: " + wrong);
    std::fputs(usage, stderr);
    return 2;
  }
  std::string error;
  std::unique_ptr<qcc::Program> program = qcc::Program::open(options.artifact, options.program, error);
  if (!program)
    return fail(error);
  std::vector<qcc::NpzArray> inputs;
  if (!options.in.empty() && !qcc::readNpz(options.in, inputs, error))
    return fail(error);
  if (!options.goldens.empty())
    return runGoldens(*program, options);
  if (options.runGenerate)
    return qcc::generate(*program, options.generate);
  if (options.runBench)
    return qcc::bench(*program, inputs, options.bench);
  return runOnce(*program, inputs, options);
}
