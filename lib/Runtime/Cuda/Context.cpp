#include "Context.h"

#include <cstdio>

namespace qcc::cuda {
namespace {

std::string gibibytes(size_t bytes) {
  char text[32];
  constexpr double unit = 1 << 30, small = 1 << 20;
  if (bytes < small * 10)
    std::snprintf(text, sizeof(text), "%zu bytes", bytes);
  else
    std::snprintf(text, sizeof(text), "%.2f GiB", double(bytes) / unit);
  return text;
}

} // namespace

std::shared_ptr<Context> Context::open(const DeviceName &name, const std::string &prefer, Error &error) {
  std::shared_ptr<Context> context(new Context);
  context->entries = Driver::load(name, prefer, error);
  if (!context->entries)
    return nullptr;
  const Driver &driver = *context->entries;
  auto fail = [&](const std::string &why) {
    error.set(QCC1_TARGET, "the device '" + name.spell() + "' cannot be used: " + why);
    return nullptr;
  };
  int count = 0;
  if (Result result = driver.deviceGetCount(&count))
    return fail(driver.describe(result));
  if (name.ordinal >= count)
    return fail("the driver finds " + std::to_string(count) + (count == 1 ? " device" : " devices"));
  Device device = 0;
  context->index = name.ordinal;
  if (Result result = driver.deviceGet(&device, name.ordinal))
    return fail(driver.describe(result));
  char label[256] = {};
  Result result = driver.deviceGetName(label, sizeof(label) - 1, device);
  for (auto [value, attribute] : {std::pair(&context->capabilityMajor, +computeCapabilityMajor),
                                  std::pair(&context->capabilityMinor, +computeCapabilityMinor),
                                  std::pair(&context->processors, +multiprocessorCount),
                                  std::pair(&context->shared, +maxSharedMemoryPerBlockOptin)})
    if (result == success)
      result = driver.deviceGetAttribute(value, attribute, device);
  if (result == success)
    result = driver.primaryContextRetain(&context->handle, device);
  if (result != success)
    return fail(driver.describe(result));
  context->device = device;
  context->text = name.spell() + " (" + label + ", compute capability " + std::to_string(context->capabilityMajor) +
                  "." + std::to_string(context->capabilityMinor) + ")";
  return context;
}

Context::~Context() {
  if (handle)
    entries->primaryContextRelease(device);
}

std::string Context::shortage(size_t bytes) const {
  size_t free = 0, total = 0;
  if (entries->memGetInfo(&free, &total) != success)
    return {};
  std::string report = "; " + gibibytes(bytes) + " are needed, " + text + " has " + gibibytes(free) + " of " +
                       gibibytes(total) + " free";
  return bytes > free ? report + ": " + gibibytes(bytes - free) + " are lacking" : report + ", in smaller pieces";
}

Current::Current(const Context &context) : driver(context.driver()) {
  pushed = driver.contextPush(context.handle) == success;
}

Current::~Current() {
  ContextHandle popped = nullptr;
  if (pushed)
    driver.contextPop(&popped);
}

} // namespace qcc::cuda
