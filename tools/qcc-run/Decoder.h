// A language model's decoder: token numbers in, logits of the next token out, with a key/value cache between.
#ifndef QCC_TOOLS_QCCRUN_DECODER_H
#define QCC_TOOLS_QCCRUN_DECODER_H

#include "qcc/Program/Program.h"

#include <string>
#include <vector>

namespace qcc {

// Knows the names that exporters give a decoder's tensors: `input_ids`, `attention_mask`, `position_ids`, and
// `past_key_values.N.key` → `present.N.key` or `past_N` → `present_N` for a cache that is not the session's.
class Decoder {
public:
  explicit Decoder(Program &program) : program(program) {}

  // False with the reason when the model's inputs are not a decoder's.
  bool check(std::string &error);
  // Forgets all tokens.
  void reset();
  // Appends `tokens` (at least one) to what the decoder has seen. Batch 1.
  bool feed(const std::vector<int64_t> &tokens, std::string &error);
  // The logits after the last token; `vocabulary()` of them.
  const std::vector<float> &logits() const { return last; }
  int64_t length() const { return seen; }

private:
  struct Pair {
    std::string input, output;
    NpzArray contents;
  };

  Program &program;
  std::string logitsName;
  std::vector<Pair> cache; // empty when the session has it
  std::vector<float> last;
  int64_t seen = 0;
};

} // namespace qcc

#endif // QCC_TOOLS_QCCRUN_DECODER_H
