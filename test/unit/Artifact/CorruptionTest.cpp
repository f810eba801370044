#include "TinyModel.h"
#include "qcc/Artifact/Reader.h"

using namespace qcc;
using namespace qcc::test;

namespace {

class CorruptionTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::string path = temporaryPath("corrupt.qcc"), error;
    ASSERT_TRUE(writeTiny(path, tinyManifest(), std::vector<uint8_t>(1500, 'c'), error)) << error;
    bytes = readBytes(path);
    std::filesystem::remove(path);
    ASSERT_TRUE(ArtifactReader::openMemory(bytes.data(), bytes.size(), error)) << error;
  }
  std::string refusal(const std::vector<uint8_t> &altered) {
    std::string error;
    return ArtifactReader::openMemory(altered.data(), altered.size(), error) ? std::string() : error;
  }
  std::vector<uint8_t> bytes;
};

TEST_F(CorruptionTest, truncated) {
  for (size_t part = 0; part < 50; ++part) {
    std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(bytes.size() * part / 50));
    EXPECT_FALSE(refusal(cut).empty()) << part;
  }
  for (size_t missing = 1; missing < 100; ++missing)
    EXPECT_FALSE(refusal({bytes.begin(), bytes.end() - static_cast<ptrdiff_t>(missing)}).empty()) << missing;
}

TEST_F(CorruptionTest, lengthened) {
  std::vector<uint8_t> longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(refusal(longer).empty());
  longer = bytes;
  longer.insert(longer.begin(), 0);
  EXPECT_FALSE(refusal(longer).empty());
}

// There is no byte in the file whose change goes unseen: not in the parts, the headers, the padding or the directory.
TEST_F(CorruptionTest, everyByteFlipped) {
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::vector<uint8_t> altered = bytes;
    altered[at] ^= uint8_t(1) << (at % 8);
    ASSERT_FALSE(refusal(altered).empty()) << at;
  }
}

TEST_F(CorruptionTest, alteredPartsAreNamed) {
  auto flip = [&](std::string_view text) {
    std::vector<uint8_t> altered = bytes;
    auto at = std::search(altered.begin(), altered.end(), text.begin(), text.end());
    EXPECT_NE(at, altered.end());
    *at ^= 1;
    return refusal(altered);
  };
  EXPECT_EQ(flip("cccccccc"), "'code/tiny.so' is not what was built: its hash differs from the manifest's");
  EXPECT_EQ(flip("\x01\x02\x03\x04\x05"),
            "'weights.safetensors' is not what was built: its hash differs from the manifest's");
  EXPECT_EQ(flip("/layer.0/Second"), "the manifest is not what was built: its hash differs");
}

} // namespace
