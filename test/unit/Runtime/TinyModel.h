// The artifact around TinyProgram.c.
#ifndef QCC_TEST_UNIT_RUNTIME_TINYMODEL_H
#define QCC_TEST_UNIT_RUNTIME_TINYMODEL_H

#include "qcc/Artifact/Writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace qcc::test {

inline std::string temporaryPath(const std::string &name) {
  return ::testing::TempDir() + "qcc-" + std::to_string(::getpid()) + "-" + name;
}

inline std::vector<uint8_t> readBytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void writeBytes(const std::string &path, const std::vector<uint8_t> &bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline Manifest tinyManifest() {
  Manifest manifest;
  manifest.qccVersion = "0.1.0";
  manifest.modelName = "tiny";
  manifest.modelHash = std::string(64, '0');
  manifest.targets = {{"future", {"no-such-feature"}, "code/tiny.so"}, {"here", {}, "code/tiny.so"}};
  manifest.inputs = {{"x", DataType::F32, {std::string("batch"), std::string("tokens"), std::string("width")}},
                     {"mode", DataType::I64, {}}};
  manifest.outputs = {{"y", DataType::F32, {std::string("batch"), std::string("tokens"), 4}},
                      {"total", DataType::F32, {}}};
  manifest.states = {{"past", "present", DataType::F32, {std::string("batch"), std::string("length"), 4}, 1}};
  manifest.nodes = {"first", "/layer.0/Second"};
  manifest.tensors = {{"w", "float32", "rows", {4}, 0, 16, true}};
  manifest.quality = R"({"kld":0.25})";
  return manifest;
}

// The target whose host part is TinyDeviceProgram.c.
inline Manifest::Target tinyDeviceTarget(const std::string &architecture = "sm_80") {
  return {"device", {}, "code/device.so", {"cuda", {{architecture, "ptx", "code/device.ptx"}}}};
}

using Parts = std::vector<std::pair<std::string, std::vector<uint8_t>>>;

// Writes the artifact; false with the writer's reason in `error`.
inline bool writeTiny(const std::string &path, const Manifest &manifest, const std::vector<uint8_t> &code,
                      std::string &error, const Parts &more = {}) {
  WeightLayout layout;
  layout.add("w", DataType::F32, {4}, 16);
  layout.add("codes", DataType::I4, {7, 3}, 11);
  const float w[4] = {1, 2, 3, 4};
  const uint8_t codes[11] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  ArtifactWriter writer(path);
  bool good = true;
  for (const auto &[name, bytes] : more)
    good = good && writer.addFile(name, bytes.data(), bytes.size());
  good = good && writer.addFile("code/tiny.so", code.data(), code.size()) &&
         writer.addFile("tokenizer.bin", "abc", 3) && writer.beginWeights(layout) && writer.appendWeights(w, 6) &&
         writer.appendWeights(reinterpret_cast<const char *>(w) + 6, 10) && writer.appendWeights(codes, 11) &&
         writer.endWeights() && writer.finish(manifest);
  error = writer.error();
  return good;
}

} // namespace qcc::test

#endif // QCC_TEST_UNIT_RUNTIME_TINYMODEL_H
