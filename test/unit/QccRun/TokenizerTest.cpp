#include "Tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

using namespace qcc;

namespace {

std::vector<uint8_t> shipped() {
  std::ifstream file(TOKENIZER, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The token numbers come from an independent implementation of the same rules (Python, all merges by highest score).
TEST(Tokenizer, encodes) {
  std::string error;
  std::unique_ptr<Tokenizer> tokenizer = Tokenizer::parse(shipped(), error);
  ASSERT_TRUE(tokenizer) << error;
  EXPECT_EQ(tokenizer->size(), 512);
  EXPECT_EQ(tokenizer->encode("Once upon a time"), std::vector<int64_t>({1, 403, 407, 261, 378}));
  // The euro sign is a token, the emoji falls back to its four bytes.
  EXPECT_EQ(tokenizer->encode("Tom's cat, \"é€ 😀\"\n ok"),
            std::vector<int64_t>(
                {1, 274, 287, 439, 419, 280, 294, 432, 313, 485, 503, 410, 243, 162, 155, 131, 436, 13, 334, 433}));
  EXPECT_EQ(tokenizer->encode(""), std::vector<int64_t>({1}));
}

TEST(Tokenizer, decodesWhatItEncodes) {
  std::string error;
  std::unique_ptr<Tokenizer> tokenizer = Tokenizer::parse(shipped(), error);
  ASSERT_TRUE(tokenizer) << error;
  for (std::string text :
       {"Once upon a time, there was a girl.", " two  spaces ", "tab\tand\nline", "é€ 😀", "\xff\xfe raw"}) {
    std::vector<int64_t> tokens = tokenizer->encode(text);
    std::string back;
    for (size_t i = 1; i < tokens.size(); ++i)
      back += tokenizer->decode(tokens[i - 1], tokens[i]);
    EXPECT_EQ(back, text);
  }
  EXPECT_EQ(tokenizer->decode(5, 512), "");
  EXPECT_EQ(tokenizer->decode(5, -1), "");
}

TEST(Tokenizer, refusesDamage) {
  std::string error;
  std::vector<uint8_t> file = shipped();
  for (size_t length : {size_t(0), size_t(3), size_t(4), size_t(100), file.size() - 1})
    EXPECT_FALSE(Tokenizer::parse({file.begin(), file.begin() + static_cast<ptrdiff_t>(length)}, error)) << length;
  file[8 + 3] = 0x80; // a negative length
  EXPECT_FALSE(Tokenizer::parse(file, error));
  EXPECT_EQ(error, "not a tokenizer file of llama2.c");
}

} // namespace
