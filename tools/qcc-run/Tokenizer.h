// llama2.c's tokenizer file: byte-pair encoding by scores.
#ifndef QCC_TOOLS_QCCRUN_TOKENIZER_H
#define QCC_TOOLS_QCCRUN_TOKENIZER_H

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace qcc {

// The file: int32 longest piece, then for each token float32 score, int32 length, bytes; little-endian. Tokens 0, 1 and
// 2 are unknown, start and end; 3 to 258 the bytes.
class Tokenizer {
public:
  static constexpr int64_t start = 1, end = 2;

  static std::unique_ptr<Tokenizer> parse(const std::vector<uint8_t> &file, std::string &error);

  // `start`, then the text's tokens.
  std::vector<int64_t> encode(const std::string &text) const;
  // The bytes of `token`, which follows `previous`.
  std::string decode(int64_t previous, int64_t token) const;
  int64_t size() const { return static_cast<int64_t>(pieces.size()); }

private:
  struct Piece {
    std::string text;
    float score;
  };
  std::vector<Piece> pieces;
  std::map<std::string, int64_t> tokens;
};

} // namespace qcc

#endif // QCC_TOOLS_QCCRUN_TOKENIZER_H
