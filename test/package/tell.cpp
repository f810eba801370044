// Twelve likeliest tokens after the one that begins a text: the session keeps the cache.
#include <stories.h>

#include <algorithm>
#include <cstdio>
#include <vector>

int main() {
  stories::Session session = stories::open().session();
  int64_t token = 1;
  for (int64_t position = 0; position < 12; ++position) {
    std::vector<int64_t> mask(size_t(position) + 1, 1);
    stories::Outputs outputs =
        session.run({{{&token, 1}, {1, 1}}, {mask, {1, position + 1}}, {{&position, 1}, {1, 1}}});
    token = std::max_element(outputs.logits.begin(), outputs.logits.end()) - outputs.logits.begin();
    std::printf("%d ", int(token));
  }
  std::printf("\n%d %d\n", int(session.length()), int(stories::states.size()));
  return 0;
}
