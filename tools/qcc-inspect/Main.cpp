// qcc-inspect: shows what an artifact says about itself. Its code is not loaded.
#include "qcc/Artifact/Reader.h"

#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace {

constexpr const char *usage = R"(usage: qcc-inspect FILE.qcc [--json] [--verify]

  --json      the manifest as it stands in the file
  --verify    compare every part with its hash, large weights too
  --help

Exit status: 0 done, 1 a part is not what was built, 2 bad usage or not an artifact.
)";

std::string spell(const std::vector<qcc::Manifest::Dim> &dims) {
  std::string text;
  for (const qcc::Manifest::Dim &dim : dims)
    text += (text.empty() ? "" : ", ") + (dim.isStatic() ? std::to_string(dim.size) : dim.symbol);
  return "[" + text + "]";
}

std::string spell(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t dim : shape)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "scalar" : text;
}

void printValues(const char *title, const std::vector<qcc::Manifest::Value> &values) {
  std::printf("%s\n", title);
  for (const qcc::Manifest::Value &value : values)
    std::printf("  %-32s %-6s %s\n", value.name.c_str(), std::string(name(value.type)).c_str(),
                spell(value.dims).c_str());
}

void print(const qcc::Manifest &manifest) {
  std::printf("model     %s\nsha256    %s\nmade by   qcc %s\n", manifest.modelName.c_str(), manifest.modelHash.c_str(),
              manifest.qccVersion.c_str());
  std::printf("targets\n");
  for (const qcc::Manifest::Target &target : manifest.targets) {
    std::string features;
    for (const std::string &feature : target.features)
      features += " " + feature;
    std::printf("  %-16s%s\n", target.name.c_str(), features.c_str());
    for (const qcc::Manifest::Target::Module &module : target.device.modules)
      std::printf("    %s %s  %-6s %s\n", target.device.kind.c_str(), module.architecture.c_str(), module.kind.c_str(),
                  module.entry.c_str());
  }
  printValues("inputs", manifest.inputs);
  printValues("outputs", manifest.outputs);
  if (!manifest.states.empty())
    std::printf("states\n");
  for (const qcc::Manifest::State &state : manifest.states)
    std::printf("  %s -> %s  %s %s, grows along %lld%s%s\n", state.input.c_str(), state.output.c_str(),
                std::string(name(state.type)).c_str(), spell(state.dims).c_str(), static_cast<long long>(state.axis),
                state.format.empty() ? "" : ", in ", state.format.c_str());
  if (!manifest.tensors.empty())
    std::printf("tensors\n");
  for (const qcc::Manifest::Tensor &tensor : manifest.tensors)
    std::printf("  %12lld  %-12s %-16s %-14s %s\n", static_cast<long long>(tensor.bytes), tensor.format.c_str(),
                tensor.layout.c_str(), spell(tensor.shape).c_str(), tensor.name.c_str());
  std::printf("parts\n");
  for (const qcc::Manifest::Entry &entry : manifest.entries)
    std::printf("  %12lld  %-24s %.16s\n", static_cast<long long>(entry.bytes), entry.name.c_str(),
                entry.sha256.c_str());
  for (auto [title, text] : {std::pair("plan", &manifest.plan), std::pair("quality", &manifest.quality),
                             std::pair("provenance", &manifest.provenance)})
    if (!text->empty())
      std::printf("%s\n  %s\n", title, text->c_str());
}

} // namespace

int main(int argc, char **argv) {
  bool json = false, verify = false;
  enum { Json = 1, Verify, Help };
  const option options[] = {{"json", no_argument, nullptr, Json},
                            {"verify", no_argument, nullptr, Verify},
                            {"help", no_argument, nullptr, Help},
                            {}};
  for (int chosen; (chosen = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    if (chosen == Json)
      json = true;
    else if (chosen == Verify)
      verify = true;
    else if (chosen == Help) {
      std::fputs(usage, stdout);
      return 0;
    } else {
      std::fputs(usage, stderr);
      return 2;
    }
  }
  if (optind + 1 != argc) {
    std::fputs(usage, stderr);
    return 2;
  }
  std::string error;
  std::unique_ptr<qcc::ArtifactReader> artifact = qcc::ArtifactReader::open(argv[optind], error);
  if (!artifact) {
    std::fprintf(stderr, "qcc-inspect: %s\n", error.c_str());
    return 2;
  }
  if (verify && !artifact->verifyAll(error)) {
    std::fprintf(stderr, "qcc-inspect: %s: %s\n", argv[optind], error.c_str());
    return 1;
  }
  if (json)
    std::fwrite(artifact->manifestText().data(), 1, artifact->manifestText().size(), stdout);
  else
    print(artifact->manifest());
  if (verify && !json)
    std::printf("verified: every part is what was built\n");
  return 0;
}
