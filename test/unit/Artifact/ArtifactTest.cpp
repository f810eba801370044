#include "TinyModel.h"
#include "qcc/Artifact/Reader.h"
#include "qcc/Artifact/Zip.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdlib>

using namespace qcc;
using namespace qcc::test;

namespace {

const std::vector<uint8_t> code = {'n', 'o', ' ', 'c', 'o', 'd', 'e'};

std::vector<std::string> filesLike(const std::string &path) {
  std::vector<std::string> found;
  std::filesystem::path whole(path);
  for (const auto &file : std::filesystem::directory_iterator(whole.parent_path()))
    if (file.path().filename().string().rfind(whole.filename().string(), 0) == 0)
      found.push_back(file.path().filename());
  return found;
}

TEST(Artifact, roundTrip) {
  std::string path = temporaryPath("round.qcc"), error;
  ASSERT_TRUE(writeTiny(path, tinyManifest(), code, error)) << error;
  std::unique_ptr<ArtifactReader> artifact = ArtifactReader::open(path, error);
  ASSERT_TRUE(artifact) << error;
  EXPECT_EQ(artifact->manifest().modelName, "tiny");
  EXPECT_EQ(artifact->manifest().entries.size(), 3u);
  Part part = artifact->part("code/tiny.so");
  EXPECT_EQ(std::vector<uint8_t>(part.data, part.data + part.size), code);
  EXPECT_EQ(artifact->part("code/other.so").data, nullptr);
  for (const char *name : {"code/tiny.so", "tokenizer.bin", "weights.safetensors", "manifest.json"})
    EXPECT_EQ(reinterpret_cast<uintptr_t>(artifact->part(name).data) % 64, 0u) << name;
  Part weights = artifact->weights();
  ASSERT_EQ(weights.size, 128u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.data) % 64, 0u);
  EXPECT_EQ(reinterpret_cast<const float *>(weights.data)[3], 4.0f);
  EXPECT_EQ(weights.data[64], 1);
  EXPECT_EQ(weights.data[64 + 10], 11);
  EXPECT_EQ(weights.data[64 + 11], 0);
  EXPECT_TRUE(artifact->verifyAll(error)) << error;
  std::filesystem::remove(path);
}

TEST(Artifact, sameInputSameBytes) {
  std::string one = temporaryPath("one.qcc"), two = temporaryPath("two.qcc"), error;
  ASSERT_TRUE(writeTiny(one, tinyManifest(), code, error)) << error;
  ASSERT_TRUE(writeTiny(two, tinyManifest(), code, error)) << error;
  EXPECT_EQ(readBytes(one), readBytes(two));
  std::filesystem::remove(one);
  std::filesystem::remove(two);
}

