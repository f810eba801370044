// Entries about modules and their functions.
#include "Driver.h"

#include <cstdio>
#include <cstring>

namespace qcc::cuda {
namespace {

// Writes what a compiler would into the caller's buffer.
void writeLog(unsigned count, const int *options, void *const *values, const std::string &text) {
  char *buffer = nullptr;
  size_t room = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == jitErrorLog)
      buffer = static_cast<char *>(values[i]);
    if (options[i] == jitErrorLogBytes)
      room = reinterpret_cast<size_t>(values[i]);
  }
  if (buffer && room)
    std::snprintf(buffer, room, "%s", text.c_str());
}

} // namespace

Result cuModuleLoadDataEx(ModuleHandle *handle, const void *image, unsigned optionCount, int *options, void **values) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    const char *text = static_cast<const char *>(image);
    if (std::memcmp(text,
                    "\x7f"
                    "ELF",
                    4) == 0)
      return driver.fail(noBinaryForGpu, "the emulator runs PTX, not compiled code");
    std::string error;
    auto module = std::make_unique<ModuleObject>();
    module->code = ptxemu::Module::parse(text, error);
    if (!module->code) {
      writeLog(optionCount, options, values, error);
      return driver.fail(invalidPtx, "the emulator does not understand the PTX");
    }
    if (!driver.architecture().runs(module->code->target()))
      return driver.fail(noBinaryForGpu, "the module is for " + module->code->target().spell() + ", the device is " +
                                             driver.architecture().spell());
    if (!driver.device->load(module->code, error))
      return driver.fail(outOfMemory, error);
    for (const ptxemu::KernelInfo &kernel : module->code->kernels()) {
      auto function = std::make_unique<FunctionObject>();
      function->module = module.get();
      function->kernel = &kernel;
      driver.functions.insert(function.get());
      module->functions.push_back(std::move(function));
    }
    *handle = driver.modules.add(std::move(module));
    return success;
  });
}

Result cuModuleUnload(ModuleHandle module) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (!driver.modules.has(module))
      return driver.fail(invalidHandle, "there is no such module");
    for (const auto &function : module->functions)
      driver.functions.erase(function.get());
    driver.device->unload(module->code);
    driver.modules.remove(module);
    return success;
  });
}

Result cuModuleGetFunction(Function *function, ModuleHandle module, const char *name) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (!driver.modules.has(module))
      return driver.fail(invalidHandle, "there is no such module");
    for (const auto &candidate : module->functions)
      if (candidate->kernel->name == name) {
        *function = candidate.get();
        return success;
      }
    return driver.fail(notFound, std::string("the module has no kernel '") + name + "'");
  });
}

Result cuFuncGetAttribute(int *value, int attribute, Function function) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (!driver.functions.count(function))
      return driver.fail(invalidHandle, "there is no such function");
    const ptxemu::KernelInfo &kernel = *function->kernel;
    auto threads = [](const uint32_t (&block)[3]) { return block[0] * block[1] * block[2]; };
    if (attribute == functionMaxThreadsPerBlock) {
      uint32_t most = ptxemu::DeviceLimits().threadsPerBlock;
      for (uint32_t limit : {threads(kernel.requiredBlock), threads(kernel.maximumBlock)})
        most = limit && limit < most ? limit : most;
      *value = static_cast<int>(most);
    } else if (attribute == functionSharedBytes) {
      *value = static_cast<int>(kernel.sharedBytes);
    } else if (attribute == functionMaxDynamicSharedBytes) {
      *value = static_cast<int>(function->dynamicShared);
    } else {
      return driver.fail(invalidValue, "the emulator does not know attribute " + std::to_string(attribute));
    }
    return success;
  });
}

Result cuFuncSetAttribute(Function function, int attribute, int value) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    if (!driver.functions.count(function))
      return driver.fail(invalidHandle, "there is no such function");
    if (attribute == functionMaxDynamicSharedBytes) {
      if (value < 0 || value + function->kernel->sharedBytes > driver.sharedBytesPerBlock())
        return driver.fail(invalidValue, "more shared memory than the device has for a block");
      function->dynamicShared = static_cast<unsigned>(value);
    } else if (attribute == functionNonPortableClusters) {
      function->nonPortableClusters = value != 0;
    } else {
      return driver.fail(invalidValue, "the emulator does not know attribute " + std::to_string(attribute));
    }
    return success;
  });
}

} // namespace qcc::cuda
