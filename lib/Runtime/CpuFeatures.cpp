#include "CpuFeatures.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace qcc {
namespace {

#if defined(__x86_64__)

enum Register : uint8_t { Eax, Ebx, Ecx, Edx };
// Register state that the operating system must save: bits of XCR0 (Intel SDM vol. 1, 13.3).
enum Saved : uint32_t { Plain = 0, Ymm = 0x6, Zmm = 0xe6, Tiles = 0x60000 };

// Intel SDM vol. 2, CPUID; the names are those of LLVM's X86 features.
struct Feature {
  std::string_view name;
  uint32_t leaf, subleaf;
  Register where;
  uint8_t bit;
  Saved saved;
};

constexpr Feature features[] = {
    {"cx8", 1, 0, Edx, 8, Plain},
    {"cmov", 1, 0, Edx, 15, Plain},
    {"mmx", 1, 0, Edx, 23, Plain},
    {"fxsr", 1, 0, Edx, 24, Plain},
    {"sse", 1, 0, Edx, 25, Plain},
    {"sse2", 1, 0, Edx, 26, Plain},
    {"sse3", 1, 0, Ecx, 0, Plain},
    {"pclmul", 1, 0, Ecx, 1, Plain},
    {"ssse3", 1, 0, Ecx, 9, Plain},
    {"fma", 1, 0, Ecx, 12, Ymm},
    {"cx16", 1, 0, Ecx, 13, Plain},
    {"sse4.1", 1, 0, Ecx, 19, Plain},
    {"sse4.2", 1, 0, Ecx, 20, Plain},
    {"movbe", 1, 0, Ecx, 22, Plain},
    {"popcnt", 1, 0, Ecx, 23, Plain},
    {"aes", 1, 0, Ecx, 25, Plain},
    {"crc32", 1, 0, Ecx, 20, Plain},
    {"xsave", 1, 0, Ecx, 26, Plain},
    {"avx", 1, 0, Ecx, 28, Ymm},
    {"f16c", 1, 0, Ecx, 29, Ymm},
    {"bmi", 7, 0, Ebx, 3, Plain},
    {"avx2", 7, 0, Ebx, 5, Ymm},
    {"bmi2", 7, 0, Ebx, 8, Plain},
    {"avx512f", 7, 0, Ebx, 16, Zmm},
    {"avx512dq", 7, 0, Ebx, 17, Zmm},
    {"adx", 7, 0, Ebx, 19, Plain},
    {"avx512ifma", 7, 0, Ebx, 21, Zmm},
    {"avx512cd", 7, 0, Ebx, 28, Zmm},
    {"sha", 7, 0, Ebx, 29, Plain},
    {"avx512bw", 7, 0, Ebx, 30, Zmm},
    {"avx512vl", 7, 0, Ebx, 31, Zmm},
    {"avx512vbmi", 7, 0, Ecx, 1, Zmm},
    {"avx512vbmi2", 7, 0, Ecx, 6, Zmm},
    {"gfni", 7, 0, Ecx, 8, Plain},
    {"vaes", 7, 0, Ecx, 9, Ymm},
    {"vpclmulqdq", 7, 0, Ecx, 10, Ymm},
    {"avx512vnni", 7, 0, Ecx, 11, Zmm},
    {"avx512bitalg", 7, 0, Ecx, 12, Zmm},
    {"avx512vpopcntdq", 7, 0, Ecx, 14, Zmm},
    {"avx512vp2intersect", 7, 0, Edx, 8, Zmm},
    {"avx512fp16", 7, 0, Edx, 23, Zmm},
    {"avxvnni", 7, 1, Eax, 4, Ymm},
    {"avx512bf16", 7, 1, Eax, 5, Zmm},
    {"avxifma", 7, 1, Eax, 23, Ymm},
    {"avxvnniint8", 7, 1, Edx, 4, Ymm},
    {"avxneconvert", 7, 1, Edx, 5, Ymm},
    {"avxvnniint16", 7, 1, Edx, 10, Ymm},
    {"sahf", 0x80000001, 0, Ecx, 0, Plain},
    {"lzcnt", 0x80000001, 0, Ecx, 5, Plain},
    {"64bit", 0x80000001, 0, Edx, 29, Plain},
};

uint64_t savedState() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned osxsave = 1u << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave))
    return 0;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

#elif defined(__aarch64__)

struct Feature {
  std::string_view name;
  unsigned long word;
  int bit;
};

// Linux, arch/arm64/include/uapi/asm/hwcap.h; the names are those of LLVM's AArch64 features.
constexpr Feature features[] = {
    {"fp-armv8", AT_HWCAP, 0}, {"neon", AT_HWCAP, 1},     {"aes", AT_HWCAP, 3},       {"sha2", AT_HWCAP, 6},
    {"crc", AT_HWCAP, 7},      {"lse", AT_HWCAP, 8},      {"fullfp16", AT_HWCAP, 10}, {"rdm", AT_HWCAP, 12},
    {"dotprod", AT_HWCAP, 20}, {"fp16fml", AT_HWCAP, 23}, {"sve", AT_HWCAP, 22},      {"sve2", AT_HWCAP2, 1},
    {"i8mm", AT_HWCAP2, 13},   {"bf16", AT_HWCAP2, 14},
};

#endif

} // namespace

bool cpuSupports(std::string_view name) {
#if defined(__x86_64__)
  static const uint64_t saved = savedState();
  for (const Feature &feature : features) {
    if (feature.name != name)
      continue;
    unsigned registers[4] = {};
    return __get_cpuid_count(feature.leaf, feature.subleaf, &registers[Eax], &registers[Ebx], &registers[Ecx],
                             &registers[Edx]) &&
           (registers[feature.where] >> feature.bit & 1) && (saved & feature.saved) == feature.saved;
  }
#elif defined(__aarch64__)
  for (const Feature &feature : features)
    if (feature.name == name)
      return getauxval(feature.word) >> feature.bit & 1;
#endif
  return false;
}

} // namespace qcc
