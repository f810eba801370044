#include "Device.h"

#include <charconv>

namespace qcc {

bool DeviceName::parse(const std::string &text, DeviceName &name, Error &error) {
  name = DeviceName();
  if (text == "cpu")
    return true;
  if (text == "emulate") {
    name.kind = Emulated;
    return true;
  }
  constexpr std::string_view cuda = "cuda", numbered = "cuda:";
  name.kind = Cuda;
  if (text == cuda)
    return true;
  if (text.rfind(numbered, 0) == 0) {
    const char *end = text.data() + text.size();
    auto [rest, failed] = std::from_chars(text.data() + numbered.size(), end, name.ordinal);
    if (failed == std::errc() && rest == end && name.ordinal >= 0)
      return true;
  }
  return error.set(QCC1_ARGUMENT,
                   "'" + text + "' is no device; devices are cpu, cuda, cuda:N (the Nth, from 0) and emulate");
}

std::string DeviceName::spell() const {
  return kind == Cpu ? "cpu" : kind == Emulated ? "emulate" : "cuda:" + std::to_string(ordinal);
}

} // namespace qcc
