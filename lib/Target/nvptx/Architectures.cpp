// The table of GPU architectures.
#include "Architectures.h"

using namespace qcc;

namespace {
struct Row {
  llvm::StringRef name; // with 'a': code for this architecture alone
  int capability;
  unsigned ptx;
  int64_t sharedKilobytes; // of a block, opt-in
  llvm::StringRef sentence;
};
} // namespace

// Shared memory: CUDA C++ Programming Guide, technical specifications per compute capability, less the kilobyte that
// the system keeps. PTX versions are the first that have what the architecture multiplies with.
static const Row rows[] = {
    {"sm_75", 75, 65, 64, "Turing: T4, RTX 20"},
    {"sm_80", 80, 70, 163, "Ampere: A100, A30"},
    {"sm_86", 86, 71, 99, "Ampere: A10, A40, RTX 30"},
    {"sm_89", 89, 84, 99, "Ada: L4, L40S, RTX 40"},
    {"sm_90", 90, 84, 227, "Hopper and newer: what every GPU from H100 on runs"},
    {"sm_90a", 90, 84, 227, "Hopper: H100, H200, GH200"},
    {"sm_100a", 100, 88, 227, "Blackwell: B200, GB200"},
    {"sm_103a", 103, 88, 227, "Blackwell Ultra: B300, GB300"},
    {"sm_120a", 120, 88, 99, "Blackwell: RTX 50, RTX PRO 6000"},
};

// H100 SXM: 3.35 TB/s and 1979 TFLOP/s of dense fp8 from PERFORMANCE.md, section 7, shared out among 132
// multiprocessors at 1.83 GHz; shared memory from the CUDA C++ Programming Guide. Of the second-level cache nothing was
// measured: half of the 64 bytes that a multiprocessor can take.
static constexpr DeviceRates hopperRates = {132, 1.83, 13.9, 32, 128, 4096};

std::vector<TargetRow> qcc::allArchitectures() {
  std::vector<TargetRow> result;
  for (const Row &row : rows)
    result.push_back({row.name, row.sentence});
  return result;
}

std::optional<DeviceFacts> qcc::findArchitecture(llvm::StringRef name) {
  for (const Row &row : rows)
    if (row.name == name)
      return DeviceFacts{row.name.str(), row.capability, row.ptx, row.sharedKilobytes * 1024,
                         row.capability == 90 ? hopperRates : DeviceRates{}};
  return std::nullopt;
}
