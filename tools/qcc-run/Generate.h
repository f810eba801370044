#ifndef QCC_TOOLS_QCCRUN_GENERATE_H
#define QCC_TOOLS_QCCRUN_GENERATE_H

#include "qcc/Program/Program.h"

#include <cstdint>
#include <string>

namespace qcc {

struct GenerateOptions {
  std::string prompt;
  std::string tokenizer; // a file; empty: the artifact's part "tokenizer.bin", or the file of that name beside it
  std::string artifact;  // the artifact's path
  int64_t maxTokens = 256;
  double temperature = 0; // 0: always the likeliest token
  uint64_t seed = 1;
  bool json = false;
};

// Writes the prompt and the text that follows it to stdout, token by token (with `json` one object at the end). Returns
// the exit status.
int generate(Program &program, const GenerateOptions &options);

} // namespace qcc

#endif // QCC_TOOLS_QCCRUN_GENERATE_H