TEST(Artifact, pythonOpensTheZip) {
  if (std::system("python3 -c pass >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "no python3";
  std::string path = temporaryPath("zip.qcc"), error;
  ASSERT_TRUE(writeTiny(path, tinyManifest(), code, error)) << error;
  std::string program =
      "python3 -c 'import hashlib, json, struct, sys, zipfile\n"
      "z = zipfile.ZipFile(sys.argv[1])\n"
      "assert z.testzip() is None\n"
      "m = json.loads(z.read(\"manifest.json\"))\n"
      "for e in m[\"entries\"]: assert hashlib.sha256(z.read(e[\"name\"])).hexdigest() == e[\"sha256\"]\n"
      "w = z.read(\"weights.safetensors\")\n"
      "n = struct.unpack(\"<Q\", w[:8])[0]\n"
      "h = json.loads(w[8:8 + n])\n"
      "ranges = sorted(t[\"data_offsets\"] for t in h.values())\n"
      "assert ranges[0][0] == 0 and ranges[-1][1] == len(w) - 8 - n\n"
      "assert all(a[1] == b[0] for a, b in zip(ranges, ranges[1:]))\n"
      "assert h[\"w\"][\"dtype\"] == \"F32\" and h[\"codes\"][\"dtype\"] == \"U8\"\n"
      "' " +
      path;
  EXPECT_EQ(std::system(program.c_str()), 0);
  std::filesystem::remove(path);
}

TEST(Artifact, failuresLeaveNoFile) {
  std::string path = temporaryPath("failed.qcc");
  WeightLayout layout;
  layout.add("w", DataType::F32, {4}, 16);
  const float w[8] = {};
  struct Case {
    const char *says;
    std::function<bool(ArtifactWriter &)> write;
  };
  Manifest bad = tinyManifest();
  bad.states[0].axis = 9;
  const Case cases[] = {
      {"fewer weights",
       [&](ArtifactWriter &writer) {
         return writer.beginWeights(layout) && writer.appendWeights(w, 12) && writer.endWeights();
       }},
      {"more weights",
       [&](ArtifactWriter &writer) { return writer.beginWeights(layout) && writer.appendWeights(w, 20); }},
      {"before they are begun", [&](ArtifactWriter &writer) { return writer.appendWeights(w, 4); }},
      {"two parts named",
       [&](ArtifactWriter &writer) { return writer.addFile("a", w, 1) && writer.addFile("a", w, 1); }},
      {"inside the weights",
       [&](ArtifactWriter &writer) { return writer.beginWeights(layout) && writer.addFile("a", w, 1); }},
      {"'states[0].axis'", [&](ArtifactWriter &writer) { return writer.finish(bad); }},
  };
  for (const Case &test : cases) {
    {
      ArtifactWriter writer(path);
      EXPECT_FALSE(test.write(writer));
      EXPECT_NE(writer.error().find(test.says), std::string::npos) << writer.error();
      EXPECT_FALSE(writer.finish(tinyManifest()));
      EXPECT_EQ(filesLike(path).size(), 1u);
    }
    EXPECT_TRUE(filesLike(path).empty());
  }
  ArtifactWriter nowhere("/nonexistent/folder/model.qcc");
  EXPECT_FALSE(nowhere.addFile("a", w, 1));
  EXPECT_NE(nowhere.error().find("cannot create"), std::string::npos);
}

TEST(Artifact, emptyTensorsAndEmptyParts) {
  std::string path = temporaryPath("empty.qcc"), error;
  WeightLayout layout;
  layout.add("a", DataType::F32, {0, 3}, 0);
  layout.add("b", DataType::U8, {1}, 1);
  layout.add("c", DataType::F32, {0}, 0);
  Manifest manifest = tinyManifest();
  manifest.targets.clear();
  manifest.tensors.clear();
  {
    ArtifactWriter writer(path);
    ASSERT_TRUE(writer.addFile("nothing", nullptr, 0) && writer.beginWeights(layout) && writer.appendWeights("x", 1) &&
                writer.endWeights() && writer.finish(manifest))
        << writer.error();
  }
  std::unique_ptr<ArtifactReader> artifact = ArtifactReader::open(path, error);
  ASSERT_TRUE(artifact) << error;
  EXPECT_EQ(artifact->weights().size, 64u);
  std::filesystem::remove(path);
}

TEST(Artifact, partsThatAreMissing) {
  std::string path = temporaryPath("missing.qcc"), error;
  Manifest manifest = tinyManifest();
  manifest.targets[1].entry = "code/other.so";
  ASSERT_TRUE(writeTiny(path, manifest, code, error)) << error;
  EXPECT_FALSE(ArtifactReader::open(path, error));
  EXPECT_NE(error.find("target 'here' has no part 'code/other.so'"), std::string::npos) << error;
  manifest = tinyManifest();
  manifest.targets[1].device = {"cuda", {{"sm_80", "ptx", "code/other.ptx"}}};
  ASSERT_TRUE(writeTiny(path, manifest, code, error)) << error;
  EXPECT_FALSE(ArtifactReader::open(path, error));
  EXPECT_NE(error.find("target 'here' has no part 'code/other.ptx'"), std::string::npos) << error;
  manifest = tinyManifest();
  manifest.tensors[0].bytes = 129;
  ASSERT_TRUE(writeTiny(path, manifest, code, error)) << error;
  EXPECT_FALSE(ArtifactReader::open(path, error));
  EXPECT_NE(error.find("tensor 'w' does not fit"), std::string::npos) << error;
  std::filesystem::remove(path);
}

// Entries and offsets beyond 4 GiB, in a sparse file.
TEST(Artifact, zip64) {
  std::string path = temporaryPath("large.zip");
  std::vector<zip::Entry> entries(3);
  entries[0] = {"small", 0, 0, 5, 1};
  entries[1] = {"large", 0, 0, (uint64_t(1) << 32) + 77, 2};
  entries[2] = {"far", 0, 0, 9, 3};
  int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0600);
  ASSERT_GE(file, 0);
  uint64_t position = 0;
  for (zip::Entry &entry : entries) {
    entry.header = position;
    std::vector<uint8_t> header = zip::localHeader(entry);
    ASSERT_EQ(::pwrite(file, header.data(), header.size(), position), static_cast<ssize_t>(header.size()));
    EXPECT_EQ(entry.offset % 64, 0u);
    position = entry.offset + entry.size;
  }
  std::vector<uint8_t> directory = zip::directory(entries, position);
  ASSERT_EQ(::pwrite(file, directory.data(), directory.size(), position), static_cast<ssize_t>(directory.size()));
  uint64_t size = position + directory.size();
  void *base = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  ASSERT_NE(base, MAP_FAILED);
  std::vector<zip::Entry> back;
  std::string error;
  ASSERT_TRUE(zip::read(static_cast<const uint8_t *>(base), size, back, error)) << error;
  ASSERT_EQ(back.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back[i].name, entries[i].name);
    EXPECT_EQ(back[i].offset, entries[i].offset);
    EXPECT_EQ(back[i].size, entries[i].size);
  }
  EXPECT_FALSE(zip::read(static_cast<const uint8_t *>(base), size - 1, back, error));
  ::munmap(base, size);
  ::close(file);
  if (std::system("python3 -c pass >/dev/null 2>&1") == 0) {
    std::string program = "python3 -c 'import sys, zipfile\n"
                          "z = zipfile.ZipFile(sys.argv[1])\n"
                          "assert [i.file_size for i in z.infolist()] == [5, 2**32 + 77, 9]\n"
                          "z.open(\"far\"); z.open(\"large\")' " +
                          path;
    EXPECT_EQ(std::system(program.c_str()), 0);
  }
  std::filesystem::remove(path);
}

} // namespace
