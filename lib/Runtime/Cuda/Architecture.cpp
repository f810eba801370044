#include "Architecture.h"

#include <charconv>
#include <string_view>
#include <utility>

namespace qcc::cuda {

bool Architecture::parse(const std::string &text, Architecture &architecture) {
  constexpr std::string_view prefix = "sm_";
  if (text.rfind(prefix, 0) != 0)
    return false;
  const char *begin = text.data() + prefix.size(), *end = text.data() + text.size();
  int number = 0;
  auto [rest, failed] = std::from_chars(begin, end, number);
  // Two or three digits: the last one is the minor number.
  if (failed != std::errc() || number < 10 || number > 999 || *begin == '0')
    return false;
  architecture = {number / 10, number % 10, rest == end ? '\0' : *rest};
  return rest == end || (rest + 1 == end && (*rest == 'a' || *rest == 'f'));
}

bool Architecture::runsOn(int deviceMajor, int deviceMinor, bool isCompiled) const {
  if (suffix == 'a')
    return deviceMajor == major && deviceMinor == minor;
  if (suffix == 'f' || isCompiled)
    return deviceMajor == major && deviceMinor >= minor;
  return std::pair(deviceMajor, deviceMinor) >= std::pair(major, minor);
}

bool Architecture::isNewerThan(const Architecture &other) const {
  return std::pair(major, minor) > std::pair(other.major, other.minor);
}

} // namespace qcc::cuda
