#include "Driver.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace qcc::cuda {
namespace {

// "4096", "512M", "24G"; 0 for anything else.
uint64_t parseBytes(const char *text) {
  char *end = nullptr;
  uint64_t number = std::strtoull(text, &end, 10);
  int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
  if (shift)
    ++end;
  return end == text || *end != 0 || number > (UINT64_MAX >> shift) ? 0 : number << shift;
}

// "sm_90a" or "9.0".
bool parseArchitecture(const std::string &text, ptxemu::Architecture &architecture) {
  unsigned major = 0, minor = 0;
  int used = 0;
  if (ptxemu::Architecture::parse(text, architecture))
    return true;
  if (std::sscanf(text.c_str(), "%3u.%1u%n", &major, &minor, &used) != 2 || size_t(used) != text.size())
    return false;
  architecture = {major, minor, 0};
  return true;
}

const char *setting(const char *name) {
  const char *value = std::getenv(name);
  return value && *value ? value : nullptr;
}

Result resultOf(const ptxemu::Finding &finding) {
  const std::string &kind = finding.kind;
  if (kind == "launch")
    return invalidValue;
  if (kind == "out-of-bounds")
    return illegalAddress;
  if (kind == "misaligned")
    return misalignedAddress;
  return kind == "unsupported" ? notSupported : launchFailed;
}

} // namespace

EmulatedDriver &EmulatedDriver::get() {
  // Never destroyed: callers may hold handles when the process ends.
  static EmulatedDriver &driver = *new EmulatedDriver;
  return driver;
}

std::vector<ContextHandle> &currentContexts() {
  static thread_local std::vector<ContextHandle> stack;
  return stack;
}

Result EmulatedDriver::initialize() {
  if (device)
    return success;
  chosen = preferred;
  memoryBytes = uint64_t(8) << 30;
  seed = 1;
  multiprocessors = 4;
  auto wrong = [&](const char *name, const char *wanted) {
    return fail(invalidValue, std::string(name) + "=" + setting(name) + " is not " + wanted);
  };
  if (const char *text = setting("QCC_EMULATED_ARCHITECTURE")) {
    if (!parseArchitecture(text, chosen))
      return wrong("QCC_EMULATED_ARCHITECTURE", "an architecture such as sm_90a or a compute capability such as 9.0");
  }
  if (const char *text = setting("QCC_EMULATED_MEMORY")) {
    memoryBytes = parseBytes(text);
    if (memoryBytes == 0)
      return wrong("QCC_EMULATED_MEMORY", "a number of bytes such as 512M or 24G");
  }
  if (const char *text = setting("QCC_EMULATED_SEED"))
    seed = std::strtoull(text, nullptr, 10);
  if (const char *text = setting("QCC_EMULATED_MULTIPROCESSORS")) {
    multiprocessors = std::atoi(text);
    if (multiprocessors < 1 || multiprocessors > 1024)
      return wrong("QCC_EMULATED_MULTIPROCESSORS", "a number from 1 to 1024");
  }
  initialized = true;
  return success;
}

void EmulatedDriver::prefer(const char *architecture) {
  if (!parseArchitecture(architecture ? architecture : "", preferred))
    preferred = {9, 0, 0};
}

uint32_t EmulatedDriver::sharedBytesPerBlock() const {
  ptxemu::DeviceLimits limits;
  limits.memoryBytes = 0;
  return device ? device->sharedBytesPerBlock() : ptxemu::Device(chosen, limits).sharedBytesPerBlock();
}

Result EmulatedDriver::retain() {
  if (users++ == 0) {
    ptxemu::DeviceLimits limits;
    limits.memoryBytes = memoryBytes;
    device = std::make_unique<ptxemu::Device>(chosen, limits);
    lost = success;
  }
  return success;
}

Result EmulatedDriver::release() {
  if (users == 0)
    return invalidContext;
  if (--users == 0) {
    graphExecs.clear();
    graphs.clear();
    streams.clear();
    functions.clear();
    modules.clear();
    device.reset();
  }
  return success;
}

Result EmulatedDriver::fail(Result result, const std::string &text) {
  latest[result] = texts.insert(text).first->c_str();
  return result;
}

const char *EmulatedDriver::text(Result result) const {
  auto found = latest.find(result);
  return found == latest.end() ? nullptr : found->second;
}

Result EmulatedDriver::lose(const ptxemu::Report &report) {
  Result result = resultOf(report.findings.front());
  fail(result, report.findings.front().text());
  if (result != invalidValue)
    lost = result;
  return result;
}

Result EmulatedDriver::submit(Stream stream, const void *kind, std::function<Result()> run) {
  if (!stream)
    return run();
  if (!streams.has(stream))
    return fail(invalidHandle, "there is no such stream");
  if (!stream->captures)
    return run();
  stream->captured.push_back({kind, std::move(run)});
  return success;
}

Result EmulatedDriver::checkRange(Address address, size_t bytes, const char *what) {
  if (bytes == 0 || device->contains(address, bytes))
    return success;
  char text[160];
  std::snprintf(text, sizeof(text), "%s: the %zu bytes from 0x%" PRIx64 " on are not in one allocation of the device",
                what, bytes, static_cast<uint64_t>(address));
  return fail(invalidValue, text);
}

} // namespace qcc::cuda
