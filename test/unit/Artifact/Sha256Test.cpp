#include "qcc/Artifact/Sha256.h"

#include <gtest/gtest.h>

using namespace qcc;

namespace {

// FIPS 180-4's examples (NIST, "Examples with Intermediate Values").
TEST(Sha256, standardVectors) {
  EXPECT_EQ(Sha256::of("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256::of("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::string two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  EXPECT_EQ(Sha256::of(two.data(), two.size()), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, piecesOfAnySize) {
  std::string million(1000000, 'a');
  for (size_t piece : {1, 63, 64, 65, 1000, 1000000}) {
    Sha256 hash;
    for (size_t at = 0; at < million.size(); at += piece)
      hash.update(million.data() + at, std::min(piece, million.size() - at));
    EXPECT_EQ(hash.finish(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

} // namespace
