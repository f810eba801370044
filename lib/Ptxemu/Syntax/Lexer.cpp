#include "Syntax/Lexer.h"

#include <cctype>

namespace qcc::ptxemu {
namespace {

bool isAlnum(char c) { return std::isalnum(static_cast<unsigned char>(c)); }
bool isWordCharacter(char c) { return isAlnum(c) || c == '_' || c == '$' || c == '%' || c == '.'; }

class Lexer {
public:
  explicit Lexer(std::string_view text) : text(text) {}

  std::vector<Token> run() {
    while (position < text.size())
      next();
    tokens.push_back({text.substr(text.size()), line});
    return std::move(tokens);
  }

private:
  char at(size_t offset) const { return position + offset < text.size() ? text[position + offset] : '\0'; }

  void next() {
    char c = at(0);
    if (c == '\n')
      ++line;
    if (std::isspace(static_cast<unsigned char>(c)) || c == '\0')
      ++position;
    else if (c == '/' && at(1) == '/')
      position = std::min(text.find('\n', position), text.size());
    else if (c == '/' && at(1) == '*')
      skipComment();
    else if (c == '"')
      emit(std::min(text.find('"', position + 1), text.size() - 1) + 1 - position);
    else if (isWordCharacter(c))
      emit(wordLength());
    else
      emit(1);
  }

  void skipComment() {
    size_t end = text.find("*/", position + 2);
    if (end == std::string_view::npos)
      throw SyntaxError(line, "a comment that does not end");
    for (; position < end + 2; ++position)
      line += text[position] == '\n';
  }

  size_t wordLength() const {
    bool isNumber = std::isdigit(static_cast<unsigned char>(at(0)));
    size_t length = 0;
    for (;; ++length) {
      if (isWordCharacter(at(length)))
        continue;
      // The two colons inside of shared::cta and tcgen05.fence::after; those of a label are followed by a space.
      if (!isNumber && at(length) == ':' && at(length + 1) == ':' && isAlnum(at(length + 2))) {
        ++length;
        continue;
      }
      return length;
    }
  }

  void emit(size_t length) {
    tokens.push_back({text.substr(position, length), line});
    position += length;
  }

  std::string_view text;
  size_t position = 0;
  uint32_t line = 1;
  std::vector<Token> tokens;
};

} // namespace

std::vector<Token> lex(std::string_view text) { return Lexer(text).run(); }

} // namespace qcc::ptxemu
