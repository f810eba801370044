// The table of targets.
#include "nvptx/Architectures.h"
#include "llvm/TargetParser/Host.h"

using namespace qcc;
using llvm::StringRef;

namespace {
struct Row {
  StringRef name, triple, cpu, inherits;
  std::vector<std::string> features;
  StringRef sentence;
};
} // namespace

// What every machine with a GPU of the table runs: the host only starts kernels.
static constexpr StringRef hostOfDevices = "x86-64-v2";

static constexpr StringRef x86Triple = "x86_64-unknown-linux-gnu", armTriple = "aarch64-unknown-linux-gnu";

// Features and not CPU names decide what may be used: a newer CPU's name adds features that others of its level lack.
static const std::vector<Row> &rows() {
  static const std::vector<Row> table = {
      {"x86-64-v2",
       x86Triple,
       "x86-64-v2",
       "",
       {"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"},
       "128-bit vectors: SSE4.2"},
      {"x86-64-v3",
       x86Triple,
       "x86-64-v3",
       "x86-64-v2",
       {"avx", "avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"},
       "256-bit vectors: AVX2 and FMA"},
      {"x86-64-v4",
       x86Triple,
       "x86-64-v4",
       "x86-64-v3",
       {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"},
       "512-bit vectors: AVX-512"},
      {"x86-64-v4-vnni",
       x86Triple,
       "x86-64-v4",
       "x86-64-v4",
       {"avx512vnni", "avx512vbmi"},
       "AVX-512 with int8 dot products and byte permutes"},
      {"x86-64-v4-bf16",
       x86Triple,
       "x86-64-v4",
       "x86-64-v4-vnni",
       {"avx512bf16"},
       "AVX-512 with int8 and bfloat16 dot products"},
      {"aarch64", armTriple, "generic", "", {"neon", "fp-armv8"}, "128-bit vectors: NEON"},
      {"aarch64-dotprod", armTriple, "generic", "aarch64", {"dotprod"}, "NEON with int8 dot products"},
      {"aarch64-i8mm", armTriple, "generic", "aarch64-dotprod", {"i8mm"}, "NEON with int8 matrix multiplication"},
  };
  return table;
}

static TargetFacts factsOf(const Row &row) {
  TargetFacts facts;
  if (!row.inherits.empty())
    for (const Row &base : rows())
      if (base.name == row.inherits)
        facts = factsOf(base);
  facts.name = row.name.str();
  facts.triple = row.triple.str();
  facts.cpu = row.cpu.str();
  facts.features.insert(facts.features.end(), row.features.begin(), row.features.end());
  return facts;
}

llvm::ArrayRef<TargetRow> qcc::allTargets() {
  static const std::vector<TargetRow> list = [] {
    std::vector<TargetRow> result = {{"native", "the machine that runs qcc"}};
    for (const Row &row : rows())
      result.push_back({row.name, row.sentence});
    for (const TargetRow &row : allArchitectures())
      result.push_back(row);
    return result;
  }();
  return list;
}

std::vector<std::string> qcc::expandTarget(StringRef name) {
  if (findArchitecture(name) && findArchitecture((name + "a").str()))
    return {(name + "a").str(), name.str()};
  return {name.str()};
}

llvm::Expected<TargetFacts> qcc::findTarget(StringRef name) {
  if (name == "native") {
    llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
    StringRef triple = llvm::sys::getDefaultTargetTriple().rfind("aarch64", 0) == 0 ? armTriple : x86Triple;
    std::optional<TargetFacts> best;
    for (const Row &row : rows()) {
      TargetFacts facts = factsOf(row);
      if (row.triple == triple && llvm::all_of(facts.features, [&](const std::string &f) { return host.lookup(f); }))
        best = facts; // later rows are higher levels
    }
    if (!best)
      return llvm::createStringError("this machine's CPU is below every target that qcc knows");
    return *best;
  }
  if (auto device = findArchitecture(name)) {
    auto facts = findTarget(hostOfDevices);
    facts->name = name.str(), facts->device = device;
    return facts;
  }
  for (const Row &row : rows())
    if (row.name == name)
      return factsOf(row);
  const TargetRow *nearest = nullptr;
  unsigned distance = ~0u;
  for (const TargetRow &row : allTargets())
    if (unsigned d = name.edit_distance(row.name); d < distance)
      nearest = &row, distance = d;
  return llvm::createStringError("unknown target '" + name + "'; the nearest known one is '" + nearest->name +
                                 "' (qcc --print-targets lists them all)");
}
