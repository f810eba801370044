#include "Driver.h"

#include <dlfcn.h>

#include <cstdlib>
#include <vector>

namespace qcc::cuda {
namespace {

constexpr const char *systemDriver = "libcuda.so.1";
constexpr const char *emulatedDriver = "libqcc-emulated-cuda.so";
constexpr const char *emulateInstead = "or take the device 'emulate' (--device=emulate), which needs no GPU";

// Folders that may hold the emulated driver: that of the code that runs now (libqcc.so, or the program that it is
// linked into), and the library folder beside that.
std::vector<std::string> emulatedPaths() {
  std::vector<std::string> paths;
  Dl_info info;
  if (::dladdr(reinterpret_cast<void *>(&qcc1_version), &info) && info.dli_fname) {
    std::string own = info.dli_fname;
    size_t slash = own.rfind('/');
    // A program that was found in PATH has no folder in its name.
    if (slash == std::string::npos) {
      if (char *real = ::realpath("/proc/self/exe", nullptr)) {
        own = real;
        slash = own.rfind('/');
        std::free(real);
      }
    }
    std::string folder = slash == std::string::npos ? "." : own.substr(0, slash);
    for (const char *beside : {"/", "/../lib/", "/../" QCC_LIBRARY_FOLDER "/"})
      paths.push_back(folder + beside + emulatedDriver);
  }
  paths.push_back(emulatedDriver);
  return paths;
}

std::string spellVersion(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

} // namespace

std::string Driver::describe(Result result) const {
  const char *name = nullptr, *text = nullptr;
  if (getErrorName(result, &name) != success || !name)
    return "CUDA error " + std::to_string(result);
  if (getErrorString(result, &text) != success || !text)
    return name;
  return std::string(name) + ": " + text;
}

bool Driver::bind(void *library, const std::string &path, Error &error) {
  const char *missing = nullptr;
  auto find = [&](auto &entry, const char *symbol) {
    entry = reinterpret_cast<std::decay_t<decltype(entry)>>(::dlsym(library, symbol));
    if (!entry && !missing)
      missing = symbol;
  };
#define QCC_CUDA_FIND(name, symbol, parameters) find(name, #symbol);
  QCC_CUDA_DRIVER_ENTRIES(QCC_CUDA_FIND)
#undef QCC_CUDA_FIND
  int version = 0;
  if (driverGetVersion && driverGetVersion(&version) == success && version < leastDriverVersion)
    return error.set(QCC1_TARGET, "the driver " + path + " is too old: it is for CUDA " + spellVersion(version) +
                                      ", qcc needs one for CUDA " + spellVersion(leastDriverVersion) +
                                      " or newer; update NVIDIA's driver");
  if (missing)
    return error.set(QCC1_TARGET, "the driver " + path + (version ? " (for CUDA " + spellVersion(version) + ")" : "") +
                                      " does not have " + missing + ", which one for CUDA " +
                                      spellVersion(leastDriverVersion) + " or newer has; update NVIDIA's driver");
  Result result = init(0);
  if (result == noDevice)
    return error.set(QCC1_TARGET, std::string("the driver ") + path +
                                      " finds no device; check that nvidia-smi shows one and CUDA_VISIBLE_DEVICES "
                                      "hides none, " +
                                      emulateInstead);
  if (result != success)
    return error.set(QCC1_TARGET, "the driver " + path + " does not start: " + describe(result));
  return true;
}

std::shared_ptr<const Driver> Driver::load(const DeviceName &device, const std::string &prefer, Error &error) {
  std::vector<std::string> paths = {systemDriver};
  const char *given = std::getenv("QCC_CUDA_DRIVER");
  if (device.kind == DeviceName::Emulated)
    paths = emulatedPaths();
  else if (given && *given)
    paths = {given};
  void *library = nullptr;
  std::string why, path;
  // Never closed: the driver has threads of its own.
  for (size_t i = 0; i < paths.size() && !library; ++i) {
    path = paths[i];
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
      why = ::dlerror();
  }
  if (!library) {
    if (device.kind == DeviceName::Emulated)
      error.set(QCC1_TARGET, std::string("no emulated driver ") + emulatedDriver +
                                 " beside this program or its libqcc.so; it is installed with qcc (" + why + ")");
    else
      error.set(QCC1_TARGET, "no CUDA driver: " + why + "; install NVIDIA's driver, " + emulateInstead);
    return nullptr;
  }
  // Only the emulated driver has this.
  if (auto choose = reinterpret_cast<void (*)(const char *)>(::dlsym(library, "qccEmulatedArchitecture")))
    choose(prefer.c_str());
  auto driver = std::make_shared<Driver>();
  if (!driver->bind(library, path, error))
    return nullptr;
  return driver;
}

} // namespace qcc::cuda
