#include "Tokenizer.h"

#include <cstdio>
#include <cstring>

namespace qcc {
namespace {

constexpr int64_t firstByte = 3;

} // namespace

std::unique_ptr<Tokenizer> Tokenizer::parse(const std::vector<uint8_t> &file, std::string &error) {
  auto tokenizer = std::make_unique<Tokenizer>();
  size_t at = sizeof(int32_t);
  while (at < file.size()) {
    float score = 0;
    int32_t length = 0;
    if (file.size() - at < sizeof(score) + sizeof(length))
      break;
    std::memcpy(&score, &file[at], sizeof(score));
    std::memcpy(&length, &file[at + sizeof(score)], sizeof(length));
    at += sizeof(score) + sizeof(length);
    if (length < 0 || static_cast<size_t>(length) > file.size() - at)
      break;
    std::string text(file.begin() + static_cast<ptrdiff_t>(at), file.begin() + static_cast<ptrdiff_t>(at) + length);
    at += length;
    tokenizer->tokens.emplace(text, tokenizer->size());
    tokenizer->pieces.push_back({std::move(text), score});
  }
  if (at != file.size() || tokenizer->size() < firstByte + 256) {
    error = "not a tokenizer file of llama2.c";
    return nullptr;
  }
  return tokenizer;
}

std::vector<int64_t> Tokenizer::encode(const std::string &text) const {
  std::vector<int64_t> result = {start};
  if (text.empty())
    return result;
  auto find = [&](const std::string &piece) {
    auto it = tokens.find(piece);
    return it == tokens.end() ? int64_t(-1) : it->second;
  };
  // SentencePiece puts a space in front of a text.
  std::string spaced = " " + text;
  for (size_t at = 0; at < spaced.size();) {
    size_t length = 1;
    while (at + length < spaced.size() && length < 4 && (static_cast<uint8_t>(spaced[at + length]) & 0xc0) == 0x80)
      ++length;
    std::string character = spaced.substr(at, length);
    if (int64_t token = find(character); token >= 0)
      result.push_back(token);
    else
      for (char byte : character)
        result.push_back(firstByte + static_cast<uint8_t>(byte));
    at += length;
  }
  for (;;) {
    float best = -1e30f;
    size_t place = 0;
    int64_t merged = -1;
    for (size_t i = 1; i + 1 < result.size(); ++i) {
      int64_t token = find(pieces[result[i]].text + pieces[result[i + 1]].text);
      if (token >= 0 && pieces[token].score > best) {
        best = pieces[token].score;
        place = i;
        merged = token;
      }
    }
    if (merged < 0)
      return result;
    result[place] = merged;
    result.erase(result.begin() + static_cast<ptrdiff_t>(place) + 1);
  }
}

std::string Tokenizer::decode(int64_t previous, int64_t token) const {
  if (token < 0 || token >= size())
    return {};
  const std::string &text = pieces[token].text;
  unsigned byte = 0;
  if (text.size() == 6 && std::sscanf(text.c_str(), "<0x%02X>", &byte) == 1)
    return std::string(1, static_cast<char>(byte));
  return previous == start && !text.empty() && text[0] == ' ' ? text.substr(1) : text;
}

} // namespace qcc
