// Runs a command as a shell does.
#ifndef QCC_TEST_UNIT_QCCRUN_SHELL_H
#define QCC_TEST_UNIT_QCCRUN_SHELL_H

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace qcc::test {

struct Result {
  int status;       // -1 when the program was killed
  std::string text; // stdout
};

inline Result shell(const std::string &command) {
  std::FILE *pipe = ::popen(command.c_str(), "r");
  Result result{-1, {}};
  std::array<char, 4096> buffer;
  while (size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    result.text.append(buffer.data(), count);
  int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

} // namespace qcc::test

#endif // QCC_TEST_UNIT_QCCRUN_SHELL_H
