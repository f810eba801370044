// The words of a PTX text.
#ifndef QCC_LIB_PTXEMU_SYNTAX_LEXER_H
#define QCC_LIB_PTXEMU_SYNTAX_LEXER_H

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace qcc::ptxemu {

// Thrown while a module is read; Module::parse turns it into its error.
struct SyntaxError : std::runtime_error {
  SyntaxError(uint32_t line, const std::string &what) : std::runtime_error(what), line(line) {}
  uint32_t line;
};

// A word is a name, a directive, or an opcode with its modifiers (ld.global.v2.u32, shared::cta, %tid.x), a number, a
// quoted string, or one other character. The last token is empty.
struct Token {
  std::string_view text;
  uint32_t line = 0;
};

std::vector<Token> lex(std::string_view text);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_SYNTAX_LEXER_H
