// Which device runs what was compiled for which architecture.
#ifndef QCC_LIB_RUNTIME_CUDA_ARCHITECTURE_H
#define QCC_LIB_RUNTIME_CUDA_ARCHITECTURE_H

#include <string>

namespace qcc::cuda {

// "sm_90a": major 9, minor 0, suffix 'a'.
struct Architecture {
  int major = 0, minor = 0;
  char suffix = 0; // 'a': this very device; 'f': the family, devices of the same major number from this minor number on

  static bool parse(const std::string &text, Architecture &architecture);
  // The device's driver compiles PTX itself, so that runs on newer devices too; compiled code on those of its major
  // number.
  bool runsOn(int deviceMajor, int deviceMinor, bool isCompiled) const;
  bool isNewerThan(const Architecture &other) const;
};

} // namespace qcc::cuda

#endif // QCC_LIB_RUNTIME_CUDA_ARCHITECTURE_H
